//! `headgate::fuzz::rest_batch` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::rest_batch(data));
