//! `headgate::fuzz::rest_door` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::rest_door(data));
