//! The doors: they translate a wire into an incoming batch and a verdict back into the wire, nothing else.

pub mod connection;
pub mod grpc;
pub mod listener;
pub mod tls;
