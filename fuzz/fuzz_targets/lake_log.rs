//! `headgate::fuzz::lake_log` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::lake_log(data));
