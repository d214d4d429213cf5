//! A rule, taken apart. Its `Display` is the canonical text, which parses to the same rule again.

use std::fmt;

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What is looked at.
    pub metric: Metric,
    /// How it has to stand to the limit.
    pub op: Op,
    /// The limit.
    pub limit: Limit,
    /// The class of servers, in lower case; none: all servers together.
    pub class: Option<String>,
    /// The phase, in lower case; none: the whole run without its warm-up.
    pub phase: Option<String>,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// A latency.
    Latency(SeriesName, Stat),
    /// Events failed, of unknown fate or never sent, of all that were due.
    ErrorRate,
    /// Batches answered with this gRPC code; with a limit in percent, of all batches.
    Code(String),
    /// Events acknowledged in a second.
    Goodput,
    /// Events due, of those planned.
    Offered,
    /// Events answered as breaking a rule, of all that were due.
    Rejected,
    /// Acknowledged events that are missing at the destination.
    Lost,
    /// Records beyond the first of an event.
    Dup,
    /// From the disturbance until back to normal.
    RecoveryTime,
    /// A figure in [`crate::result::RunResult::measures`].
    Measure(String),
}

/// One of the series of [`crate::result::Series`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in `Series`, which says what they are")]
pub enum SeriesName {
    Ack,
    Service,
    EventAge,
    Lag,
    Connect,
}

/// A figure of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stat {
    /// Above 0, below 100.
    Percentile(f64),
    /// The mean.
    Average,
    /// The slowest.
    Max,
}

/// How a figure has to stand to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A figure.
    Value(f64, Unit),
    /// So many times the same figure of the baseline.
    Baseline(f64),
}

/// The unit of a limit, as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Percent.
    Percent,
    /// Events in a second.
    EventsPerSecond,
    /// A count or a bare number.
    Plain,
}

impl SeriesName {
    pub(super) const ALL: [Self; 5] = [Self::Ack, Self::Service, Self::EventAge, Self::Lag, Self::Connect];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Service => "service",
            Self::EventAge => "event_age",
            Self::Lag => "lag",
            Self::Connect => "connect",
        }
    }
}

impl Metric {
    /// The units that a limit may have; the first is the one that figures are in.
    pub(super) fn units(&self) -> &'static [Unit] {
        match self {
            Self::Latency(..) | Self::RecoveryTime => &[Unit::Us, Unit::Ms, Unit::S],
            Self::ErrorRate | Self::Offered | Self::Rejected => &[Unit::Percent],
            Self::Goodput => &[Unit::EventsPerSecond],
            Self::Code(_) | Self::Lost | Self::Dup | Self::Measure(_) => &[Unit::Plain, Unit::Percent],
        }
    }

    /// Whether it is one figure of the whole run and all of its servers.
    pub(super) fn whole_run_only(&self) -> bool {
        matches!(self, Self::Lost | Self::Dup | Self::RecoveryTime | Self::Measure(_))
    }
}

impl Op {
    /// Whether the figure stands to the limit as it should.
    #[must_use]
    pub fn holds(self, figure: f64, limit: f64) -> bool {
        match self {
            Self::Less => figure < limit,
            Self::AtMost => figure <= limit,
            Self::Greater => figure > limit,
            Self::AtLeast => figure >= limit,
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

impl Unit {
    /// As it is written after a number.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Ms => "ms",
            Self::S => "s",
            Self::Percent => "%",
            Self::EventsPerSecond => " events/s",
            Self::Plain => "",
        }
    }

    /// How many of the figures' unit it is: times are in microseconds, shares from 0 to 1.
    pub(super) fn factor(self) -> f64 {
        match self {
            Self::Us | Self::EventsPerSecond | Self::Plain => 1.0,
            Self::Ms => 1e3,
            Self::S => 1e6,
            Self::Percent => 0.01,
        }
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(out, "p{percent}"),
            Self::Average => out.write_str("avg"),
            Self::Max => out.write_str("max"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(series, stat) => write!(out, "{}.{stat}", series.name()),
            Self::ErrorRate => out.write_str("error-rate"),
            Self::Code(name) => write!(out, "code({name})"),
            Self::Goodput => out.write_str("goodput"),
            Self::Offered => out.write_str("offered"),
            Self::Rejected => out.write_str("rejected"),
            Self::Lost => out.write_str("lost"),
            Self::Dup => out.write_str("dup"),
            Self::RecoveryTime => out.write_str("recovery-time"),
            Self::Measure(name) => write!(out, "measure({name})"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(number, unit) => write!(out, "{number}{}", unit.suffix()),
            Self::Baseline(times) => write!(out, "{times}x baseline"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.metric, self.op.sign(), self.limit)?;
        if let Some(class) = &self.class {
            write!(out, " for {class}")?;
        }
        if let Some(phase) = &self.phase {
            write!(out, " during {phase}")?;
        }
        Ok(())
    }
}
