//! Whether the load tester itself was the limit, and what came of the run.
//!
//! A load tester that lacks a core sees slow answers where the gateway gave fast ones. So it watches its own lateness,
//! its threads' wait for a core, its quota and its workers, second by second ([`Sampler`], [`assess`]); and a run in
//! which it was the limit says nothing about the gateway ([`verdict`]), whatever its rules found. Everything is read from
//! `/proc` and the cgroup; what a machine does not have is left out.

#[cfg(feature = "cli")]
mod again;
mod cgroup;
mod findings;
mod machine;
#[cfg(feature = "cli")]
mod pages;
mod sample;
mod self_limit;
mod verdict;

#[cfg(feature = "cli")]
pub(crate) use again::look_again;
pub use findings::{SATURATED_SECONDS, WORST_SECONDS};
pub use machine::{ProcessUsage, environment};
#[cfg(feature = "cli")]
pub(crate) use pages::forget_startup;
pub use sample::{Sample, Sampler};
pub use self_limit::{
    BUSY_SATURATED, LAG_OK, LAG_OK_OF_LINGER, LAG_SATURATED_OF_LINGER, OFFERED_OK, Second, ServiceClock,
    THROTTLED_SATURATED, assess,
};
pub use verdict::verdict;
