//! What people are given to read of a run.

mod html;

pub use html::html;
