//! Settings, which Lambda hands over as environment variables. A bad one ends the function at its start, with its name.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A variable that can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("environment variable {name} {problem}")]
pub(crate) struct SettingError {
    name: &'static str,
    problem: String,
}

/// Where variables are looked up.
pub(crate) struct Environment<'a>(pub(crate) &'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    /// The variable's text; `None` where it is not set or empty.
    pub(crate) fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|text| !text.is_empty())
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<String, SettingError> {
        self.optional(name).ok_or_else(|| SettingError { name, problem: "is not set".to_owned() })
    }

    pub(crate) fn number<T>(
        &self,
        name: &'static str,
        default: T,
        allowed: RangeInclusive<T>,
    ) -> Result<T, SettingError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.optional(name) else { return Ok(default) };
        let number = text.trim().parse().ok().filter(|number| allowed.contains(number));
        number.ok_or_else(|| {
            let problem = format!("is {text:?}, and has to be a number from {} to {}", allowed.start(), allowed.end());
            SettingError { name, problem }
        })
    }

    /// A duration in words, such as `400d`.
    pub(crate) fn duration(&self, name: &'static str, default: Duration) -> Result<Duration, SettingError> {
        let Some(text) = self.optional(name) else { return Ok(default) };
        humantime::parse_duration(text.trim())
            .map_err(|_| SettingError { name, problem: format!("is {text:?}, and has to be a duration such as 400d") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_variable_is_named_and_a_missing_one_has_its_default() {
        let look_up = |name: &str| match name {
            "TABLE" => Some("apps".to_owned()),
            "COUNT" => Some("70".to_owned()),
            "AGE" => Some("2d".to_owned()),
            "BAD" => Some("many".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let environment = Environment(&look_up);
        assert_eq!(environment.required("TABLE").as_deref(), Ok("apps"));
        assert_eq!(environment.number("COUNT", 1, 0..=100), Ok(70));
        assert_eq!(environment.number("NONE", 1, 0..=100), Ok(1));
        assert_eq!(environment.duration("AGE", Duration::ZERO), Ok(Duration::from_secs(172_800)));
        let error = |result: Result<String, SettingError>| result.expect_err("is bad").to_string();
        assert_eq!(error(environment.required("EMPTY")), "environment variable EMPTY is not set");
        for bad in [environment.number("BAD", 1, 0..=100), environment.number("COUNT", 1, 0..=69)] {
            assert!(error(bad.map(|number| number.to_string())).contains("has to be a number from 0 to "));
        }
        let bad = environment.duration("BAD", Duration::ZERO).map(|_| String::new());
        assert!(error(bad).contains("BAD is \"many\""));
    }
}
