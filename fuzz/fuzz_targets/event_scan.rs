//! `headgate::fuzz::event_scan` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::event_scan(data));
