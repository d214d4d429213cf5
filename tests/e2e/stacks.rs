//! The stacks of `deploy/cloudformation`: what their own check says, whether the gateway takes what its container gets, and
//! what comes of events on what they make; and the sample beside them.

mod flow;
mod house;
mod leaderboard;
mod pipeline;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::Command;

use headgate_tests::{binary, python};
use serde_json::Value;

/// The check of the stacks, with its tools in the target folder.
fn check(step: Option<&str>) -> String {
    let mut check = Command::new(binary::workspace().join("deploy/cloudformation/check"));
    check.arg("--target").arg(binary::target_dir().0).args(step);
    python::run(&mut check).unwrap_or_else(|problem| panic!("{problem}"))
}

/// cfn-lint, our own rules, the joins of templates with code, and then every fault of a list in one template each: the
/// templates are good, and a template that is not does not pass.
#[test]
fn the_stacks_are_good_and_every_seeded_fault_in_them_is_caught() {
    let said = check(None);
    println!("{said}");
    assert!(said.contains("\nok     faults") && said.contains(" 0 failed"), "{said}");
}

fn check_config(variables: &BTreeMap<String, String>) -> (Option<i32>, Vec<u8>, String) {
    let mut command = binary::command(&["check-config", "--output", "json"].map(OsStr::new));
    let output =
        command.env("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE").envs(variables).output().expect("headgate can be run");
    (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Every variable of the container is a setting that comes from it, for each destination that the stack offers; one that
/// is misspelt is no setting and stops the start.
#[test]
fn the_gateway_takes_every_variable_of_its_container() {
    let environments: Vec<BTreeMap<String, String>> = serde_json::from_str(&check(Some("environment"))).expect("JSON");
    assert_eq!(environments.len(), 4, "a destination each");
    for variables in &environments {
        let (code, stdout, stderr) = check_config(variables);
        assert_eq!(code, Some(0), "{variables:?}: {stderr}");
        let told: Value = serde_json::from_slice(&stdout).expect("JSON");
        let settings = told["settings"].as_array().expect("settings");
        let sources: BTreeMap<&str, &str> = settings
            .iter()
            .map(|known| (known["setting"].as_str().expect("a name"), known["source"].as_str().expect("a source")))
            .collect();
        for variable in variables.keys() {
            let setting = variable.strip_prefix("HEADGATE_").expect("a setting").to_lowercase().replace("__", ".");
            let source = sources.get(setting.as_str()).copied();
            assert_eq!(source, Some(format!("environment {variable}").as_str()), "{setting}");
        }
        assert_eq!(sources["delivery.spill"], "default on Fargate");
    }
    let mut misspelt = environments[0].clone();
    let stream = misspelt.remove("HEADGATE_KINESIS__STREAM").expect("is set");
    misspelt.insert("HEADGATE_KINESIS__STREEM".to_owned(), stream);
    let (code, _, stderr) = check_config(&misspelt);
    assert_eq!(code, Some(64), "{stderr}");
}
