//! Every setting by its name, with its value and where that came from. Secrets are not among the values.

use figment::value::Value;

use super::Settings;

/// The source of what nobody has set.
pub(super) const DEFAULT: &str = "default";

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Source {
    /// Its name, such as `grpc.listen`.
    pub setting: String,
    /// Its value, as it would be written in the file.
    pub value: String,
    /// `default`, the file, the environment variable or the flag.
    pub source: String,
}

impl Source {
    /// Whether nobody has set it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.source == DEFAULT
    }
}

/// Every setting in the order of their names; `source` says where a setting of this name and value came from.
pub(super) fn of(settings: &Settings, source: impl Fn(&str, &str) -> String) -> Vec<Source> {
    let mut found = Vec::new();
    if let Ok(value) = Value::serialize(settings) {
        collect(String::new(), &value, &mut |setting, value| {
            let source = source(&setting, &value);
            found.push(Source { setting, value, source });
        });
    }
    found.sort_by(|one, other| one.setting.cmp(&other.setting));
    found
}

fn collect(path: String, value: &Value, found: &mut impl FnMut(String, String)) {
    let Value::Dict(_, dict) = value else { return found(path, shown(value)) };
    for (key, value) in dict {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        collect(path, value, found);
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Num(_, number) => number
            .to_u128()
            .map(|whole| whole.to_string())
            .or_else(|| number.to_i128().map(|whole| whole.to_string()))
            .or_else(|| number.to_f64().map(|real| real.to_string()))
            .unwrap_or_default(),
        Value::Empty(..) => "unset".to_owned(),
        Value::Array(_, values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Char(..) | Value::Dict(..) => String::new(),
    }
}
