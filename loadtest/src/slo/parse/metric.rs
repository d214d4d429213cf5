//! The metric of a rule: what stands before its operator.

use super::super::rule::{Metric, SeriesName, Stat};
use super::{Fault, Word, number};

pub(super) const METRICS: &str = "use a latency such as p99, ack.p99, service.avg, event_age.p50, lag.max or connect.p90, or \
                       error-rate, code(NAME), goodput, offered, rejected, lost, dup, recovery-time or measure(NAME)";
const STATS: &str = "use p50, p99, p99.9 or any other percentile up to p100, avg or max";
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(super) fn parse_metric(word: Word<'_>) -> Result<Metric, Fault> {
    let lower = word.text.to_ascii_lowercase();
    match lower.as_str() {
        "error-rate" => return Ok(Metric::ErrorRate),
        "goodput" => return Ok(Metric::Goodput),
        "offered" => return Ok(Metric::Offered),
        "rejected" => return Ok(Metric::Rejected),
        "lost" => return Ok(Metric::Lost),
        "dup" => return Ok(Metric::Dup),
        "recovery-time" => return Ok(Metric::RecoveryTime),
        _ => {}
    }
    if let Some(inner) = inside(word, &lower, "code(")? {
        let name = inner.text.to_ascii_uppercase();
        return if CODES.contains(&name.as_str()) {
            Ok(Metric::Code(name))
        } else {
            Err(inner.fault(format!("`{}` is no gRPC code: use {}", inner.text, CODES.join(", "))))
        };
    }
    if let Some(inner) = inside(word, &lower, "measure(")? {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        return if !inner.text.is_empty() && inner.text.chars().all(fits) {
            Ok(Metric::Measure(inner.text.to_owned()))
        } else {
            Err(word.fault("a measure's name is letters, digits, `_`, `-` and `.`, such as retry_amplification"))
        };
    }
    let (series, stat) = match lower.split_once('.') {
        // `p99.9` has a point too.
        Some((name, _)) if !is_percentile(name) => {
            let series = SeriesName::ALL.into_iter().find(|series| series.name() == name);
            let series = series.ok_or_else(|| word.fault(format!("no such metric: {METRICS}")))?;
            let dot = name.len() + 1;
            (series, Word { text: &word.text[dot..], at: word.at + dot })
        }
        _ => (SeriesName::Ack, word),
    };
    if let Some(stat) = parse_stat(stat)? {
        return Ok(Metric::Latency(series, stat));
    }
    let is_series = SeriesName::ALL.into_iter().any(|series| lower == series.name());
    Err(match (is_series, stat.at > word.at) {
        (true, _) => word.fault(format!("a series needs a figure, as in `{lower}.p99`: {STATS}")),
        (false, true) => stat.fault(format!("no such figure of a series: {STATS}")),
        (false, false) => word.fault(format!("no such metric: {METRICS}")),
    })
}

/// What stands between `name(` and `)`.
fn inside<'a>(word: Word<'a>, lower: &str, open: &str) -> Result<Option<Word<'a>>, Fault> {
    if !lower.starts_with(open) {
        return Ok(None);
    }
    let inner = word.text[open.len()..].strip_suffix(')');
    let inner = inner.ok_or_else(|| word.fault(format!("this has to end with `)`, as in `{open}NAME)`")))?;
    Ok(Some(Word { text: inner, at: word.at + open.len() }))
}

fn is_percentile(word: &str) -> bool {
    word.strip_prefix('p').is_some_and(|digits| number(digits).is_some())
}

fn parse_stat(word: Word<'_>) -> Result<Option<Stat>, Fault> {
    let lower = word.text.to_ascii_lowercase();
    match lower.as_str() {
        "avg" => return Ok(Some(Stat::Average)),
        "max" => return Ok(Some(Stat::Max)),
        _ => {}
    }
    let Some(percent) = lower.strip_prefix('p').and_then(number) else { return Ok(None) };
    match percent {
        100.0 => Ok(Some(Stat::Max)),
        percent if percent > 0.0 && percent < 100.0 => Ok(Some(Stat::Percentile(percent))),
        _ => Err(word.fault("a percentile is above 0 and at most 100, such as p50, p99 or p99.9")),
    }
}
