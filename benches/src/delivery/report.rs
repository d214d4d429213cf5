//! What was measured: for people as tables, for programs as JSON.

use std::fmt;

use serde::Serialize;

use super::options::Options;
use super::steps::Steps;
use crate::machine::Machine;
use crate::measurement::{Measurement, NOISE, Spread};
use crate::server::{Arrived, Destination};

/// What the project holds itself to: CPU seconds of a gateway per million events of 300 bytes, to Kinesis without TLS. The
/// usual events are a little larger.
const BAR: f64 = 2.0;

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    machine: Machine,
    connections: usize,
    seconds: f64,
    settings: Vec<String>,
    destinations: Vec<Row>,
    steps_plain: Option<Steps>,
    steps_tls: Option<Steps>,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    destination: Destination,
    gateway_cpu_seconds_per_million: Spread,
    /// Round by round, over the one that discards.
    over_discard: Option<Spread>,
    arrived: Option<Arrived>,
    rounds: Vec<Measurement>,
}

impl Report {
    pub(super) fn new(machine: Machine, options: &Options) -> Self {
        Self {
            machine,
            connections: options.connections,
            seconds: options.time().as_secs_f64(),
            settings: options.set.clone(),
            destinations: Vec::new(),
            steps_plain: None,
            steps_tls: None,
        }
    }

    /// The one that discards comes first.
    pub(super) fn add(&mut self, destination: Destination, rounds: Vec<Measurement>, arrived: Option<Arrived>) {
        let discard = self.destinations.first().map(|row| &row.rounds);
        let over_discard = discard.map(|discard| {
            let pairs = rounds.iter().zip(discard);
            Spread::of(pairs.map(|(one, other)| one.server_per_million() - other.server_per_million()).collect())
        });
        self.destinations.push(Row {
            destination,
            gateway_cpu_seconds_per_million: Spread::over(&rounds, Measurement::server_per_million),
            over_discard,
            arrived,
            rounds,
        });
    }

    pub(super) fn add_steps(&mut self, tls: bool, steps: Steps) {
        *(if tls { &mut self.steps_tls } else { &mut self.steps_plain }) = Some(steps);
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never, for figures that were measured.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    fn row(&self, destination: Destination) -> Option<&Row> {
        self.destinations.iter().find(|row| row.destination == destination)
    }
}

impl Row {
    fn median(&self, figure: impl Fn(&Measurement) -> f64) -> f64 {
        Spread::over(&self.rounds, figure).median
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.write(f)?;
        writeln!(f, "load       streams of 100, {} connections, {} s a measurement", self.connections, self.seconds)?;
        if !self.settings.is_empty() {
            writeln!(f, "settings   {}", self.settings.join(" "))?;
        }
        writeln!(f, "\ngateway CPU seconds per million events (user + system): median of the rounds (min-max)\n")?;
        writeln!(
            f,
            "{:<13} {:>8} {:<14} {:>7} {:<16} {:>5} {:>7}   {:>8} {:>6}   {:>5}",
            "destination", "gateway", "", "over", "discard", "sys%", "M ev/s", "stand-in", "load", "noise"
        )?;
        for row in &self.destinations {
            let Spread { median, min, max } = row.gateway_cpu_seconds_per_million;
            let (over, range) = match row.over_discard {
                Some(over) => (format!("{:.3}", over.median), format!("({:.3}-{:.3})", over.min, over.max)),
                None => (String::new(), String::new()),
            };
            let noise = row.rounds.iter().map(|round| round.elsewhere_cores).fold(0.0, f64::max);
            writeln!(
                f,
                "{:<13} {median:>8.3} {:<14} {over:>7} {range:<16} {:>5.0} {:>7.3}   {:>8.3} {:>6.3}   {noise:>5.2}",
                row.destination.name(),
                format!("({min:.3}-{max:.3})"),
                row.median(|round| round.server_system_share * 100.0),
                row.median(Measurement::rate) / 1e6,
                row.median(Measurement::behind_per_million),
                row.median(Measurement::client_per_million),
            )?;
        }
        writeln!(f, "\nstand-in, load: their own CPU seconds per million events, not the gateway's.")?;
        writeln!(f, "noise: cores busy with anything else, at worst; above {NOISE} the figures are doubtful")?;
        self.arrived(f)?;
        self.steps(f)?;
        if let Some(row) = self.row(Destination::Kinesis) {
            let measured = row.gateway_cpu_seconds_per_million.median;
            let a_core = 1e6 / measured;
            writeln!(
                f,
                "\nto Kinesis without TLS: {measured:.2} CPU seconds per million events (bar {BAR}), {a_core:.0} events/s a core"
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn arrived(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nwhat arrived\n")?;
        writeln!(
            f,
            "{:<13} {:>14} {:>13} {:>14} {:>14}",
            "destination", "record B/event", "wire B/event", "bytes a record", "records a call"
        )?;
        for row in &self.destinations {
            let Some(arrived) = row.arrived else { continue };
            writeln!(
                f,
                "{:<13} {:>14.1} {:>13.1} {:>14.0} {:>14.1}",
                row.destination.name(),
                arrived.record_bytes_an_event,
                arrived.wire_bytes_an_event,
                arrived.bytes_a_record,
                arrived.records_a_call,
            )?;
        }
        Ok(())
    }

    /// Where the CPU of an event to Kinesis goes.
    fn steps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let discard =
            self.row(Destination::Discard).map_or(0.0, |row| row.gateway_cpu_seconds_per_million.median * 1e3);
        writeln!(f, "\nwhere it goes, CPU nanoseconds an event (in brackets: a KiB of records, measured by itself)\n")?;
        for (destination, steps) in
            [(Destination::Kinesis, self.steps_plain), (Destination::KinesisTls, self.steps_tls)]
        {
            let (Some(row), Some(steps)) = (self.row(destination), steps) else { continue };
            let Some(arrived) = row.arrived else { continue };
            let all = row.gateway_cpu_seconds_per_million.median * 1e3;
            let an_event = |per_kib: f64| per_kib * arrived.record_bytes_an_event / 1_024.0;
            let Steps { seal, put, sha256, socket } = steps;
            writeln!(f, "{}", destination.name())?;
            let mut line =
                |name: &str, per_kib: f64| writeln!(f, "  {name:<46} {:>6.0}  ({per_kib:.0})", an_event(per_kib));
            line("envelope with MD5", seal)?;
            line("the SDK's call", put)?;
            line("  of which SHA-256 of the body", sha256)?;
            line("  of which writing into a socket", socket)?;
            writeln!(f, "  {:<46} {discard:>6.0}", "everything before delivery (discard)")?;
            let rest = all - discard - an_event(seal) - an_event(put);
            writeln!(f, "  {:<46} {rest:>6.0}", "rest: lanes, books, scheduling, waiting threads")?;
            writeln!(f, "  {:<46} {all:>6.0}", "all")?;
        }
        Ok(())
    }
}
