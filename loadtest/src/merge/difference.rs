//! In what two configurations differ, field by field.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::config::RunConfig;

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The setting, such as `profile.peak` or `slos[2]`.
    pub field: String,
    /// The first one's value; nothing if it has no such field.
    pub a: Value,
    /// The second one's value.
    pub b: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({} and {})", self.field, self.a, self.b)
    }
}

/// The settings that differ, of those that [`RunConfig::hash`] covers: neither the endpoint, the run's id nor the shard.
#[must_use]
pub fn differences(a: &RunConfig, b: &RunConfig) -> Vec<Difference> {
    let value = |config: &RunConfig| serde_json::to_value(config).unwrap_or_default();
    let mut found = Vec::new();
    walk("", &value(a), &value(b), &mut found);
    let covered = |field: &str| !matches!(field, "endpoint" | "run_id") && !field.starts_with("shard.");
    found.retain(|difference| covered(&difference.field));
    found
}

/// All of them in one sentence.
pub(super) fn list(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "the hashes differ but no setting does, as after a change of the load tester".to_owned();
    }
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn walk(path: &str, a: &Value, b: &Value, found: &mut Vec<Difference>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let only_b = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(only_b) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for place in 0..a.len().max(b.len()) {
                let of = |values: &[Value]| values.get(place).cloned().unwrap_or_default();
                walk(&format!("{path}[{place}]"), &of(a), &of(b), found);
            }
        }
        _ if a != b => found.push(Difference { field: path.to_owned(), a: a.clone(), b: b.clone() }),
        _ => {}
    }
}
