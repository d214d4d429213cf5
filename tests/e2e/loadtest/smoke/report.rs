//! The report of a smoke test, read as XML.

use std::path::Path;

use serde::Deserialize;

/// The one suite of a report.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    #[serde(rename = "@tests")]
    tests: usize,
    #[serde(rename = "@failures")]
    failures: usize,
    #[serde(rename = "@errors")]
    errors: usize,
    #[serde(rename = "@skipped")]
    skipped: usize,
    #[serde(rename = "testcase")]
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Suites {
    testsuite: Report,
}

#[derive(Debug, Deserialize)]
struct Case {
    #[serde(rename = "@name")]
    name: String,
    #[serde(rename = "@time")]
    time: f64,
    failure: Option<Failure>,
    skipped: Option<Skipped>,
    #[serde(rename = "system-out", default)]
    out: String,
}

#[derive(Debug, Deserialize)]
struct Failure {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "@message")]
    message: String,
    #[serde(rename = "$text")]
    text: String,
}

#[derive(Debug, Deserialize)]
struct Skipped {
    #[serde(rename = "@message")]
    message: String,
}

impl Report {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the report is written");
        let suites: Suites = quick_xml::de::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let report = suites.testsuite;
        assert_eq!((report.tests, report.errors), (report.cases.len(), 0), "{text}");
        let count = |is: fn(&Case) -> bool| report.cases.iter().filter(|case| is(case)).count();
        assert_eq!(report.failures, count(|case| case.failure.is_some()), "{text}");
        assert_eq!(report.skipped, count(|case| case.skipped.is_some()), "{text}");
        assert!(report.cases.iter().all(|case| case.time >= 0.0 && case.time < 600.0), "{text}");
        report
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.cases.iter().map(|case| case.name.as_str()).collect()
    }

    /// Steps, failed ones and skipped ones.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.tests, self.failures, self.skipped)
    }

    pub(crate) fn passed(&self, step: &str) -> bool {
        let case = self.case(step);
        case.failure.is_none() && case.skipped.is_none()
    }

    /// Its kind, and what it says.
    pub(crate) fn failure(&self, step: &str) -> (&str, &str) {
        let case = self.case(step);
        let failure = case.failure.as_ref().unwrap_or_else(|| panic!("{step} has not failed: {case:?}"));
        assert_eq!(failure.message, failure.text);
        (&failure.kind, &failure.message)
    }

    pub(crate) fn skip(&self, step: &str) -> &str {
        let case = self.case(step);
        &case.skipped.as_ref().unwrap_or_else(|| panic!("{step} is not skipped: {case:?}")).message
    }

    pub(crate) fn out(&self, step: &str) -> &str {
        &self.case(step).out
    }

    fn case(&self, step: &str) -> &Case {
        self.cases.iter().find(|case| case.name == step).unwrap_or_else(|| panic!("no {step}: {self:?}"))
    }
}
