//! The doors: they translate a wire into an incoming batch and a verdict back into the wire, nothing else.

pub mod admin;
pub mod certificate;
mod client_clock;
pub mod connection;
pub mod decompress;
pub mod direct;
mod event_message;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
pub mod grpc;
pub mod intake;
pub mod kill;
pub mod listener;
pub mod open_calls;
pub(crate) mod otlp;
pub mod peers;
mod refusals;
pub mod reply;
pub mod rest;
mod slow_readers;
pub mod tls;
mod unsent;
