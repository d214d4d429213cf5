//! What a cold start takes, to be measured on a machine that does nothing else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::events::kinesis;
use crate::rig::lambda::Function;

const STARTS: usize = 21;

/// From the start of the process to the answer of an invocation that has nothing in it: what Lambda adds before that
/// (a sandbox, the download of the zip) is not in it.
async fn measured(name: &str, binary: &str, variables: &[(&str, &str)], nothing: &Value) {
    let mut took = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let began = Instant::now();
        let mut function = Function::start(binary, variables).await;
        function.invoke(nothing).await.answered();
        took.push(began.elapsed());
        function.end().await;
    }
    took.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let size = std::fs::metadata(binary).expect("is there").len() as f64 / 1e6;
    println!(
        "{name}: {size:.1} MB, cold start {:.1} ms (median of {STARTS}; {:.1} to {:.1})",
        milliseconds(took[STARTS / 2]),
        milliseconds(took[0]),
        milliseconds(took[STARTS - 1])
    );
}

#[tokio::test]
#[ignore = "a measurement"]
async fn cold_starts() {
    let nothing = json!({
        "invocationId": "invocation", "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/s",
        "region": "us-east-1", "records": []
    });
    let variables = [("APPLICATIONS_TABLE", "applications"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
    measured("transform", env!("CARGO_BIN_EXE_headgate-transform"), &variables, &nothing).await;
    let nothing = kinesis(&[], &json!({}), true);
    measured("metrics", env!("CARGO_BIN_EXE_headgate-metrics"), &[("CW_NAMESPACE", "test")], &nothing).await;
}
