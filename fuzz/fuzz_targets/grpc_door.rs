//! `headgate::fuzz::grpc_door` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::grpc_door(data));
