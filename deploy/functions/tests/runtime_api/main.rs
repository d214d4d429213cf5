//! The functions as Lambda sees them: their binaries as processes, invoked through a stand-in for the Lambda Runtime API.

#![allow(clippy::disallowed_methods, reason = "a test's tasks end with its runtime, and it reads the clock")]

mod cold_start;
mod metrics;
mod registry;
mod rig;
mod transform;
