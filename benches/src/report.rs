//! What was measured: for people as a table, for programs as JSON.

use std::fmt;

use serde::Serialize;

use crate::machine::Machine;
use crate::measurement::{CaseResult, Measurement, NOISE, Round, Summary};
use crate::options::Options;

/// The case and the ratio that the project holds itself to.
const HELD_TO: &str = "stream-100";
const BAR: f64 = 2.5;

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
    pub cases: Vec<CaseResult>,
}

/// A report with what follows from it, for programs.
#[derive(Serialize)]
struct Derived<'a> {
    #[serde(flatten)]
    report: &'a Report,
    summary: Vec<Summary<'a>>,
}

impl Report {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(machine: Machine, options: &Options) -> Self {
        Self {
            machine,
            connections: options.connections,
            seconds: options.seconds(),
            settings: options.set.clone(),
            cases: Vec::new(),
        }
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never, for figures that were measured.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let summary = self.cases.iter().map(CaseResult::summary).collect();
        serde_json::to_string_pretty(&Derived { report: self, summary })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, flags, kernel, allocator, rustc, commit } = &self.machine;
        writeln!(f, "cpu        {cpu}, {cores} cores, {}", flags.join(" "))?;
        writeln!(f, "kernel     {kernel}")?;
        writeln!(f, "allocator  {allocator}")?;
        writeln!(f, "compiler   {rustc}")?;
        writeln!(f, "commit     {commit}")?;
        writeln!(f, "load       {} connections, {} s a measurement", self.connections, self.seconds)?;
        if !self.settings.is_empty() {
            writeln!(f, "settings   {}", self.settings.join(" "))?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "server CPU seconds per million events (user + system), medians; ratio: median of the pairs (min-max)"
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "{:<12} {:>7} {:>8} {:>6} {:<13} {:>5} {:>5}   {:>7} {:>8}   {:>7} {:>8}   {:>5}",
            "case", "bare", "gateway", "ratio", "", "sys%", "sys%", "M ev/s", "M ev/s", "load", "load", "noise"
        )?;
        for case in &self.cases {
            let bare = |figure: fn(&Measurement) -> f64| case.spread(|round| figure(&round.bare)).median;
            let gateway = |figure: fn(&Measurement) -> f64| case.spread(|round| figure(&round.gateway)).median;
            let ratio = case.spread(Round::ratio);
            let noise = case.spread(|round| round.bare.elsewhere_cores.max(round.gateway.elsewhere_cores));
            writeln!(
                f,
                "{:<12} {:>7.3} {:>8.3} {:>6.2} {:<13} {:>5.0} {:>5.0}   {:>7.2} {:>8.2}   {:>7.3} {:>8.3}   {:>5.2}",
                case.case,
                bare(Measurement::server_per_million),
                gateway(Measurement::server_per_million),
                ratio.median,
                format!("({:.2}-{:.2})", ratio.min, ratio.max),
                bare(|m| m.server_system_share * 100.0),
                gateway(|m| m.server_system_share * 100.0),
                bare(|m| m.rate() / 1e6),
                gateway(|m| m.rate() / 1e6),
                bare(Measurement::client_per_million),
                gateway(Measurement::client_per_million),
                noise.max,
            )?;
        }
        writeln!(f)?;
        writeln!(f, "two columns: bare, gateway. load: the client's own CPU seconds per million events.")?;
        writeln!(
            f,
            "noise: cores busy with neither server nor load, at worst; above {NOISE} the figures are doubtful"
        )?;
        self.usual(f)?;
        if let Some(case) = self.cases.iter().find(|case| case.case == HELD_TO) {
            writeln!(f)?;
            writeln!(f, "ratio at streams of 100: {:.2} (bar {BAR})", case.spread(Round::ratio).median)?;
        }
        Ok(())
    }
}

impl Report {
    fn usual(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            if case.rounds.iter().all(|round| round.usual.is_none()) {
                continue;
            }
            let usual = |round: &Round| round.usual.as_ref().map_or(f64::NAN, Measurement::server_per_million);
            let share = case.spread(|round| round.gateway.server_per_million() / usual(round));
            let (name, cost) = (&case.case, case.spread(usual).median);
            writeln!(f, "{name:<12} the usual way: {cost:.3}; the gateway takes {:.0} % of it", share.median * 100.0)?;
        }
        Ok(())
    }
}
