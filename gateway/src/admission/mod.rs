//! May this batch come in? The key, the rate and the budget, in that order, each cheaper than what it protects.

pub mod app;
pub mod budget;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
pub mod key;
pub mod key_cache;
pub mod rate;
pub mod refusal;
pub mod shares;
