//! `headgate doctor`: what is right is found right and left as it was; what is wrong is named, with its mend.

mod aws;
mod here;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use headgate_tests::binary;
use serde_json::Value;

/// What a round found.
struct Found {
    code: Option<i32>,
    report: Value,
    stderr: String,
}

impl Found {
    /// The level of a check and everything that it says.
    fn of(&self, check: &str) -> (&str, String) {
        let checks = self.report["checks"].as_array().expect("a list of checks");
        let one = checks.iter().find(|one| one["check"] == check);
        let one = one.unwrap_or_else(|| panic!("no check {check:?} in {}", self.report));
        (one["level"].as_str().expect("a level"), format!("{} | {}", one["says"], one["mend"]))
    }

    /// Whether a check has this level and says all of these.
    fn assert(&self, check: &str, level: &str, says: &[&str]) {
        let (found, text) = self.of(check);
        assert_eq!(found, level, "{check}: {text}");
        for part in says {
            assert!(text.contains(part), "{check} does not say {part:?}: {text}");
        }
    }

    /// The checks of a level.
    fn named(&self, level: &str) -> Vec<&str> {
        let checks = self.report["checks"].as_array().expect("a list of checks").iter();
        checks.filter(|one| one["level"] == level).map(|one| one["check"].as_str().expect("a name")).collect()
    }
}

/// Runs it on ports of the system's choice where `settings` name none.
async fn doctor(data_dir: &Path, settings: &[&str], flags: &[&str], environment: &[(String, String)]) -> Found {
    let (data_dir, environment) = (data_dir.to_owned(), environment.to_vec());
    let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
    let (settings, flags) = (owned(settings), owned(flags));
    tokio::task::spawn_blocking(move || {
        let mut arguments: Vec<&OsStr> = ["doctor", "--output", "json", "--data-dir"].map(OsStr::new).to_vec();
        arguments.push(data_dir.as_os_str());
        let ports = ["grpc.listen", "rest.listen", "operate.listen"].map(|port| format!("{port}=127.0.0.1:0"));
        for setting in ports.iter().chain(&settings) {
            arguments.extend([OsStr::new("--set"), OsStr::new(setting)]);
        }
        arguments.extend(flags.iter().map(OsStr::new));
        let mut command = binary::command(&arguments);
        let output = command.envs(environment).stdin(Stdio::null()).output().expect("headgate can be run");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        Found { code: output.status.code(), report, stderr }
    })
    .await
    .expect("it runs")
}
