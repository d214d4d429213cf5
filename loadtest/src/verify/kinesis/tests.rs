use std::sync::Mutex;
use std::time::SystemTime;

use aws_sdk_kinesis::Config;
use aws_sdk_kinesis::config::{Credentials, Region};

use super::records::tests::{aggregate, line};
use super::*;
use crate::record::Ids;
use crate::result::Verification;

mod service;

use service::{Kept, Service};

async fn ask(service: &Service, ids: Ids, timeout: Duration) -> Result<Verified, VerifyError> {
    let config = Config::builder()
        .behavior_version(aws_sdk_kinesis::config::BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "tests"))
        .endpoint_url(service.url())
        .build();
    let options = Options { timeout, ..Options::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_060)) };
    let (told, mut last) = (Mutex::new(Vec::new()), Progress::default());
    let verified = verify_with(Client::from_conf(config), "events", Arc::new(ids), &options, &mut |progress| {
        last = progress;
        told.lock().expect("no panic").push(progress.read);
    })
    .await?;
    assert!(told.into_inner().expect("no panic").is_sorted(), "the count of records read only grows");
    assert_eq!(last.found, verified.verification.stored);
    Ok(verified)
}

fn acknowledged(ids: impl IntoIterator<Item = u128>) -> Ids {
    Ids { acknowledged: ids.into_iter().collect(), ..Ids::default() }
}

// Shard 0 is throttled and its iterator expires; shard 1 ends, and only then its child, shard 2, is listed.
#[tokio::test]
async fn every_shard_is_read_to_the_present_through_throttling_expiry_and_resharding() {
    let first = Kept {
        failures: vec!["ProvisionedThroughputExceededException"; 4]
            .into_iter()
            .chain(["ExpiredIteratorException"])
            .collect(),
        ..Kept::of((0..10).map(|id| aggregate(&[line(id), line(id + 10)])))
    };
    let parent = Kept { closed: true, ..Kept::of((20..25).map(line)) };
    let child = Kept { parent: Some(1), ..Kept::of([aggregate(&[line(25), line(26), line(26)]), b"hello".to_vec()]) };
    let service = Service::start(vec![first, parent, child]).await;
    let ids = Ids { rejected: vec![5_000], undecided: vec![26, 27], ..acknowledged((0..26).chain([99])) };
    let verified = ask(&service, ids, Duration::from_secs(2)).await.expect("readable");
    let expected = Verification {
        stored: 26,
        missing: 1,
        doubled: 1,
        undecided_stored: 1,
        examples: vec![uuid::Uuid::from_u128(99).to_string()],
        ..Verification::default()
    };
    assert_eq!(verified.verification, expected);
    let notes = verified.notes.join("\n");
    assert!(notes.contains("1 records of the stream are no stream records"), "{notes}");
    assert!(notes.contains("all 3 shards of events were read"), "{notes}");
    assert_eq!(service.starts(), ["1700000000"], "a minute before the run");
}

#[tokio::test]
async fn a_stream_that_can_not_be_read_says_nothing_of_the_events() {
    let service = Service::start(vec![Kept { failures: vec!["AccessDeniedException"], ..Kept::of([line(1)]) }]).await;
    let error = ask(&service, acknowledged([1]), Duration::from_secs(5)).await.expect_err("denied").to_string();
    assert!(error.contains("the stream events") && error.contains("AccessDenied"), "{error}");
}
