//! The flags for what an application may send.

use std::fmt;
use std::str::FromStr;

use bytesize::ByteSize;
use clap::Args;

use crate::registry::Limits;

/// What an application may send. A limit that is not given is left as it is; `default` goes back to the gateway's.
#[derive(Clone, Debug, Default, Args)]
pub struct LimitArgs {
    /// Events a second it may send, or `default` for the gateway's
    #[arg(long, value_name = "N", value_parser = events)]
    pub events_per_second: Option<Limit<u32>>,
    /// Events it may send at once, or `default`
    #[arg(long, value_name = "N", value_parser = events)]
    pub events_burst: Option<Limit<u32>>,
    /// Bytes of messages a second it may send, such as 64MiB, or `default`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub bytes_per_second: Option<Limit<u64>>,
    /// Bytes of messages it may send at once, or `default`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub bytes_burst: Option<Limit<u64>>,
}

/// A limit of an application's own, or the gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// The gateway's.
    Default,
    /// Its own.
    Own(T),
}

impl LimitArgs {
    /// These limits, where given, over those that were.
    pub(super) fn over(&self, limits: Limits) -> Limits {
        Limits {
            events_per_second: over(self.events_per_second, limits.events_per_second),
            events_burst: over(self.events_burst, limits.events_burst),
            bytes_per_second: over(self.bytes_per_second, limits.bytes_per_second),
            bytes_burst: over(self.bytes_burst, limits.bytes_burst),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events_per_second.is_none()
            && self.events_burst.is_none()
            && self.bytes_per_second.is_none()
            && self.bytes_burst.is_none()
    }
}

fn over<T>(given: Option<Limit<T>>, before: Option<T>) -> Option<T> {
    match given {
        None => before,
        Some(Limit::Default) => None,
        Some(Limit::Own(limit)) => Some(limit),
    }
}

/// A limit as it is shown.
pub(super) fn shown(limit: Option<impl fmt::Display>) -> String {
    limit.map_or_else(|| "default".to_owned(), |limit| limit.to_string())
}

fn events(text: &str) -> Result<Limit<u32>, String> {
    if text == "default" {
        return Ok(Limit::Default);
    }
    match u32::from_str(text) {
        Ok(number) if number > 0 => Ok(Limit::Own(number)),
        _ => Err(format!("give a number from 1 to {}, or `default`", u32::MAX)),
    }
}

fn bytes(text: &str) -> Result<Limit<u64>, String> {
    if text == "default" {
        return Ok(Limit::Default);
    }
    match ByteSize::from_str(text) {
        Ok(size) => Ok(Limit::Own(size.as_u64())),
        Err(_) => Err("give a size such as 65536, 512KiB or 64MiB, or `default`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_a_size_in_words_or_the_default() {
        assert_eq!(events("250"), Ok(Limit::Own(250)));
        assert_eq!(bytes("64MiB"), Ok(Limit::Own(64 << 20)));
        assert_eq!(bytes("4096"), Ok(Limit::Own(4_096)));
        assert_eq!((events("default"), bytes("default")), (Ok(Limit::Default), Ok(Limit::Default)));
        for wrong in ["0", "-1", "4294967296", "many", ""] {
            assert!(events(wrong).is_err(), "{wrong:?}");
        }
        assert!(bytes("12 parsecs").is_err());
    }

    #[test]
    fn only_what_is_given_changes() {
        let before = Limits { events_per_second: Some(1), events_burst: Some(2), ..Limits::default() };
        let given = LimitArgs {
            events_burst: Some(Limit::Default),
            bytes_burst: Some(Limit::Own(4_096)),
            ..LimitArgs::default()
        };
        let after = Limits { events_per_second: Some(1), bytes_burst: Some(4_096), ..Limits::default() };
        assert_eq!(given.over(before), after);
        assert!(!given.is_empty());
        assert!(LimitArgs::default().is_empty());
    }
}
