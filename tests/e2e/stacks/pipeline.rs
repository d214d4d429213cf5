//! The pipeline: its templates in three accounts of an emulator, and then each of its pipelines walked there, as
//! CodePipeline would, from a clean checkout: every build's commands as they stand, every stack by change set, in order,
//! as the roles that the stages name.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use headgate_tests::gateway::GatewayProcess;
use headgate_tests::ministack::{self, MiniStack};
use headgate_tests::static_binary::{self, GATEWAY, LOAD_TESTER};
use headgate_tests::{binary, python};
use serde_json::Value;
use tokio::runtime::Handle;

use super::check;
use crate::loadtest::smoke::report::Report;

/// The accounts, by the access key that means them to the emulator.
const SHARED: &str = "000000000000";
const DEV: &str = "222222222222";
const PROD: &str = "333333333333";
/// What the emulator knows no type of.
const LEFT_OUT: [(&str, &[&str]); 4] = [
    ("shared", &["Pipeline"]),
    ("target", &[]),
    ("branches", &["Pipeline", "SweepPipeline"]),
    ("people", &["Auditors", "Developers", "ReleaseManagers"]),
];
/// No gateway is behind the stages' names here; `smoke_test_of_dev` takes it with one.
const SMOKE_TEST: [&str; 2] = ["--leave-out", "smoke-test"];
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Its lake and its minutes are whole soon.
const SOON: [&str; 3] = ["lake.segment_age=2s", "live.window_grace=1s", "admission.key_refresh=200ms"];

/// Three accounts with the pipeline's templates in them, and a clean checkout.
struct House {
    emulator: MiniStack,
    folder: tempfile::TempDir,
}

impl House {
    /// Deploys the templates, and gives what they came to.
    async fn deploy() -> (Self, Value) {
        let emulator = MiniStack::start().await;
        let deploying = tokio::task::spawn_blocking(move || {
            let folder = tempfile::tempdir().expect("a folder");
            let house = Self { emulator, folder };
            for step in ["pipeline-documents", "documents", "pipelines"] {
                std::fs::write(house.path(step), check(Some(step))).expect("a file can be written");
            }
            let documents = std::fs::File::open(house.path("pipeline-documents")).expect("it is there");
            let mut deploy = house.script("pipeline.py");
            deploy.arg("deploy").stdin(Stdio::from(documents));
            let said = python::run(&mut deploy).unwrap_or_else(|problem| panic!("{problem}"));
            (house, serde_json::from_str(&said).expect("JSON"))
        });
        deploying.await.expect("the templates are deployed")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the branches are, and the checkout that CodePipeline would hand on: a commit of its own, with what is not
    /// committed yet, and a section of the changelog for the version.
    fn check_out(&self, branches: &[&str]) {
        let script = r#"
            set -e
            git init --quiet --initial-branch main "$2"
            git -C "$2" -c user.name=test -c user.email=test@example.com commit --quiet --allow-empty --message first
            git clone --quiet "$1" "$3"
            git -C "$1" diff --binary HEAD | git -C "$3" apply --index --allow-empty
            sed -i "s/^## \\[Unreleased\\]$/## [$4] - 2026-01-31/" "$3/CHANGELOG.md"
            git -C "$3" add CHANGELOG.md
            git -C "$3" -c user.name=test -c user.email=test@example.com commit --quiet --allow-empty --message next
            git -C "$3" remote set-url origin "$2"
        "#;
        let mut bash = Command::new("bash");
        bash.args(["-c", script, "check-out"])
            .arg(binary::workspace())
            .arg(self.path("remote"))
            .arg(self.path("source"))
            .arg(VERSION);
        python::run(&mut bash).unwrap_or_else(|problem| panic!("{problem}"));
        for branch in branches {
            self.git(&["branch", branch]);
        }
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path("remote")).args(arguments);
        python::run(&mut git).unwrap_or_else(|problem| panic!("{problem}"));
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(python::consumer());
        command.arg(binary::workspace().join("tests/e2e/stacks").join(name));
        command.envs(ministack::environment(self.emulator.address()));
        // Which account calls.
        command.env("AWS_ACCESS_KEY_ID", SHARED);
        // The steps' own tools go into the checkout's target folder.
        command.env_remove("CARGO_TARGET_DIR");
        command
    }

    /// Walks a pipeline, and gives what its actions said.
    fn walk(&self, pipeline: &str, binaries: &Path, more: &[&str]) -> Vec<Value> {
        self.walked(pipeline, self.walking(pipeline, Some(binaries)).args(more))
    }

    fn walked(&self, pipeline: &str, walking: &mut Command) -> Vec<Value> {
        let said = python::run(walking);
        let said = said.unwrap_or_else(|problem| panic!("{pipeline}: {problem}"));
        let told: Value = serde_json::from_str(&said).expect("JSON");
        println!("{pipeline}: without {}", told["left_out"]);
        told["said"].as_array().expect("actions").clone()
    }

    /// With programs that are there, or with those that the package builds.
    fn walking(&self, pipeline: &str, binaries: Option<&Path>) -> Command {
        let work = self.path("work");
        std::fs::create_dir_all(&work).expect("a folder");
        let mut walk = self.script("walk.py");
        walk.arg("--pipelines").arg(self.path("pipelines")).arg("--documents").arg(self.path("documents"));
        walk.arg("--source").arg(self.path("source")).arg("--work").arg(&work);
        walk.arg(pipeline);
        match binaries {
            Some(folder) => walk.env("BINARIES", folder),
            None => walk.env_remove("BINARIES"),
        };
        walk
    }

    /// What the account for development still has of an environment.
    fn left(&self, environment: &str) -> Value {
        let mut left = self.script("pipeline.py");
        let said = python::run(left.args(["left", environment])).unwrap_or_else(|problem| panic!("{problem}"));
        serde_json::from_str(&said).expect("JSON")
    }
}

/// What an action said, in the only stage or in the one that is named.
fn said<'a>(actions: &'a [Value], stage: &str, name: &str) -> &'a str {
    let found = actions.iter().find(|each| each["stage"] == stage && each["action"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {stage}"))["said"].as_str().expect("text")
}

/// The programs, as a package takes them. Functions need no static binary for what is tried here.
fn programs(folder: &Path) -> PathBuf {
    let binaries = folder.join("binaries");
    std::fs::create_dir(&binaries).expect("a folder");
    for program in [GATEWAY, LOAD_TESTER] {
        let _ = static_binary::link(program, &binaries);
    }
    for (name, from) in [("headgate-transform", binary::transform()), ("headgate-metrics", binary::metrics())] {
        let _ = std::fs::copy(from, binaries.join(name)).expect("a file can be copied");
    }
    binaries
}

/// A release of the product from the package: what is in it is what its checksums say, the programs run and the images are
/// those of the package, by digest. A version that is another is refused.
fn release(house: &House, binaries: &Path) {
    let run = |version: &str| {
        let mut release = Command::new(house.path("source/deploy/pipeline/run"));
        release.args(["release", version, "--binaries"]).arg(binaries).env_remove("CARGO_TARGET_DIR");
        python::run(&mut release)
    };
    let refused = run("99.0.0").expect_err("the package is of another version");
    assert!(refused.contains(&format!("the package is of {VERSION} (Cargo.toml), not of 99.0.0")), "{refused}");
    let said = run(VERSION).unwrap_or_else(|problem| panic!("{problem}"));
    println!("{said}");
    let script = r#"
        set -e
        cd "$1"
        sha256sum --check --strict --quiet SHA256SUMS
        tar -xzf headgate-"$2"-*-linux.tar.gz
        headgate-"$2"-*-linux/headgate --version
        headgate-"$2"-*-linux/headgate-loadtest --version
        for program in headgate headgate-loadtest; do
            skopeo inspect --format '{{.Digest}}' oci-archive:"$(echo $program-"$2"-*-linux.oci.tar)"
        done
        head -c 20 NOTES.md
    "#;
    let folder = house.path("source/target/release-artifacts");
    let mut bash = Command::new("bash");
    let told = python::run(bash.args(["-c", script, "look"]).arg(&folder).arg(VERSION));
    let told = told.unwrap_or_else(|problem| panic!("{problem}"));
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).expect("it is there");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let image = |name: &str| manifest["images"][name].as_str().expect("a digest").to_owned();
    for part in [
        format!("headgate {VERSION}"),
        format!("headgate-loadtest {VERSION}"),
        image("headgate/gateway"),
        image("headgate/loadtest"),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
    let bill = std::fs::read_to_string(folder.join(format!("headgate-{VERSION}.cdx.json"))).expect("it is there");
    let bill: Value = serde_json::from_str(&bill).expect("JSON");
    let components = bill["components"].as_array().expect("components");
    assert!(components.iter().any(|each| each["name"] == "tonic"), "no tonic among {}", components.len());
}

/// What is ended with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The smoke test of dev as the pipeline runs it, on a gateway whose events come to the stage's lake and metrics: what it
/// said, or with what it failed.
fn smoke_test_of_dev(house: &House, gateway: &Path, mut walk: Command) -> Result<String, String> {
    let token = python::run(house.script("pipeline.py").args(["token", "dev"]));
    let token = token.unwrap_or_else(|problem| panic!("{problem}"));
    let data = house.path("gateway");
    std::fs::create_dir(&data).expect("a folder");
    let environment = [("HEADGATE_ADMIN__TOKEN".to_owned(), token)];
    let gateway = Handle::current().block_on(GatewayProcess::start_program(gateway, &data, &SOON, &environment));
    let mut carry = house.script("carry.py");
    let metrics = format!("http://{}/metrics", gateway.operate_address());
    carry.arg("dev").arg(gateway.lake()).arg(metrics).stdin(Stdio::null());
    let _carrying = Ending(carry.spawn().expect("python can be run"));

    walk.args(["--only", "Dev/smoke-test"]);
    python::run(walk.env("SMOKE_TEST_HOST", format!("http://{}", gateway.target("").address)))
}

/// What the smoke test reported, where the buildspec says that it lies.
fn reported(house: &House) -> Report {
    Report::read(&house.path("work/package/smoke-test/smoke-test.xml"))
}

/// A gateway of another commit than the package's fails for the commit and for nothing else.
fn smoke_test_of_another_commit(house: &House, binaries: &Path) {
    let said = smoke_test_of_dev(house, binary::headgate(), house.walking("headgate", Some(binaries)));
    let said = said.expect_err("the commit is another");
    println!("{said}");
    let report = reported(house);
    let (kind, message) = report.failure("version");
    assert!(kind == "version" && message.contains(" is served, and ") && message.contains("(commit "), "{message}");
    assert_eq!(report.counts(), (7, 1, 0), "{said}");
    assert!(report.out("lake").contains("2,000 of 2,000 acknowledged events are in s3://"), "{said}");
    assert!(report.out("metrics").contains("2,000 events, 250 logins counted"), "{said}");
    assert!(said.contains("smoke-test: 3\n") && said.contains("FAILED  version: "), "{said}");
}

/// Every template of the pipeline is created, in the account that it is for; what is left out is what the emulator has
/// no type of, and the names are those that the other accounts' templates and the steps call.
#[tokio::test(flavor = "multi_thread")]
async fn the_templates_of_the_pipeline_make_what_the_stages_name_in_three_accounts() {
    let (_house, told) = House::deploy().await;
    for (account, stacks) in told["stacks"].as_object().expect("accounts") {
        for (name, stack) in stacks.as_object().expect("stacks") {
            println!("{account}, {name}: without {}", stack["left_out"]);
            assert_eq!(stack["status"], "CREATE_COMPLETE", "{account}, {name}");
            let expected = LEFT_OUT.iter().find(|(other, _)| other == name).expect("a template that is known").1;
            let kept = stack["left_out"]
                .as_array()
                .expect("names")
                .iter()
                .all(|each| expected.contains(&each.as_str().expect("a name")));
            assert!(kept, "{account}, {name}: {}", stack["left_out"]);
        }
    }
    let has = |account: &str, kind: &str, name: &str| {
        let all = told["made"][account][kind].as_array().expect("names");
        all.iter().any(|each| each.as_str() == Some(name))
    };
    for account in [DEV, PROD] {
        for role in ["headgate-deploy", "headgate-cloudformation", "headgate-promote", "headgate-smoke-test"] {
            assert!(has(account, "roles", role), "{account} has no {role}");
        }
    }
    assert!(has(DEV, "roles", "headgate-branch") && !has(PROD, "roles", "headgate-branch"));
    for project in
        ["headgate-build", "headgate-package", "headgate-promote", "headgate-smoke-test", "headgate-branch-sweep"]
    {
        assert!(has(SHARED, "projects", project), "no {project}");
    }
    for repository in ["headgate/gateway", "headgate/loadtest", "headgate/agent"] {
        assert!(has(SHARED, "repositories", repository), "no {repository}");
    }
    for secret in ["headgate/dev", "headgate/prod", "headgate/branch"] {
        assert!(has(SHARED, "secrets", secret), "no {secret}");
    }
    assert!(has(SHARED, "users", "avery"), "the user who was asked for");
}

/// A checkout is packaged once and goes through development to production, by digest: images in the registry, functions
/// in each account's bucket, every stack by a change set; a gateway of another commit fails the smoke test. The same content again changes no function; another metrics
/// function is what the approval is told of, and what production gets. A branch has stacks and data of its own, which
/// stay while the branch is there, and go whole with it, while development's stay.
#[tokio::test(flavor = "multi_thread")]
async fn the_pipelines_bring_a_checkout_to_production_and_a_branch_to_an_environment_that_goes_with_it() {
    let (house, _) = House::deploy().await;
    let walking = tokio::task::spawn_blocking(move || {
        house.check_out(&["feature/new-thing"]);
        let binaries = programs(house.folder.path());

        let first = house.walk("headgate", &binaries, &SMOKE_TEST);
        let asked = said(&first, "Approval", "approve");
        assert!(asked.starts_with("prod: nothing -> ") && asked.contains("network new"), "{asked}");
        for stage in ["Dev", "Prod"] {
            for stack in ["network", "data", "streaming", "gateway", "ops"] {
                assert_eq!(said(&first, stage, stack), "CREATE_COMPLETE", "{stage}, {stack}");
            }
            assert!(said(&first, stage, "settle").contains(" holds "));
        }

        smoke_test_of_another_commit(&house, &binaries);

        let package = |actions: &[Value]| said(actions, "Package", "package").to_owned();
        let again = house.walk("headgate", &binaries, &SMOKE_TEST);
        let manifest = |text: &str| text[text.find("{\n").expect("JSON")..].to_owned();
        assert_eq!(manifest(&package(&first)), manifest(&package(&again)), "the same content has the same names");
        let asked = said(&again, "Approval", "approve");
        assert!(asked.contains(" again, ") && asked.contains("artifacts: the same;"), "{asked}");
        assert_eq!(said(&again, "Prod", "streaming"), "nothing to change");

        let _ = std::fs::copy(binary::transform(), binaries.join("headgate-metrics")).expect("a file can be copied");
        let other = house.walk("headgate", &binaries, &SMOKE_TEST);
        let asked = said(&other, "Approval", "approve");
        assert!(asked.contains("artifacts: function metrics;"), "{asked}");
        assert_eq!(said(&other, "Prod", "streaming"), "UPDATE_COMPLETE");

        release(&house, &binaries);

        let of_branch = ["--branch", "feature/new-thing", "--execution", "7", SMOKE_TEST[0], SMOKE_TEST[1]];
        let deployed = house.walk("headgate-branches", &binaries, &of_branch);
        assert_eq!(said(&deployed, "Deploy", "gateway"), "CREATE_COMPLETE");
        let environment = std::fs::read_to_string(house.path("source/target/environment")).expect("package says it");
        assert!(environment.starts_with("b-new-thing-") && environment.len() <= 20, "{environment}");

        let kept = house.walk("headgate-sweep", &binaries, &[]);
        assert!(said(&kept, "Sweep", "sweep").contains(&format!("{environment}: stays")), "the branch is there");
        assert!(house.left(&environment)["stacks"].is_array());
        let mut other = house.walking("headgate-sweep", Some(&binaries));
        let refused = python::run(other.args(["--variable", "Environment=b-other-000000"])).expect_err("there is none");
        assert!(refused.contains("b-other-000000 is no environment of a branch; there are b-new-thing-"), "{refused}");
        house.git(&["branch", "--delete", "--force", "feature/new-thing"]);
        let swept = house.walk("headgate-sweep", &binaries, &[]);
        println!("{}", said(&swept, "Sweep", "sweep"));
        assert_eq!(house.left(&environment), serde_json::json!({}), "nothing of the branch is left");
        let stays = house.left("dev");
        assert!(stays["stacks"].is_array() && stays["buckets"].is_array() && stays["tables"].is_array(), "{stays}");
    });
    walking.await.expect("the pipelines are walked");
}

/// The main pipeline as it stands, nothing given: what its builds install, the package's own build of static binaries from a
/// clean checkout, and the smoke test on the gateway that came of it, which passes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "installs Debian packages as root and builds releases: half an hour on two cores, 5 GB"]
async fn a_package_that_the_pipeline_built_itself_passes_its_smoke_test() {
    let (house, _) = House::deploy().await;
    let walking = tokio::task::spawn_blocking(move || {
        house.check_out(&[]);
        let actions = house.walked("headgate", house.walking("headgate", None).args(SMOKE_TEST).arg("--install"));
        assert_eq!(said(&actions, "Prod", "gateway"), "CREATE_COMPLETE");

        let target = house.path("source/target");
        let built = std::fs::read_dir(&target).expect("it was built").map(|entry| entry.expect("readable").path());
        let gateway = built.map(|folder| folder.join("release/headgate")).find(|path| path.is_file());
        let said = smoke_test_of_dev(&house, &gateway.expect("a gateway"), house.walking("headgate", None));
        let said = said.unwrap_or_else(|problem| panic!("{problem}"));
        println!("{said}");
        let report = reported(&house);
        assert_eq!(report.counts(), (7, 0, 0), "{said}");
        assert!(report.out("version").contains("(commit "), "{}", report.out("version"));
    });
    walking.await.expect("the pipeline is walked");
}
