//! What was measured: for people as tables, for programs as JSON.

use std::fmt;

use serde::Serialize;

use super::options::Options;
use super::servers::Server;
use crate::load::Case;
use crate::machine::Machine;
use crate::measurement::{Measurement, NOISE, Spread};
use crate::server::Missing;
use crate::subject::Subject;

/// What everything else is compared with.
const BARE: &str = "bare";
const GATEWAY: &str = "gateway";

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// Connections of the load.
    pub connections: usize,
    /// Length of a measurement.
    pub seconds: f64,
    /// The gateway's settings that are not the bench's own.
    pub settings: Vec<String>,
    /// What was measured.
    pub servers: Vec<Described>,
    /// What could not be had.
    pub missing: Vec<Missing>,
    /// The figures.
    pub cases: Vec<CaseResult>,
}

/// A server.
#[derive(Clone, Debug, Serialize)]
pub struct Described {
    /// Its name in tables.
    pub name: String,
    /// What it does with events.
    pub does: String,
    /// Whether it is a product that does a part of the gateway's work.
    pub is_rival: bool,
}

/// Every measurement of a case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// Its name.
    pub case: String,
    /// By server.
    pub servers: Vec<Row>,
}

/// The measurements of a server, in the order of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub server: String,
    /// One a round.
    pub rounds: Vec<Measurement>,
}

/// A report with what follows from it, for programs.
#[derive(Serialize)]
struct Derived<'a> {
    #[serde(flatten)]
    report: &'a Report,
    summary: Vec<Summary<'a>>,
    bars: Vec<Bar>,
}

#[derive(Serialize)]
struct Summary<'a> {
    case: &'a str,
    server: &'a str,
    cpu_seconds_per_million: Spread,
    over_bare: Option<Spread>,
    over_gateway: Option<Spread>,
}

/// Something that the project holds itself to.
#[derive(Serialize)]
struct Bar {
    what: String,
    measured: f64,
    bound: f64,
    held: bool,
}

impl CaseResult {
    pub(super) fn new(case: Case) -> Self {
        Self { case: case.to_string(), servers: Vec::new() }
    }

    pub(super) fn add(&mut self, server: &str, measurement: Measurement) {
        match self.servers.iter_mut().find(|row| row.server == server) {
            Some(row) => row.rounds.push(measurement),
            None => self.servers.push(Row { server: server.to_owned(), rounds: vec![measurement] }),
        }
    }

    fn of(&self, server: &str) -> Option<&[Measurement]> {
        self.servers.iter().find(|row| row.server == server).map(|row| &row.rounds[..])
    }

    /// How many times the CPU of another's an event takes with a server.
    fn over(&self, server: &str, other: &str) -> Option<Spread> {
        Some(Spread::of_ratios(self.of(server)?, self.of(other)?))
    }
}

impl Report {
    /// Nothing measured yet.
    #[must_use]
    pub(super) fn new(machine: Machine, options: &Options) -> Self {
        Self {
            machine,
            connections: options.connections,
            seconds: options.time().as_secs_f64(),
            settings: options.set.clone(),
            servers: Vec::new(),
            missing: Vec::new(),
            cases: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, subject: &Subject<Server>) {
        let (server, name) = (subject.server(), subject.name().to_owned());
        self.servers.push(Described { name, does: server.does.clone(), is_rival: server.is_rival });
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never, for figures that were measured.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let summary = self.cases.iter().flat_map(|case| {
            case.servers.iter().map(|row| Summary {
                case: &case.case,
                server: &row.server,
                cpu_seconds_per_million: Spread::over(&row.rounds, Measurement::server_per_million),
                over_bare: case.over(&row.server, BARE),
                over_gateway: case.over(&row.server, GATEWAY),
            })
        });
        serde_json::to_string_pretty(&Derived { report: self, summary: summary.collect(), bars: self.bars() })
    }

    fn case(&self, name: &str) -> Option<&CaseResult> {
        self.cases.iter().find(|case| case.case == name)
    }

    fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        let mut at_most = |what: &str, measured: Option<f64>, bound: f64| {
            let bar = measured.map(|measured| Bar { what: what.to_owned(), measured, bound, held: measured <= bound });
            bars.extend(bar);
        };
        let over = |case: &str, server: &str, other: &str| {
            self.case(case).and_then(|case| case.over(server, other)).map(|ratio| ratio.median)
        };
        let cost = |case: &str, server: &str| {
            let rounds = self.case(case)?.of(server)?;
            Some(Spread::over(rounds, Measurement::server_per_million).median)
        };
        let has = |flag: &str| self.machine.flags.iter().any(|known| known == flag);
        let streams = if has("avx512bw") { 1.6 } else { 2.1 };
        at_most("streams of 100: gateway over bare", over("stream-100", GATEWAY, BARE), streams);
        at_most("unary calls of 1: gateway over bare", over("unary-1", GATEWAY, BARE), 1.2);
        at_most("streams of 100: gateway over the usual way", over("stream-100", GATEWAY, "usual"), 1.0 / 3.0);
        at_most("streams of 100 to Kinesis: CPU seconds per million", cost("stream-100", "kinesis"), 2.0);
        at_most("streams of 100 to the lake: CPU seconds per million", cost("stream-100", "lake"), 2.5);
        for product in self.servers.iter().filter(|server| server.is_rival) {
            let what = format!("unary calls of 100: gateway over {}", product.name);
            at_most(&what, over("unary-100", GATEWAY, &product.name), 1.0 / 3.0);
        }
        bars
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.write(f)?;
        writeln!(f, "load       {} connections, {} s a measurement", self.connections, self.seconds)?;
        if !self.settings.is_empty() {
            writeln!(f, "settings   {}", self.settings.join(" "))?;
        }
        writeln!(f)?;
        for Described { name, does, .. } in &self.servers {
            writeln!(f, "{name:<14} {does}")?;
        }
        for Missing { name, why } in &self.missing {
            writeln!(f, "{name:<14} missing: {why}")?;
        }
        for case in &self.cases {
            writeln!(f)?;
            case.fmt(f)?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "server CPU seconds (user + system) per million events: median of the rounds (min-max). × bare, × gateway:"
        )?;
        writeln!(
            f,
            "median of the rounds' ratios. behind, load: CPU seconds per million of what it delivers to, and of the load."
        )?;
        writeln!(f, "noise: cores busy with none of them, at worst; above {NOISE} the figures are doubtful")?;
        writeln!(f)?;
        for Bar { what, measured, bound, held } in self.bars() {
            let held = if held { "held" } else { "NOT HELD" };
            writeln!(f, "{what:<52} {measured:>6.2} (at most {bound:.2}) {held}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14} {:>8} {:<15} {:>7} {:>9} {:>5} {:>7}   {:>7} {:>7}   {:>5}",
            self.case, "CPU s/M", "", "× bare", "× gateway", "sys%", "M ev/s", "behind", "load", "noise"
        )?;
        for Row { server, rounds } in &self.servers {
            let Spread { median, min, max } = Spread::over(rounds, Measurement::server_per_million);
            let over = |other| self.over(server, other).map_or(String::new(), |ratio| format!("{:.2}", ratio.median));
            let of = |figure: fn(&Measurement) -> f64| Spread::over(rounds, figure).median;
            writeln!(
                f,
                "{server:<14} {median:>8.3} {:<15} {:>7} {:>9} {:>5.0} {:>7.3}   {:>7.3} {:>7.3}   {:>5.2}",
                format!("({min:.3}-{max:.3})"),
                over(BARE),
                over(GATEWAY),
                of(|m| m.server_system_share * 100.0),
                of(|m| m.rate() / 1e6),
                of(Measurement::behind_per_million),
                of(Measurement::client_per_million),
                Spread::over(rounds, |m| m.elsewhere_cores).max,
            )?;
        }
        Ok(())
    }
}
