//! The rules that Goose can judge too.

use super::rule::{Limit, Metric, Op, Rule, SeriesName, Stat, Unit};

/// The same rule in the grammar of Goose's `--threshold`, so that Goose's own report shows it; none if Goose can't say
/// it, or would refuse it.
///
/// Goose judges all requests of the whole run, warm-up included, and counts requests where we count events: its verdict
/// is for its report, and never the run's.
#[must_use]
pub fn goose_threshold(rule: &Rule) -> Option<String> {
    let Limit::Value(number, unit) = rule.limit else { return None };
    if rule.class.is_some() || rule.phase.is_some() {
        return None;
    }
    let metric = match &rule.metric {
        Metric::Latency(SeriesName::Ack, Stat::Percentile(percent)) => format!("p{percent}"),
        Metric::Latency(SeriesName::Ack, Stat::Average) => "avg".to_owned(),
        Metric::Latency(SeriesName::Ack, Stat::Max) => "max".to_owned(),
        Metric::ErrorRate if rule.op == Op::Greater && number >= 100.0 => return None,
        Metric::ErrorRate => "error-rate".to_owned(),
        _ => return None,
    };
    let op = rule.op.sign();
    debug_assert!(matches!(unit, Unit::Us | Unit::Ms | Unit::S | Unit::Percent));
    Some(format!("{metric}{op}{number}{}", unit.suffix()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_rules_are_goose_thresholds() {
        for (rule, expected) in [
            ("p99 < 50", Some("p99<50ms")),
            ("ack.p99.9 <= 1.5s", Some("p99.9<=1.5s")),
            ("ack.p100 < 900us", Some("max<900us")),
            ("ack.avg > 1ms", Some("avg>1ms")),
            ("error-rate <= 0.1%", Some("error-rate<=0.1%")),
            ("error-rate > 100%", None),
            ("service.p99 < 50ms", None),
            ("ack.p99 < 50ms for good", None),
            ("ack.p99 < 50ms during hold", None),
            ("ack.p99 < 2x baseline", None),
            ("goodput > 5k", None),
        ] {
            let threshold = goose_threshold(&Rule::parse(rule).expect(rule));
            assert_eq!(threshold.as_deref(), expected, "{rule}");
            #[cfg(feature = "cli")]
            if let Some(threshold) = threshold {
                let parsed = threshold.parse::<goose::threshold::Threshold>().expect("Goose reads it");
                assert_eq!(parsed.to_string(), threshold);
            }
        }
    }
}
