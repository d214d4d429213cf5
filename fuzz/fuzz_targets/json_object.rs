//! `headgate::fuzz::json_object` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::json_object(data));
