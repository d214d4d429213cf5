//! The promises of reading a batch, with a destination that answers when the test says so.

mod identity;
mod policy;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use headgate_proto::record::{Record, read_record};
use headgate_proto::v1::{BatchVerdict, Event, PublishEventsRequest, Reason, VerdictCode};
use prost::Message;
use uuid::Uuid;

use super::policy::Policies;
use super::verdict::{BatchOutcome, Reply};
use super::{Incoming, Ingest, Parts};
use crate::admission::app::{App, Apps};
use crate::admission::budget::Permit;
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::config::{AdmissionSettings, IngestSettings, LiveSettings};
use crate::delivery::Discard;
use crate::delivery::route::{Outlet, Routes};
use crate::event::scan::Envelope;
use crate::gather::{BucketSink, ClosedBucket, FailureReason, Format, InFlight, Lanes, LanesParts, Outcome, Packing};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::registry::{Application, Limits};

#[derive(Default)]
struct Held(Mutex<Vec<ClosedBucket>>);

impl BucketSink for Held {
    fn submit(&self, bucket: ClosedBucket) {
        self.0.lock().expect("unpoisoned").push(bucket);
    }
}

#[derive(Default)]
struct Replies(Mutex<Vec<(u64, BatchOutcome)>>);

impl Reply for Replies {
    fn settled(&self, token: u64, outcome: BatchOutcome, _permit: Permit) {
        self.0.lock().expect("unpoisoned").push((token, outcome));
    }
}

struct House {
    ingest: Ingest,
    lanes: Arc<Lanes>,
    held: Arc<Held>,
    replies: Arc<Replies>,
    apps: Arc<Apps>,
    app: Arc<App>,
    metrics: Arc<Metrics>,
    policies: Arc<Policies>,
    live: Arc<Live>,
}

fn application(id: u128) -> Application {
    Application {
        application_id: Uuid::from_u128(id),
        name: format!("app-{id}"),
        description: None,
        limits: Limits::default(),
        route: None,
        environment: crate::registry::Environment::Prod,
        created_at_ms: 0,
        updated_at_ms: 0,
    }
}

impl House {
    fn with_target(target_bytes: usize) -> Self {
        Self::with_buckets(Format::Lines, target_bytes)
    }

    fn with_buckets(format: Format, target_bytes: usize) -> Self {
        let (clock, metrics) = (Clock::system(), Metrics::new());
        let held = Arc::new(Held::default());
        let linger = Duration::from_secs(3_600);
        let parts = LanesParts {
            sink: Arc::clone(&held) as Arc<dyn BucketSink>,
            packing: Packing::buckets(format, target_bytes, linger),
            deadline: Duration::from_secs(15),
            in_flight: InFlight::new(),
            clock: clock.clone(),
        };
        let lanes = Lanes::sticky(1, parts, &metrics);
        let destination = Arc::new(Discard::new(Packing::buckets(format, target_bytes, linger), 16 * target_bytes));
        let routes = Routes::single(Outlet { lanes: Arc::clone(&lanes), destination });
        let apps = Apps::new(&AdmissionSettings::default(), &metrics);
        let live = Live::new(&LiveSettings::default(), &apps, &clock, &metrics);
        let policies = Policies::new();
        let parts = Parts {
            routes,
            rejects: None,
            policies: Arc::clone(&policies),
            live: Arc::clone(&live),
            clock,
            metrics: Arc::clone(&metrics),
        };
        let ingest = Ingest::new(&IngestSettings::default(), parts);
        let app = apps.get(&application(7));
        let ingest = ingest.expect("there is randomness");
        Self { ingest, lanes, held, replies: Arc::default(), apps, app, metrics, policies, live }
    }

    fn new() -> Self {
        Self::with_target(1 << 20)
    }

    fn send_as(&self, app: &Arc<App>, token: u64, events: Vec<Event>) {
        let message = PublishEventsRequest { events }.encode_to_vec();
        let head = self.ingest.head(&message, Envelope::Publish).expect("a good head");
        self.ingest.take(Incoming {
            app: Arc::clone(app),
            permit: app.take_permit(message.len()).expect("within the budget"),
            message: message.into(),
            envelope: Envelope::Publish,
            head,
            flaws: Vec::new(),
            policy: self.ingest.policy(app),
            arrived: Clock::system().now(),
            clock_skew_ms: None,
            reply: Arc::clone(&self.replies) as Arc<dyn Reply>,
            token,
            affinity: 0,
        });
    }

    fn send(&self, token: u64, events: Vec<Event>) {
        self.send_as(&self.app, token, events);
    }

    /// Settles every bucket, open ones too, and gives back what they held.
    fn settle(&self, outcome: &Outcome) -> Vec<String> {
        self.lanes.close_all();
        let buckets: Vec<_> = self.held.0.lock().expect("unpoisoned").drain(..).collect();
        let mut lines = Vec::new();
        for bucket in buckets {
            let records: Vec<_> = bucket.records().collect();
            assert_eq!(records.len(), bucket.events as usize);
            lines.extend(records.iter().map(|record| str::from_utf8(record).expect("UTF-8").trim_end().to_owned()));
            drop(records);
            bucket.ticket.settle(outcome);
        }
        lines
    }

    fn replies(&self) -> Vec<(u64, BatchOutcome)> {
        std::mem::take(&mut *self.replies.0.lock().expect("unpoisoned"))
    }

    fn verdict(&self, token: u64) -> BatchVerdict {
        let replies = self.replies();
        match replies.as_slice() {
            [(found, BatchOutcome::Settled(verdict))] if *found == token => verdict.clone(),
            other => panic!("expected the verdict of {token} alone, got {other:?}"),
        }
    }

    fn assert_balanced(&self) {
        assert_eq!(self.apps.budget().held(), 0, "every permit is back");
        assert!(self.lanes.in_flight().is_empty(), "no bucket is without an outcome");
        let text = self.metrics.encode().expect("encodes");
        assert!(text.contains("headgate_accounting_violations_total 0"), "{text}");
    }
}

fn event(id: u128) -> Event {
    Event {
        event_id: Uuid::from_u128(id).hyphenated().to_string(),
        event_type: "login".to_owned(),
        event_name: "player_login".to_owned(),
        event_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        event_data: format!("{{\"n\":{id}}}").into_bytes().into(),
        ..Event::default()
    }
}

fn not_stored() -> Outcome {
    Outcome::NotStored { reason: FailureReason::DestinationUnavailable, retry_after: Duration::from_millis(500) }
}

#[test]
fn nothing_is_answered_before_the_destination_answers() {
    let house = House::new();
    house.send(1, vec![event(1), event(2)]);
    assert!(house.replies().is_empty());
    let lines = house.settle(&Outcome::Stored);
    assert_eq!(house.verdict(1), BatchVerdict { accepted: 2, ..BatchVerdict::default() });
    let record = read_record(lines[0].as_bytes()).expect("a stream record");
    assert_eq!(record.event.event_id, event(1).event_id);
    assert_eq!(record.application_id, house.app.id_text());
    house.assert_balanced();
}

#[test]
fn a_bad_event_is_rejected_and_its_neighbours_are_stored() {
    let house = House::new();
    let bad = Event { event_name: String::new(), ..event(2) };
    house.send(1, vec![event(1), bad, event(3)]);
    let lines = house.settle(&Outcome::Stored);
    assert_eq!(lines.len(), 2);
    let verdict = house.verdict(1);
    assert_eq!((verdict.accepted, verdict.rejected), (2, 1));
    let [rejected] = verdict.not_accepted.as_slice() else { panic!("{verdict:?}") };
    assert_eq!((rejected.index, rejected.code(), rejected.reason()), (1, VerdictCode::Rejected, Reason::Required));
    assert_eq!(rejected.field, "event_name");
    house.assert_balanced();
}

#[test]
fn a_batch_over_several_buckets_answers_with_the_last() {
    let house = House::with_target(1_000);
    house.send(1, (0..20).map(event).collect());
    let mut early: Vec<_> = house.held.0.lock().expect("unpoisoned").drain(..).collect();
    assert!(early.len() >= 3, "{} buckets", early.len());
    let failed = early.remove(0);
    let failed_events = failed.events;
    failed.ticket.settle(&not_stored());
    for bucket in early {
        bucket.ticket.settle(&Outcome::Stored);
    }
    assert!(house.replies().is_empty(), "the last bucket is still open");
    let _ = house.settle(&Outcome::Unknown { reason: FailureReason::Deadline });
    let verdict = house.verdict(1);
    assert_eq!(verdict.retry, failed_events);
    assert_eq!(verdict.accepted + verdict.retry + verdict.unknown, 20);
    assert_eq!(verdict.not_accepted.len() as u32, verdict.retry + verdict.unknown);
    assert!(verdict.not_accepted.is_sorted_by_key(|event| event.index));
    house.assert_balanced();
}

#[test]
fn a_packed_bucket_holds_what_lines_would_hold() {
    let ids = |format| {
        // So that batches go over several buckets.
        let house = House::with_buckets(format, 1_000);
        let other = house.apps.get(&application(8));
        house.send(1, (0..10).map(event).collect());
        // The first two are there already.
        house.send_as(&house.app, 2, (8..12).map(event).collect());
        house.send_as(&other, 3, (0..10).map(event).collect());
        house.send_as(&other, 4, vec![event(10)]);
        assert!(house.held.0.lock().expect("unpoisoned").len() >= 3);
        let lines = house.settle(&Outcome::Stored);
        house.assert_balanced();
        let records: Vec<_> = lines.iter().map(|line| read_record(line.as_bytes()).expect("a stream record")).collect();
        let mut requests: Vec<_> = records.iter().map(|record| record.request_id.clone().into_owned()).collect();
        requests.dedup();
        assert_eq!(requests.len(), 4, "what a batch shares is its own in every bucket");
        // All but that request's id and time.
        let event = |record: &Record<'_>| (format!("{:?}", record.event), record.application_id.to_string());
        records.iter().map(event).collect::<Vec<_>>()
    };
    let packed = ids(Format::Packed);
    assert_eq!(packed.len(), 23);
    assert_eq!(packed, ids(Format::Lines));
}

#[test]
fn a_resend_of_a_stored_event_is_accepted_and_not_stored_again() {
    let house = House::new();
    house.send(1, vec![event(1)]);
    assert_eq!(house.settle(&Outcome::Stored).len(), 1);
    house.replies();
    house.send(2, vec![event(1)]);
    assert_eq!(house.verdict(2).accepted, 1, "answered at once");
    assert!(house.settle(&Outcome::Stored).is_empty());
    assert_eq!(house.app.counters().duplicates.get(), 1);
    house.assert_balanced();
}

#[test]
fn a_resend_of_an_event_in_flight_shares_its_outcome() {
    for outcome in [Outcome::Stored, Outcome::Unknown { reason: FailureReason::Deadline }] {
        let house = House::new();
        house.send(1, vec![event(1)]);
        house.send(2, vec![event(1)]);
        assert!(house.replies().is_empty(), "the resend must not be acknowledged before the event is stored");
        assert_eq!(house.settle(&outcome).len(), 1, "stored once");
        let replies = house.replies();
        assert_eq!(replies.len(), 2);
        assert_eq!(replies[0].1, replies[1].1);
        house.assert_balanced();
    }
}

#[test]
fn a_resend_of_an_event_that_failed_is_a_new_event() {
    let house = House::new();
    house.send(1, vec![event(1)]);
    assert_eq!(house.settle(&not_stored()).len(), 1);
    let retry_after = Duration::from_millis(500);
    assert_eq!(house.replies(), [(1, BatchOutcome::Refused(Refusal::DestinationDown { retry_after }))]);
    house.send(2, vec![event(1)]);
    assert_eq!(house.settle(&Outcome::Stored).len(), 1, "it is written again");
    assert_eq!(house.verdict(2).accepted, 1);
    house.send(3, vec![event(1)]);
    assert_eq!(house.verdict(3).accepted, 1, "and from now on a duplicate");
    assert!(house.settle(&Outcome::Stored).is_empty());
    house.assert_balanced();
}

#[test]
fn a_failure_is_remembered_as_long_as_anyone_may_ask_and_no_longer() {
    let house = House::new();
    house.send(1, vec![event(1), event(2)]);
    let _ = house.settle(&not_stored());
    house.replies();
    house.send(2, vec![event(1)]);
    let _ = house.settle(&Outcome::Stored);
    house.replies();
    let in_flight = house.lanes.in_flight();
    in_flight.trim_failures(|| house.ingest.dedupe.oldest(in_flight.next_id()));
    assert_eq!(in_flight.failures(), 1, "the second event may still be sent again");
    house.send(3, vec![event(2)]);
    assert_eq!(house.settle(&Outcome::Stored).len(), 1, "and is new when it is");
    in_flight.trim_failures(|| house.ingest.dedupe.oldest(in_flight.next_id()));
    assert_eq!(in_flight.failures(), 0);
}

#[test]
fn one_id_twice_in_a_batch_is_stored_once_and_the_first_wins() {
    let house = House::new();
    let other_payload = Event { event_data: b"{\"n\":\"other\"}".as_slice().into(), ..event(1) };
    house.send(1, vec![event(1), event(2), other_payload]);
    let lines = house.settle(&Outcome::Stored);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("{\"n\":1}"), "{}", lines[0]);
    assert_eq!(house.verdict(1).accepted, 3);
    assert_eq!(house.app.counters().duplicates.get(), 1);
    house.assert_balanced();
}

#[test]
fn one_id_in_two_applications_is_two_events() {
    let house = House::new();
    let other = house.apps.get(&application(8));
    house.send(1, vec![event(1)]);
    house.send_as(&other, 2, vec![event(1)]);
    assert_eq!(house.settle(&Outcome::Stored).len(), 2);
    house.assert_balanced();
}

#[test]
fn an_event_without_an_id_gets_one_and_the_client_learns_it() {
    let house = House::new();
    let nameless = Event { event_id: String::new(), ..event(1) };
    house.send(1, vec![event(2), nameless.clone(), nameless]);
    let lines = house.settle(&Outcome::Stored);
    let verdict = house.verdict(1);
    assert_eq!(verdict.accepted, 3);
    assert_eq!(verdict.assigned_ids.iter().map(|assigned| assigned.index).collect::<Vec<_>>(), [1, 2]);
    for assigned in &verdict.assigned_ids {
        assert_eq!(Uuid::parse_str(&assigned.event_id).expect("a UUID").get_version_num(), 7);
        assert!(lines[assigned.index as usize].contains(&assigned.event_id));
    }
    house.assert_balanced();
}

#[test]
fn a_destination_that_forgets_a_bucket_leaves_no_event_without_a_verdict() {
    let house = House::new();
    house.send(1, vec![event(1)]);
    house.lanes.close_all();
    house.held.0.lock().expect("unpoisoned").clear();
    let verdict = house.verdict(1);
    assert_eq!((verdict.accepted, verdict.unknown), (0, 1));
    house.assert_balanced();
}

#[test]
fn an_event_too_large_to_store_is_rejected_with_its_size() {
    let house = House::new();
    let data = format!("{{\"a\":\"{}\"}}", "x".repeat(900 << 10));
    house.send(1, vec![Event { event_data: data.into_bytes().into(), ..event(1) }, event(2)]);
    let _ = house.settle(&Outcome::Stored);
    let verdict = house.verdict(1);
    assert_eq!((verdict.accepted, verdict.rejected), (1, 1));
    assert_eq!(verdict.not_accepted[0].reason(), Reason::EventTooLarge);
    house.assert_balanced();
}

#[test]
fn line_breaks_inside_event_data_do_not_break_the_record() {
    let house = House::new();
    let pretty = Event { event_data: b"{\n  \"a\": 1,\r\n  \"b\": \"x\\ny\"\n}".as_slice().into(), ..event(1) };
    house.send(1, vec![pretty]);
    let lines = house.settle(&Outcome::Stored);
    let record = read_record(lines[0].as_bytes()).expect("one line is one record");
    let data: serde_json::Value = serde_json::from_str(record.event.event_data.expect("has data").get()).expect("JSON");
    assert_eq!(data, serde_json::json!({"a": 1, "b": "x\ny"}));
    house.assert_balanced();
}

#[test]
fn empty_and_oversized_batches_are_refused_before_they_cost_anything() {
    let house = House::new();
    let empty = PublishEventsRequest { events: Vec::new() }.encode_to_vec();
    assert_eq!(house.ingest.head(&empty, Envelope::Publish), Err((Some(0), Refusal::EmptyBatch)));
    let many = PublishEventsRequest { events: vec![Event::default(); 10_001] }.encode_to_vec();
    let refusal = Refusal::BatchTooLarge { events: 10_001, limit: 10_000 };
    assert_eq!(house.ingest.head(&many, Envelope::Publish), Err((Some(0), refusal)));
}
