//! `headgate::fuzz::manifest` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::manifest(data));
