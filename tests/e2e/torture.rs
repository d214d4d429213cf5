//! A short torture: plans that are always the same, chosen so that every destination and nearly every fault is among them.
//! The long one, with plans that are drawn anew, is `torture` by hand (docs/reliability.md).

use std::process::{Command, Stdio};

use headgate_tests::torture::plan::{Plan, Scope};

const FIXED: u64 = 12;

/// Random faults that overlap, under load: no acknowledged event is lost, none is without a verdict, nothing is stored that
/// was refused, nothing is held at the end, and the gateway is well again by itself.
#[test]
fn gateways_keep_every_promise_under_random_faults() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_torture"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HEADGATE_")) {
        command.env_remove(name);
    }
    for seed in 0..FIXED {
        command.args(["--seed", &seed.to_string()]);
    }
    let output = command.args(["--jobs", "8"]).stdin(Stdio::null()).output().expect("torture can be run");
    let (said, sums) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    println!("{said}\n{sums}");
    assert!(output.status.success(), "a promise is broken (above)");
}

#[test]
fn the_fixed_plans_meet_every_destination_and_most_faults() {
    let plans: Vec<_> = (0..FIXED).map(|seed| Plan::of(seed, Scope::ALL)).collect();
    let distinct = |words: Vec<String>| words.into_iter().collect::<std::collections::BTreeSet<_>>().len();
    let destinations = distinct(plans.iter().map(|plan| format!("{:?}", plan.house.destination)).collect());
    let faults =
        distinct(plans.iter().flat_map(|plan| &plan.strikes).map(|strike| strike.fault.name().to_owned()).collect());
    assert!(destinations >= 6, "{destinations} destinations");
    assert!(faults >= 18, "{faults} faults");
}
