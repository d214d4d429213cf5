//! On a real emulator.
