//! Whether what answers is what was deployed.

use std::collections::{BTreeMap, BTreeSet};

use headgate_proto::admin::v1::Gateway;

use super::course::Notes;
use super::doors::{Doors, patiently};
use super::{Expected, Problem};

/// How often it is asked, each time on a new connection: a load balancer has several gateways behind it, and one in ten
/// connections may be a canary's.
const ASKED: usize = 20;
/// Fewer digits of a commit stand for several.
const LEAST_DIGITS: usize = 7;

pub(super) async fn check(doors: &Doors, expected: &Expected, notes: &mut Notes<'_>) -> Result<(), Problem> {
    let mut builds: BTreeMap<String, (usize, Gateway)> = BTreeMap::new();
    let mut gateways = BTreeSet::new();
    for _ in 0..ASKED {
        let asked = patiently(async || doors.office().await?.gateway().await).await;
        let gateway = asked.map_err(|status| Problem::call("asking which build answers", &status))?;
        // Started in the same nanosecond, two would count as one, which is only shown.
        gateways.extend(gateway.started_at.map(|at| (at.seconds, at.nanos)));
        builds.entry(name(&gateway)).or_insert((0, gateway)).0 += 1;
    }
    let shown: Vec<String> = builds.iter().map(|(name, (answers, _))| format!("{name} in {answers} answers")).collect();
    let shown = shown.join(", ");
    notes.figure(format!("{shown}, by {} gateways", gateways.len()));
    // Another build that answers everywhere is worth more than that some answers differ.
    if let Some((served, _)) = builds.iter().find(|(_, (_, gateway))| !expected.is(gateway)) {
        return Err(if builds.values().any(|(_, gateway)| expected.is(gateway)) {
            Problem::DifferentBuilds(shown)
        } else {
            Problem::OtherBuild { served: served.clone(), expected: expected.to_string() }
        });
    }
    if builds.len() > 1 { Err(Problem::DifferentBuilds(shown)) } else { Ok(()) }
}

/// As `headgate --version` has it.
fn name(gateway: &Gateway) -> String {
    let Gateway { version, commit, build, .. } = gateway;
    match (commit.is_empty(), build.is_empty()) {
        (true, _) => format!("{version} (development build)"),
        (false, true) => format!("{version} (commit {commit})"),
        (false, false) => format!("{version} (commit {commit}, build {build})"),
    }
}

impl Expected {
    fn is(&self, gateway: &Gateway) -> bool {
        self.version.as_ref().is_none_or(|version| *version == gateway.version)
            && self.commit.as_ref().is_none_or(|commit| is_commit(&gateway.commit, commit))
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.version, &self.commit) {
            (Some(version), Some(commit)) => write!(f, "{version} (commit {commit})"),
            (Some(version), None) => f.write_str(version),
            (None, Some(commit)) => write!(f, "commit {commit}"),
            (None, None) => f.write_str("any"),
        }
    }
}

/// Whether a commit is meant by what may be its first digits. With changes on top it is another one.
fn is_commit(served: &str, expected: &str) -> bool {
    let is_whole = served.bytes().all(|byte| byte.is_ascii_hexdigit());
    served == expected || (is_whole && expected.len() >= LEAST_DIGITS && served.starts_with(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_known_by_its_first_digits_and_with_changes_on_top_is_another() {
        let whole = "0123456789abcdef0123456789abcdef01234567";
        assert!(is_commit(whole, whole) && is_commit(whole, &whole[..7]));
        for other in [&whole[..6], "", "1123456", &whole[1..]] {
            assert!(!is_commit(whole, other), "{other}");
        }
        let changed = format!("{whole}-dirty");
        assert!(is_commit(&changed, &changed) && !is_commit(&changed, whole));
        assert!(!is_commit("", whole), "a development build is of no commit");
    }

    #[test]
    fn a_build_is_what_is_expected_only_if_all_of_it_is() {
        let gateway = Gateway { version: "1.2.3".into(), commit: "abcdef0".into(), ..Gateway::default() };
        let expected = |version: Option<&str>, commit: Option<&str>| Expected {
            version: version.map(str::to_owned),
            commit: commit.map(str::to_owned),
        };
        assert!(expected(None, None).is(&gateway) && expected(Some("1.2.3"), Some("abcdef0")).is(&gateway));
        assert!(!expected(Some("1.2"), None).is(&gateway) && !expected(Some("1.2.3"), Some("abcdef1")).is(&gateway));
        assert_eq!(name(&gateway), "1.2.3 (commit abcdef0)");
        assert_eq!(expected(Some("1.2.3"), Some("abcdef1")).to_string(), "1.2.3 (commit abcdef1)");
    }
}
