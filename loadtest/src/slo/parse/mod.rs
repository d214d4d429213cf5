//! Reading a rule: see [`super::GRAMMAR`].
//!
//! The operator needs no blanks around it, as in Goose's `--threshold`; everything else is whole words. Keywords,
//! classes, phases, codes and units may be in any case, except `k` and `M`.

mod limit;
mod metric;

use std::ops::Range;
use std::str::FromStr;

use limit::parse_limit;
use metric::{METRICS, parse_metric};

use super::error::RuleError;
use super::rule::{Metric, Op, Rule};

const OPS: &str = "use <, <=, > or >=";
const AFTER_VALUE: &str = "only `for <class>` and `during <phase>` may follow the value";

/// A piece of the rule's text, and where it begins.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    at: usize,
}

/// What is wrong, and where.
type Fault = (Range<usize>, String);

impl Word<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }

    fn fault(&self, problem: impl Into<String>) -> Fault {
        (self.at..self.at + self.text.len(), problem.into())
    }
}

impl Rule {
    /// Reads a rule; see [`super::GRAMMAR`].
    ///
    /// # Errors
    /// The first word that does not fit, and what is allowed in its place.
    pub fn parse(rule: &str) -> Result<Self, RuleError> {
        parse(rule).map_err(|(at, problem)| RuleError { rule: rule.to_owned(), at, problem })
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(rule: &str) -> Result<Self, RuleError> {
        Self::parse(rule)
    }
}

fn parse(rule: &str) -> Result<Rule, Fault> {
    let is_op = |letter: char| "<>=!~".contains(letter);
    let end = Word { text: "", at: rule.trim_end().len() };
    let Some(op_at) = rule.find(is_op) else {
        let mut words = words(rule, 0).into_iter();
        let metric = words.next().ok_or_else(|| end.fault(format!("the rule is empty: {METRICS}")))?;
        parse_metric(metric)?;
        return Err(words.next().unwrap_or(end).fault(format!("an operator is missing before this: {OPS}")));
    };
    let after = op_at + rule[op_at..].find(|letter| !is_op(letter)).unwrap_or(rule.len() - op_at);
    let op = Word { text: &rule[op_at..after], at: op_at };

    let before = words(&rule[..op_at], 0);
    let metric_word = *before.first().ok_or_else(|| op.fault(format!("a metric is missing before this: {METRICS}")))?;
    let metric = parse_metric(metric_word)?;
    if let Some(second) = before.get(1) {
        return Err(second.fault(format!("an operator has to follow the metric: {OPS}")));
    }
    let op = match op.text {
        "<" => Op::Less,
        "<=" => Op::AtMost,
        ">" => Op::Greater,
        ">=" => Op::AtLeast,
        other => return Err(op.fault(format!("`{other}` is no operator: {OPS} (`<= 0` for none at all)"))),
    };

    let rest = words(&rule[after..], after);
    let value_words = rest.iter().take_while(|word| !word.is("for") && !word.is("during")).count();
    let (value, scopes) = rest.split_at(value_words);
    let limit = parse_limit(&metric, op, value, *scopes.first().unwrap_or(&end))?;
    let (class, phase) = parse_scopes(&metric, scopes, end)?;
    Ok(Rule { metric, op, limit, class, phase })
}

fn words(text: &str, offset: usize) -> Vec<Word<'_>> {
    text.split_whitespace()
        .map(|word| Word { text: word, at: offset + (word.as_ptr() as usize - text.as_ptr() as usize) })
        .collect()
}

/// Digits and at most one point: no sign, exponent, `inf` or `nan`.
fn number(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (digits && text.bytes().any(|byte| byte != b'.')).then(|| text.parse().ok()).flatten()
}

/// `for <class>` and `during <phase>`, in either order.
fn parse_scopes(
    metric: &Metric,
    mut scopes: &[Word<'_>],
    end: Word<'_>,
) -> Result<(Option<String>, Option<String>), Fault> {
    let (mut class, mut phase) = (None, None);
    while let [keyword, rest @ ..] = scopes {
        let is_class = keyword.is("for");
        if !is_class && !keyword.is("during") {
            return Err(keyword.fault(AFTER_VALUE));
        }
        if metric.whole_run_only() {
            return Err(keyword.fault(format!("{metric} is one figure for the whole run: leave this out")));
        }
        let name = *rest.first().unwrap_or(&end);
        let lower = name.text.to_ascii_lowercase();
        let place = if is_class { &mut class } else { &mut phase };
        if place.is_some() {
            return Err(keyword.fault(format!("`{}` may be given once", keyword.text)));
        }
        let known = if is_class { class_name(&lower) } else { Some(lower.as_str()) };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        let name =
            known.filter(|name| !name.is_empty() && name.chars().all(fits) && *name != "for" && *name != "during");
        *place = Some(
            name.ok_or_else(|| {
                rest.first().unwrap_or(&end).fault(if is_class {
                    "a class has to follow `for`, such as hot or good (also: app=hot, app=others)"
                } else {
                    "a phase's name has to follow `during`, such as ramp, hold or recovery"
                })
            })?
            .to_owned(),
        );
        scopes = &rest[1..];
    }
    Ok((class, phase))
}

/// `app=hot` is the class `hot`; everybody but the hot application is the class `good`.
fn class_name(word: &str) -> Option<&str> {
    match word.split_once('=') {
        None => Some(word),
        Some(("app", "others")) => Some("good"),
        Some(("app", app)) => Some(app),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(rule: &str) -> String {
        Rule::parse(rule).unwrap_or_else(|error| panic!("{error}")).to_string()
    }

    #[test]
    fn rules_are_read_in_every_spelling() {
        for (given, expected) in [
            ("p99<500", "ack.p99 < 500ms"),
            ("P99.9 <= 2S", "ack.p99.9 <= 2s"),
            ("max<1s", "ack.max < 1s"),
            ("ack.p100 < 1s", "ack.max < 1s"),
            ("  service.avg   <  900us ", "service.avg < 900us"),
            ("event_age.p50 < 1.25 s", "event_age.p50 < 1.25s"),
            ("lag.p99<=5MS", "lag.p99 <= 5ms"),
            ("Connect.Max < 3s during Storm", "connect.max < 3s during storm"),
            ("ack.p99 <= 1.1x baseline for good during noise", "ack.p99 <= 1.1x baseline for good during noise"),
            ("ack.p99 <= 1.1X BASELINE During noise FOR app=Others", "ack.p99 <= 1.1x baseline for good during noise"),
            ("p50 < 5ms for app=hot", "ack.p50 < 5ms for hot"),
            ("error-rate<1", "error-rate < 1%"),
            ("error-rate <= 0.01 %", "error-rate <= 0.01%"),
            ("code(resource_exhausted) <= 0 for good", "code(RESOURCE_EXHAUSTED) <= 0 for good"),
            ("code(UNAVAILABLE) < 2.5%", "code(UNAVAILABLE) < 2.5%"),
            ("code(INTERNAL) < 1k", "code(INTERNAL) < 1000"),
            ("goodput >= 50k", "goodput >= 50000 events/s"),
            ("goodput >= 1.2M events/s", "goodput >= 1200000 events/s"),
            ("goodput >= 0.95x baseline during hold", "goodput >= 0.95x baseline during hold"),
            ("offered >= 99%", "offered >= 99%"),
            ("rejected < 0.2%", "rejected < 0.2%"),
            ("lost <= 0", "lost <= 0"),
            ("dup <= 0.5%", "dup <= 0.5%"),
            ("recovery-time < 30s", "recovery-time < 30s"),
            ("measure(retry_amplification) <= 1.2", "measure(retry_amplification) <= 1.2"),
            ("measure(goodput_of_quota) >= 95%", "measure(goodput_of_quota) >= 95%"),
            ("measure(drift) < 0", "measure(drift) < 0"),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
            let rule = Rule::parse(given).expect("just parsed");
            assert_eq!(Rule::parse(expected).expect("canonical"), rule, "{given}");
        }
    }

    /// Every metric with every operator, value, class and phase that the grammar lets it have.
    #[test]
    fn the_canonical_text_parses_to_the_same_rule() {
        let latencies = ["ack.p0.1", "service.p33.333", "event_age.avg", "lag.max", "connect.p99.99"];
        let times = ["1us", "0.1ms", "123456.789ms", "3s", "0.3x baseline"];
        let shares = ["0.1%", "33.3%", "100%", "1.005x baseline"];
        let counts = ["1", "7k", "0.7M", "12.5%", "2x baseline"];
        let rates = ["1", "33.3k", "0.3M", "4 events/s", "0.1x baseline"];
        let groups: [(&[&str], &[&str], bool); 6] = [
            (&latencies, &times, true),
            (&["error-rate", "offered", "rejected"], &shares, true),
            (&["code(OK)", "code(DATA_LOSS)"], &counts, true),
            (&["goodput"], &rates, true),
            (&["lost", "dup", "measure(a.b-c_9)"], &counts, false),
            (&["recovery-time"], &times, false),
        ];
        let mut seen = 0;
        for (metrics, values, scoped) in groups {
            let scopes: &[&str] =
                if scoped { &["", "for good", "during hold", "for a-1 during b_2", "during x for y"] } else { &[""] };
            for metric in metrics {
                for value in values {
                    for (op, scope) in scopes.iter().flat_map(|scope| ["<", "<=", ">", ">="].map(|op| (op, scope))) {
                        let given = format!("{metric} {op} {value} {scope}");
                        let rule = Rule::parse(&given).unwrap_or_else(|error| panic!("{error}"));
                        let again = Rule::parse(&rule.to_string()).unwrap_or_else(|error| panic!("{error}"));
                        assert_eq!(again, rule, "{given}");
                        assert_eq!(again.to_string(), rule.to_string());
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 900, "{seen} rules");
    }

    #[test]
    fn an_error_points_at_the_word_and_says_what_is_allowed() {
        for (rule, word, allowed) in [
            ("", "", "use a latency"),
            ("   ", "", "use a latency"),
            ("p99", "", "use <, <="),
            ("p99 500ms", "500ms", "use <, <="),
            ("< 5ms", "<", "use a latency"),
            ("p99 = 5ms", "=", "use <, <="),
            ("lost == 0", "==", "`<= 0`"),
            ("p99 != 5ms", "!=", "use <, <="),
            ("p99 for hot < 5ms", "for", "use <, <="),
            ("latency < 5ms", "latency", "recovery-time"),
            ("acks.p99 < 5ms", "acks.p99", "event_age.p50"),
            ("ack < 5ms", "ack", "`ack.p99`"),
            ("ack.median < 5ms", "median", "p99.9"),
            ("ack.p < 5ms", "p", "p99.9"),
            ("ack.p101 < 5ms", "p101", "at most 100"),
            ("p999 < 5ms", "p999", "p99.9"),
            ("p0 < 5ms", "p0", "above 0"),
            ("code(TEAPOT) < 1", "TEAPOT", "RESOURCE_EXHAUSTED"),
            ("code(INTERNAL < 1", "code(INTERNAL", "`code(NAME)`"),
            ("measure() < 1", "measure()", "retry_amplification"),
            ("p99 <", "", "such as 50ms"),
            ("p99 < for hot", "for", "such as 50ms"),
            ("p99 < fast", "fast", "such as 50ms"),
            ("p99 < -5ms", "-5ms", "such as 50ms"),
            ("p99 < 1e3ms", "e3ms", "us, ms or s"),
            ("p99 < 5min", "min", "us, ms or s"),
            ("p99 < 5%", "%", "us, ms or s"),
            ("p99 < 5k", "5k", "us, ms or s"),
            ("p99 < 0ms", "0ms", "`ack.p99 <= 0`"),
            ("p99 < 1.1x", "1.1x", "`baseline`"),
            ("p99 < 1.1x normal", "normal", "`baseline`"),
            ("p99 < 1.1x baseline please", "please", "for <class>"),
            ("p99 < 5ms quickly", "quickly", "for <class>"),
            ("error-rate < 5ms", "ms", "0.1%"),
            ("error-rate < 101%", "101%", "0 to 100"),
            ("offered >= 0.99", "0.99", "a percentage"),
            ("recovery-time < 30", "30", "us, ms or s"),
            ("goodput > 5 events", "events", "events/s"),
            ("goodput > 5m", "m", "50k"),
            ("p99 < 5ms for", "", "hot or good"),
            ("p99 < 5ms for during hold", "during", "hot or good"),
            ("p99 < 5ms for game=hot", "game=hot", "app=hot"),
            ("p99 < 5ms during", "", "ramp, hold"),
            ("p99 < 5ms during hold during ramp", "during", "once"),
            ("p99 < 5ms for hot please", "please", "during <phase>"),
            ("lost <= 0 for hot", "for", "whole run"),
            ("measure(a) < 1 during hold", "during", "whole run"),
        ] {
            let error = Rule::parse(rule).expect_err(rule);
            assert_eq!(&error.rule[error.at.clone()], word, "{error}");
            assert!(error.problem.contains(allowed), "{rule}: {error}");
        }
    }

    #[test]
    fn the_error_underlines_the_word() {
        let error = Rule::parse("äck.p99 < 5ms").expect_err("no such series");
        let lines: Vec<_> = error.to_string().lines().skip(1).map(str::to_owned).collect();
        assert_eq!(lines, ["    äck.p99 < 5ms", "    ^^^^^^^"]);
        let error = Rule::parse("p99 < 5 parsecs").expect_err("no such unit").to_string();
        assert!(error.ends_with("\n    p99 < 5 parsecs\n            ^^^^^^^"), "{error}");
    }

    /// Whatever is typed, the answer is a rule or an error that lies within the text.
    #[test]
    fn no_text_makes_the_parser_panic() {
        let good = "ack.p99 <= 1.1x baseline for good during hold µ code(OK) 5% 3k";
        let letters: Vec<char> = good.chars().collect();
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..seed % 24 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push(letters[(seed >> 33) as usize % letters.len()]);
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 1;
            match Rule::parse(&text) {
                Ok(rule) => assert_eq!(Rule::parse(&rule.to_string()).as_ref(), Ok(&rule), "{text}"),
                Err(error) => assert!(error.rule.get(error.at.clone()).is_some(), "{error}"),
            }
        }
    }

    #[test]
    fn every_example_of_the_help_is_a_rule() {
        let (_, examples) = super::super::GRAMMAR.split_once("Examples\n").expect("there are examples");
        for rule in examples.lines() {
            assert_eq!(canonical(rule), rule.trim().replace("50k", "50000"));
        }
    }
}
