//! `headgate::fuzz::grpc_frames` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate::fuzz::grpc_frames(data));
