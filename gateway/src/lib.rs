//! Headgate: the front door of a game's analytics.
//!
//! A batch of events enters at a [`door`], is admitted ([`admission`]), read ([`ingest`], which asks [`event`] what the
//! bytes say), gathered with others ([`gather`]), delivered ([`delivery`]), and its verdict walks back. The modules are
//! named after those stations; each imports only what stands downstream of it or beneath it.

pub mod admin;
pub mod admission;
#[cfg(feature = "aws")]
pub mod aws;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod door;
pub mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
pub mod gather;
pub mod ingest;
pub mod live;
pub mod metrics;
pub mod operate;
mod prefetch;
pub mod registry;
pub mod serve;
