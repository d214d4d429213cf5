//! `headgate::fuzz::otlp_logs` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::otlp_logs(data));
