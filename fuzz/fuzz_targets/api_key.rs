//! `headgate::fuzz::api_key` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::api_key(data));
