//! Goose's own flags: which are refused and why, how long its ramp takes, and what Goose is told for a run.
//!
//! A flag that would have no effect, or that Goose would refuse without a reason, is refused here by its name.

use std::time::Duration;

use goose::config::GooseConfiguration;
use serde_json::Value;

use super::Failure;
use crate::config::RunConfig;
use crate::slo::{Rule, goose_threshold};

/// Goose's clock starts before the schedule: it takes a second to start its users, each builds its players, and connections
/// are opened. Goose goes on for so long past the schedule's end, so that it never cuts a run short.
const MARGIN: Duration = Duration::from_secs(3);
const MARGIN_A_USER: Duration = Duration::from_millis(2);
const MARGIN_A_PLAYER: Duration = Duration::from_micros(1);
/// The flags that mean the same without Goose, as fields of its configuration.
const WITHOUT_GOOSE: [&str; 3] = ["host", "users", "run_time"];

/// Refuses what can't be used whoever drives.
pub(super) fn refuse(goose: &GooseConfiguration) -> Result<(), Failure> {
    let rule = "give --slo, such as --slo \"ack.p99 < 100ms\" or --slo \"error-rate < 1%\"";
    let all_at_once = "all servers end with the schedule: give --test-plan to let them leave";
    for (given, flag, mend) in [
        (goose.co_mitigation.is_some(), "--co-mitigation", "latencies count from the intended instant as it is"),
        (goose.throttle_requests.is_some(), "--throttle-requests", "it holds HTTP requests only: give --event-rate"),
        (goose.iterations.is_some(), "--iterations", "game servers have no end of their own: give --run-time"),
        (goose.no_autostart, "--no-autostart", "the schedule begins by itself: give --start-at"),
        (goose.no_metrics, "--no-metrics", "a run without figures can't be judged"),
        (!goose.threshold.is_empty(), "--threshold", rule),
        (goose.no_threshold_abort, "--no-threshold-abort", "no rule ends a run unless --abort-on-slo is given"),
        (goose.threshold_abort_delay.is_some(), "--threshold-abort-delay", "give --slo and --abort-on-slo"),
        (goose.decrease_rate.is_some() && !is_open_ended(goose), "--decrease-rate", all_at_once),
        (goose.decrease_time.is_some() && !is_open_ended(goose), "--decrease-time", all_at_once),
    ] {
        if given {
            return Err(Failure::usage(format!("{flag} can't be used: {mend}")));
        }
    }
    if !is_open_ended(goose) {
        return Ok(());
    }
    for (given, flag) in [
        (goose.users.is_some(), "--users"),
        (goose.run_time.is_some(), "--run-time"),
        (goose.increase_rate.is_some(), "--increase-rate"),
        (goose.increase_time.is_some(), "--increase-time"),
        (goose.decrease_rate.is_some(), "--decrease-rate"),
        (goose.decrease_time.is_some(), "--decrease-time"),
        (goose.no_reset_metrics, "--no-reset-metrics"),
    ] {
        if given {
            return Err(Failure::usage(format!(
                "{flag} can't be used with --test-plan, which says when users come and go"
            )));
        }
    }
    Ok(())
}

/// Refuses every flag that only Goose would heed, where it does not drive; `who` says why it does not.
pub(super) fn refuse_without_goose(goose: &GooseConfiguration, who: &str) -> Result<(), Failure> {
    let (given, unset) = (fields(goose), fields(&GooseConfiguration::default()));
    let heeded = |field: &String| WITHOUT_GOOSE.contains(&field.as_str());
    let flag = given.iter().find(|(field, value)| !heeded(field) && unset.get(*field) != Some(*value));
    match flag {
        Some((field, _)) => Err(Failure::usage(format!(
            "--{} is a flag of Goose, and {who} does not use Goose: leave it away",
            field.replace('_', "-")
        ))),
        None => Ok(()),
    }
}

/// Whether a test plan says when users come and go.
pub(super) fn is_open_ended(goose: &GooseConfiguration) -> bool {
    fields(goose).get("test_plan").is_some_and(|plan| !plan.is_null())
}

/// The users that a test plan starts, one after another; none without a plan.
pub(super) fn planned_users(goose: &GooseConfiguration) -> Option<u32> {
    let fields = fields(goose);
    let steps = fields.get("test_plan")?.get("steps")?.as_array()?.iter();
    let mut before = 0;
    let started: u64 = steps
        .filter_map(|step| step.get(0)?.as_u64())
        .map(|users| users.saturating_sub(std::mem::replace(&mut before, users)))
        .sum();
    Some(u32::try_from(started).unwrap_or(u32::MAX))
}

/// The settings by name. Some of Goose's fields are its own, so they are looked for in its JSON.
fn fields(goose: &GooseConfiguration) -> serde_json::Map<String, Value> {
    match serde_json::to_value(goose) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

/// How long it takes Goose to start so many users, where a flag says how fast; none if it starts them all at once.
pub(super) fn ramp(goose: &GooseConfiguration, users: usize) -> Result<Option<Duration>, Failure> {
    let time = match goose.increase_time.as_deref() {
        Some(text) => Some(goose::util::parse_timespan(text).ok_or_else(|| {
            Failure::usage(format!("--increase-time {text}: give a time in whole seconds, such as 90, 90s or 1m30s"))
        })?),
        None => None,
    };
    match (time.filter(|seconds| *seconds > 0), goose.increase_rate.as_deref()) {
        (Some(_), Some(_)) => Err(Failure::usage("give either --increase-time or --increase-rate")),
        (Some(_), None) if users < 2 => Err(Failure::usage("--increase-time needs at least two --users")),
        (Some(seconds), None) => Ok(Some(Duration::from_secs(seconds as u64))),
        (None, None) => Ok(None),
        (None, Some(text)) => {
            let rate = text.parse::<f32>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
            let time = rate.and_then(|rate| Duration::try_from_secs_f64(users as f64 / f64::from(rate)).ok());
            let wrong = || Failure::usage(format!("--increase-rate {text}: give users a second, above 0"));
            time.map(Some).ok_or_else(wrong)
        }
    }
}

/// Whether Goose starts its users one after another.
pub(super) fn ramps(goose: &GooseConfiguration) -> bool {
    // How many users there are does not matter to whether it takes time.
    ramp(goose, 2).is_ok_and(|ramp| ramp.is_some())
}

/// Goose users of this shard: its game servers, and the clients beside them.
pub(super) fn users(config: &RunConfig) -> usize {
    let users = [config.servers_of_shard(), config.closed_loop_of_shard(), config.bad_clients_of_shard()];
    users.map(|users| users as usize).iter().sum()
}

/// The users of the largest shard: what follows from their number has to be the same for all shards.
pub(super) fn most_users(config: &RunConfig) -> usize {
    let of = config.shard.of;
    let shard = |index| RunConfig { shard: crate::config::ShardOf { index, of }, ..config.clone() };
    (1..=of.min(config.servers)).map(|index| users(&shard(index))).max().unwrap_or(0)
}

/// What Goose is told, for a schedule that begins after `wait`.
pub(super) fn configure(
    goose: &GooseConfiguration,
    config: &RunConfig,
    wait: Duration,
    rules: &[Rule],
    summary: bool,
) -> Result<GooseConfiguration, Failure> {
    let mut goose = goose.clone();
    goose.host = Some(config.endpoint.clone());
    if !is_open_ended(&goose) {
        let users = users(config);
        let ramp = ramp(&goose, users)?;
        if ramp.is_none() {
            goose.increase_time = None;
            goose.increase_rate = Some(users.to_string());
        }
        // Goose counts from the end of its ramp, and the schedule from its first user.
        let held = config.run_time.saturating_sub(ramp.unwrap_or_default());
        let run_time = held + margin(users, config.players_of_shard()) + wait;
        goose.run_time = Some(format!("{}", run_time.as_secs_f64().ceil() as u64));
        goose.users = Some(users);
        // Goose refuses it beside a test plan, which never resets anything.
        goose.no_reset_metrics = true;
    }
    // What would judge twice, or cost time without saying more.
    goose.no_transaction_metrics = true;
    goose.no_scenario_metrics = true;
    goose.no_telnet = true;
    if goose.verbose == 0 {
        goose.quiet = 3;
    }
    goose.no_print_metrics = !summary;
    goose.no_threshold_abort = true;
    goose.threshold = rules.iter().filter_map(goose_threshold).collect();
    Ok(goose)
}

fn margin(users: usize, players: u32) -> Duration {
    MARGIN + MARGIN_A_USER * u32::try_from(users).unwrap_or(u32::MAX) + MARGIN_A_PLAYER * players
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::config::ShardOf;

    fn given(flags: &[&str]) -> GooseConfiguration {
        let command = GooseConfiguration::augment_args(Command::new("run").disable_version_flag(true));
        let matches = command.try_get_matches_from([&["run"], flags].concat()).expect("Goose takes the flags");
        GooseConfiguration::from_arg_matches(&matches).expect("a configuration")
    }

    fn refused(flags: &[&str]) -> String {
        let Err(Failure { status, what }) = refuse(&given(flags)) else { panic!("{flags:?} is taken") };
        assert_eq!(status, Failure::USAGE);
        what
    }

    fn config() -> RunConfig {
        RunConfig { servers: 20, run_time: Duration::from_secs(90), ..RunConfig::default() }
    }

    fn told(flags: &[&str]) -> GooseConfiguration {
        let Ok(told) = configure(&given(flags), &config(), Duration::ZERO, &[], false) else { panic!("refused") };
        told
    }

    #[test]
    fn a_test_plan_is_given_to_goose_with_nothing_that_it_refuses_beside_it() {
        let goose = told(&["--test-plan", "10,10s;10,30s;0,5s"]);
        assert!(!goose.no_reset_metrics && goose.users.is_none() && goose.run_time.is_none());
        assert!(goose.increase_rate.is_none() && goose.increase_time.is_none());
        for beside in ["--users", "--run-time", "--increase-rate", "--increase-time", "--decrease-time"] {
            let what = refused(&["--test-plan", "10,10s", beside, "5"]);
            assert!(what.starts_with(beside) && what.contains("--test-plan"), "{what}");
        }
        assert_eq!(planned_users(&given(&["--test-plan", "10,1s;4,1s;9,1s;0,1s"])), Some(15));
        assert_eq!(planned_users(&given(&[])), None);
    }

    #[test]
    fn thresholds_are_refused_and_our_rules_named() {
        let what = refused(&["--threshold", "p95<500ms"]);
        assert!(what.starts_with("--threshold ") && what.contains("--slo"), "{what}");
        assert!(refused(&["--threshold-abort-delay", "5"]).contains("--slo"));
        assert!(refused(&["--no-threshold-abort"]).contains("--abort-on-slo"));
    }

    #[test]
    fn goose_outlasts_the_schedule_however_many_servers_come_up() {
        let run_time = |goose: GooseConfiguration| goose.run_time.expect("a run time").parse::<u64>().expect("seconds");
        assert_eq!(run_time(told(&[])), 94);
        let many = RunConfig { servers: 2_000, players: 3_000_000, ..config() };
        let Ok(goose) = configure(&given(&[]), &many, Duration::from_secs(10), &[], false) else { panic!("refused") };
        assert_eq!(run_time(goose), 90 + 3 + 4 + 3 + 10);
    }

    #[test]
    fn gooses_ramp_is_part_of_the_schedule_and_not_of_its_run_time() {
        let ramp = |flags: &[&str]| ramp(&given(flags), 20).map_err(|failure| failure.what);
        assert_eq!(ramp(&["--increase-time", "1m30s"]), Ok(Some(Duration::from_secs(90))));
        assert_eq!(ramp(&["--increase-rate", ".5"]), Ok(Some(Duration::from_secs(40))));
        assert_eq!(ramp(&["--increase-time", "0"]), Ok(None));
        assert_eq!(ramp(&[]), Ok(None));
        for wrong in [&["--increase-time", "1.5s"][..], &["--increase-rate", "fast"], &["--increase-rate", "0"]] {
            assert!(ramp(wrong).is_err_and(|what| what.starts_with(wrong[0])));
        }
        assert!(ramp(&["--increase-time", "5", "--increase-rate", "5"]).is_err());
        // The schedule of 90 s is a ramp of 30 s and then 60 s, which is what Goose counts.
        let goose = told(&["--increase-time", "30s"]);
        assert_eq!((goose.run_time.as_deref(), goose.increase_rate), (Some("64"), None));
        let goose = told(&["--increase-time", "0"]);
        assert_eq!((goose.increase_time, goose.increase_rate.as_deref()), (None, Some("20")));
    }

    #[test]
    fn flags_that_nobody_would_heed_are_refused_by_name() {
        let without = |flags: &[&str]| refuse_without_goose(&given(flags), "--driver native").map_err(|no| no.what);
        assert_eq!(without(&["--host", "http://[::1]:1", "--users", "4", "--run-time", "5s"]), Ok(()));
        for flags in [
            &["--increase-time", "5"][..],
            &["--increase-rate", "5"],
            &["--test-plan", "5,5"],
            &["--report-file", "report.html"],
            &["--dashboard"],
            &["--dashboard-port", "9000"],
            &["--request-log", "requests"],
            &["--no-print-metrics"],
        ] {
            let what = without(flags).expect_err(flags[0]);
            assert!(what.starts_with(&format!("{} is a flag of Goose", flags[0])), "{what}");
        }
    }

    #[test]
    fn the_largest_shard_decides_for_all() {
        let shard = |index| RunConfig { closed_loop: 1, shard: ShardOf { index, of: 3 }, ..config() };
        assert_eq!([1, 2, 3].map(|index| users(&shard(index))), [6, 7, 8]);
        assert_eq!([1, 2, 3].map(|index| most_users(&shard(index))), [8, 8, 8]);
    }
}
