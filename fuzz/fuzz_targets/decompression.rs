//! `headgate::fuzz::decompression` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::decompression(data));
