//! The doors: they translate a wire into an incoming batch and a verdict back into the wire, nothing else.

pub mod connection;
pub mod grpc;
pub mod kill;
pub mod listener;
pub mod open_calls;
pub mod tls;
