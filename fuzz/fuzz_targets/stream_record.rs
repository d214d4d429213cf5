//! `headgate::fuzz::stream_record` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::stream_record(data));
