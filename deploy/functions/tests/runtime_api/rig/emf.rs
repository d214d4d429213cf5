//! Reads CloudWatch's embedded metric format as strictly as its specification is written.

use std::collections::BTreeMap;

use serde_json::Value;

/// A metric's dimensions, `NAME=value` joined by commas, and its name.
pub(crate) type Key = (String, String);

/// The metrics of these lines; those of one key are added up, as CloudWatch's `Sum` does.
pub(crate) fn read(lines: &[String], namespace: &str, expected_ms: Option<i64>) -> BTreeMap<Key, u64> {
    let mut metrics = BTreeMap::new();
    for line in lines {
        assert!(line.len() < 1 << 20, "a document holds 1 MB at most");
        let root: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let aws = root["_aws"].as_object().unwrap_or_else(|| panic!("no metadata: {line}"));
        let timestamp = aws["Timestamp"].as_i64().expect("milliseconds");
        assert!(expected_ms.is_none_or(|expected| expected == timestamp), "{timestamp}");
        for directive in aws["CloudWatchMetrics"].as_array().expect("directives") {
            assert_eq!(directive["Namespace"], namespace);
            let definitions = directive["Metrics"].as_array().expect("metrics");
            assert!((1..=100).contains(&definitions.len()));
            let sets = directive["Dimensions"].as_array().expect("sets of dimensions");
            for set in sets {
                let dimensions = dimensions(&root, set);
                for definition in definitions {
                    assert_eq!(definition["Unit"], "Count");
                    let name = definition["Name"].as_str().expect("a name").to_owned();
                    let value = root[&name].as_u64().unwrap_or_else(|| panic!("no {name}: {line}"));
                    *metrics.entry((dimensions.clone(), name)).or_default() += value;
                }
            }
        }
    }
    metrics
}

fn dimensions(root: &Value, set: &Value) -> String {
    let names = set.as_array().expect("a set of dimensions");
    assert!(names.len() <= 30);
    let dimension = |name: &Value| {
        let name = name.as_str().expect("a name");
        let value = root[name].as_str().unwrap_or_else(|| panic!("no {name}: {root}"));
        assert!((1..=1_024).contains(&value.len()) && !value.trim().is_empty(), "{value:?}");
        assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{value:?}");
        format!("{name}={value}")
    };
    names.iter().map(dimension).collect::<Vec<_>>().join(",")
}
