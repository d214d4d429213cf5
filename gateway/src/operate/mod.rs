//! What operators see and hold: metrics, logs, health and readiness, and the tasks of the process.

mod caller;
pub mod console;
pub mod http;
pub mod lifecycle;
mod live;
pub mod log;
pub mod tasks;
