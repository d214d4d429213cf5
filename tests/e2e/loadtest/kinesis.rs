//! Verification against a Kinesis stream.

use headgate_tests::aws::kinesis::StreamSettings;
use headgate_tests::aws::{Settings, StandIn};
use headgate_tests::ministack;

use super::{House, balanced};

/// The same load is looked for where it went, and in a stream that holds nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_are_found_in_their_stream_and_missed_in_an_empty_one() {
    let stand_in = StandIn::start(Settings::default()).await;
    stand_in.create_stream(StreamSettings::new("events", 3));
    stand_in.create_stream(StreamSettings::new("empty", 1));
    stand_in.create_delivery_stream("events-to-s3");
    let environment = ministack::environment(stand_in.address());
    let settings = ["delivery.destination=kinesis", "kinesis.stream=events", "firehose.delivery_stream=events-to-s3"];
    let house = House::with(&settings, &environment).await;
    for (stream, status) in [("kinesis:events", 0), ("kinesis:empty", 5)] {
        let flags = ["--run-time", "3", "--allow-invalid", "--verify-timeout", "3s", "--verify", stream];
        let result = house.load_in(&flags, &environment).ended().await.result(status);
        balanced(&result.ledger);
        assert!(result.ledger.accepted > 4_000, "{:?}", result.ledger);
        let verified = result.verification.expect("it was asked for");
        let expected = if status == 0 { (result.ledger.accepted, 0) } else { (0, result.ledger.accepted) };
        assert_eq!((verified.stored, verified.missing), expected, "{stream}");
    }
}
