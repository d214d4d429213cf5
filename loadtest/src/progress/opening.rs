//! The first screen: what will run.

use std::path::Path;

use crate::config::{Connections, Driver, RunConfig, Transport};
use crate::terminal::{Line, Look};
use crate::words;

/// What there is to say before a run.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The settings.
    pub config: &'a RunConfig,
    /// The events a second that the plan has due, on average over the run.
    pub planned_per_s: f64,
    /// Where results will be written.
    pub results: &'a Path,
}

/// At most eight lines.
#[must_use]
pub fn opening(what: &Opening<'_>) -> Vec<Line> {
    let config = what.config;
    let label = |text: &str| Line::dim(format!("  {text:<10}"));
    let driver = match config.driver {
        Driver::Goose => "driven by Goose",
        Driver::Native => "driven by plain tasks",
    };
    let transport = match config.transport {
        Transport::Stream => "a stream for each server",
        Transport::Unary => "a call for each batch",
        Transport::Client => "a headgate-client for each server",
    };
    let batches = match config.transport {
        Transport::Stream | Transport::Unary => "a batch every",
        Transport::Client => "batches of up to",
    };
    let connections = match config.connections {
        Connections::PerServer => "a connection each".to_owned(),
        Connections::Shared(1) => "one connection together".to_owned(),
        Connections::Shared(number) => format!("{} connections together", words::count(number.into())),
    };
    let online = (f64::from(config.players) * config.online).round() as u64;
    let warm_up = match config.warm_up.is_zero() {
        true => String::new(),
        false => format!(", the first {} not judged", words::duration(config.warm_up)),
    };
    let rules = match config.slos.len() {
        0 => "none: only loss and the load tester itself are judged".to_owned(),
        1 | 2 => config.slos.join(", "),
        more => format!("{}, {} and {} more", config.slos[0], config.slos[1], more - 2),
    };
    let mut lines = vec![
        Line::strong(config.scenario.as_str()).then(Look::Dim, format!("  {}", config.about)),
        label("target").then_plain(format!("{}, {transport}, {driver}", config.endpoint)),
        label("players").then_plain(format!(
            "{}, {} of them online, on {} servers, {connections}",
            words::count(config.players.into()),
            words::count(online),
            words::count(config.servers.into()),
        )),
        label("load").then_plain(format!(
            "{} events/s for {}{warm_up}, {batches} {} ms",
            words::count(what.planned_per_s.max(0.0).round() as u64),
            words::duration(config.run_time),
            config.linger.as_millis(),
        )),
        label("rules").then_plain(rules),
    ];
    if config.shard.of > 1 {
        lines.push(label("shard").then_plain(format!(
            "{} of {}: this process makes its part of the load",
            config.shard.index, config.shard.of
        )));
    }
    lines.push(label("results").then_plain(what.results.display().to_string()));
    lines
}
