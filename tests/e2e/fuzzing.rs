//! What the fuzz targets run, as tests: every committed input and every seed, and for a while mutations of them. Fuzzers
//! that look at coverage take it from there (`fuzz/README.md`).

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headgate::fuzz::{TARGETS, Target};
use headgate_tests::mutate;
use headgate_tests::seed::{Draw, seed_or};

/// How long each target is given mutations.
const FOR: Duration = Duration::from_secs(2);

macro_rules! targets {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                holds(stringify!($name));
            }
        )*
    };
}

targets! {
    grpc_frames
    event_scan
    json_object
    envelope
    decompression
    rest_batch
    otlp_logs
    api_key
    signature
    grpc_door
    rest_door
    lake_log
    lake_recovery
    spill_file
    manifest
    bad_row
    aggregated_record
    stream_record
    schema
    settings
}

#[test]
fn every_parser_has_its_target_its_test_and_its_corpus() {
    assert_eq!(TARGETS.map(|target| target.name), *NAMES);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("it is there");
    for Target { name, .. } in TARGETS {
        assert!(folder().join(format!("fuzz_targets/{name}.rs")).is_file(), "{name} has a fuzz target");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is built");
        assert!(!corpus(name).is_empty(), "{name} has a corpus");
    }
}

fn holds(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("it is in the list");
    let mut inputs = (target.seeds)();
    inputs.extend(corpus(name));
    for input in &inputs {
        run(target, input);
    }
    // The same mutations each time, so that a change is told by what it changes. New ones: HEADGATE_TEST_SEED, or a fuzzer.
    let mut draw = Draw::new(seed_or(name, || 1), 0);
    let (started, mut executions) = (Instant::now(), 0_u64);
    while started.elapsed() < FOR {
        let other = &inputs[draw.below(inputs.len())];
        let mut input = inputs[draw.below(inputs.len())].clone();
        mutate::mutate(&mut input, other, &mut draw);
        run(target, &input);
        executions += 1;
    }
    println!("{name}: {} inputs and {executions} mutations", inputs.len());
}

/// Runs it, and shows the input where a promise does not hold.
fn run(target: &Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        println!("{}: the input is b\"{}\"", target.name, input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder().join("corpus").join(name)) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("it can be read")).collect()
}
