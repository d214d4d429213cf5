//! The limit of a rule: a number with the metric's unit, or a ratio to the baseline.

use super::super::rule::{Limit, Metric, Op, Unit};
use super::{AFTER_VALUE, Fault, Word, number};

fn allowed_values(metric: &Metric) -> &'static str {
    match metric {
        Metric::Latency(..) | Metric::RecoveryTime => "use a time with us, ms or s, such as 50ms, or `1.1x baseline`",
        Metric::ErrorRate | Metric::Offered | Metric::Rejected => "use a percentage, such as 0.1%, or `1.1x baseline`",
        Metric::Goodput => "use events/s, such as 50k or `50000 events/s`, or `0.9x baseline`",
        Metric::Code(_) | Metric::Lost | Metric::Dup => "use a count, such as 0, a percentage, or `1.1x baseline`",
        Metric::Measure(_) => "use a number, such as 1.2, a percentage, or `1.1x baseline`",
    }
}

pub(super) fn parse_limit(metric: &Metric, op: Op, value: &[Word<'_>], next: Word<'_>) -> Result<Limit, Fault> {
    let allowed = allowed_values(metric);
    let Some((first, more)) = value.split_first() else {
        return Err(next.fault(format!("a value is missing before this: {allowed}")));
    };
    let digits = first.text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let bad = || first.fault(format!("`{}` is no value for {metric}: {allowed}", first.text));
    let amount = number(&first.text[..digits]).ok_or_else(bad)?;
    let suffix = &first.text[digits..];

    if suffix.eq_ignore_ascii_case("x") {
        return match more {
            [word] if word.is("baseline") => Ok(Limit::Baseline(amount)),
            [] => Err(first.fault("a ratio is one to the baseline: write `baseline` after it")),
            [word, rest @ ..] if word.is("baseline") => Err(rest[0].fault(AFTER_VALUE)),
            [word, ..] => Err(word.fault("a ratio is one to the baseline: write `baseline` here")),
        };
    }
    let (scale, suffix) = match suffix.strip_prefix(['k', 'K', 'M']) {
        Some(rest) if suffix.starts_with('M') && !rest.eq_ignore_ascii_case("s") => (1e6, rest),
        Some(rest) if !suffix.starts_with('M') => (1e3, rest),
        _ => (1.0, suffix),
    };
    let (unit_word, rest) = match (suffix, more) {
        ("", [unit, rest @ ..]) => (Some(*unit), rest),
        ("", []) => (None, more),
        _ => (Some(Word { text: suffix, at: first.at + first.text.len() - suffix.len() }), more),
    };
    if let Some(word) = rest.first() {
        return Err(word.fault(AFTER_VALUE));
    }
    let unit = match unit_word {
        Some(word) => parse_unit(word.text)
            .filter(|unit| metric.units().contains(unit))
            .ok_or_else(|| word.fault(format!("`{}` is no unit for {metric}: {allowed}", word.text)))?,
        None => match metric {
            // As in Goose's thresholds.
            Metric::Latency(..) => Unit::Ms,
            Metric::ErrorRate => Unit::Percent,
            Metric::Goodput => Unit::EventsPerSecond,
            Metric::Code(_) | Metric::Lost | Metric::Dup | Metric::Measure(_) => Unit::Plain,
            Metric::Offered | Metric::Rejected | Metric::RecoveryTime => {
                return Err(first.fault(format!("`{}` has no unit: {allowed}", first.text)));
            }
        },
    };
    let countable = matches!(unit, Unit::Plain | Unit::EventsPerSecond);
    if scale > 1.0 && !countable {
        return Err(first.fault(format!("k and M are for counts and events/s, not for {metric}: {allowed}")));
    }
    let amount = amount * scale;
    if op == Op::Less && amount == 0.0 && !matches!(metric, Metric::Measure(_)) {
        return Err(first.fault(format!("{metric} is never below 0: write `{metric} <= 0`")));
    }
    if unit == Unit::Percent && amount > 100.0 && !matches!(metric, Metric::Offered | Metric::Measure(_)) {
        return Err(first.fault(format!("{metric} is never above 100%: give a percentage from 0 to 100")));
    }
    Ok(Limit::Value(amount, unit))
}

fn parse_unit(text: &str) -> Option<Unit> {
    match text.to_ascii_lowercase().as_str() {
        "us" | "µs" => Some(Unit::Us),
        "ms" => Some(Unit::Ms),
        "s" => Some(Unit::S),
        "%" => Some(Unit::Percent),
        "events/s" => Some(Unit::EventsPerSecond),
        _ => None,
    }
}
