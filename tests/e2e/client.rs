//! The Rust client (`headgate-client`) against a real gateway, with either of them killed.

mod killed;
mod outages;
