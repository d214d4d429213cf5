//! `headgate::fuzz::bad_row` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::bad_row(data));
