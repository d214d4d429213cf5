//! CloudWatch's embedded metric format: a line of JSON in the log that CloudWatch takes for metrics. It needs no call and no
//! permission, and a line that is not understood is still a line of the log.
//!
//! Limits of the format (CloudWatch user guide, "Specification: Embedded metric format"): 100 metrics and 30 dimensions a
//! document, 1 MB; of CloudWatch itself (`PutMetricData`): dimension values of 1 to 1,024 ASCII characters without control
//! characters, and times from two weeks ago to two hours ahead. A document here holds at most a handful of metrics: all of
//! them have the same dimensions, and a document has one value for each.

use std::fmt::Write;
use std::io::{self, Write as _};

use serde_json::{Map, Value, json};

const MAX_VALUE: usize = 1_024;

/// One document, a line without its end.
pub(crate) fn document(
    namespace: &str,
    timestamp_ms: i64,
    dimensions: &[(&str, &str)],
    metrics: &[(&str, u64)],
    properties: &[(&str, &str)],
) -> String {
    debug_assert!(metrics.len() <= 100 && dimensions.len() <= 30);
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let definitions: Vec<Value> = metrics.iter().map(|(name, _)| json!({"Name": name, "Unit": "Count"})).collect();
    let mut root = Map::new();
    root.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": timestamp_ms,
            "CloudWatchMetrics": [{"Namespace": namespace, "Dimensions": [names], "Metrics": definitions}],
        }),
    );
    root.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
    root.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), Value::from(dimension_value(value)))));
    root.extend(metrics.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
    Value::Object(root).to_string()
}

/// Writes documents to standard output, each a line.
pub(crate) fn write(documents: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for document in documents {
        // A line and its end in one piece: Lambda takes what it reads at once for one entry of the log.
        out.write_all(format!("{document}\n").as_bytes())?;
    }
    out.flush()
}

/// A value that CloudWatch takes: other characters are written as Rust and JavaScript escape them, so that different values
/// stay different.
fn dimension_value(value: &str) -> String {
    let mut safe = String::with_capacity(value.len());
    for character in value.chars() {
        if character == ' ' || character.is_ascii_graphic() {
            safe.push(character);
        } else {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        }
    }
    safe.truncate(MAX_VALUE);
    if safe.trim().is_empty() { "(blank)".to_owned() } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_what_it_holds() {
        let document = document("game/AWSGameAnalytics", 60_000, &[("A", "x")], &[("M", 2), ("N", 0)], &[("p", "q")]);
        let expected = json!({
            "_aws": {"Timestamp": 60_000, "CloudWatchMetrics": [{
                "Namespace": "game/AWSGameAnalytics", "Dimensions": [["A"]],
                "Metrics": [{"Name": "M", "Unit": "Count"}, {"Name": "N", "Unit": "Count"}],
            }]},
            "A": "x", "M": 2, "N": 0, "p": "q",
        });
        assert_eq!(serde_json::from_str::<Value>(&document).expect("is JSON"), expected);
        assert!(!document.contains('\n'));
    }

    #[test]
    fn values_are_what_cloudwatch_takes_and_stay_different() {
        assert_eq!(dimension_value("fire ball-1"), "fire ball-1");
        assert_eq!(dimension_value("é\n"), "\\u{e9}\\u{a}");
        assert_eq!(dimension_value(" "), "(blank)");
        assert_eq!(dimension_value(&"é".repeat(1_000)).len(), MAX_VALUE);
    }
}
