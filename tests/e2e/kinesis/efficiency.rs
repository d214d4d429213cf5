//! What events cost on the way: billed units, as the stand-in counts them for itself.

use std::time::{Duration, Instant};

use headgate_proto::v1::{Event, StreamEventsRequest};
use headgate_tests::aws::Settings;
use headgate_tests::client::Connection;
use uuid::Uuid;

use super::{STREAM, Streaming};

/// Stream records have this many bytes on average, give or take a fiftieth: the least that the AWS solution's shape leaves
/// for an event without `event_data`.
const RECORD: f64 = 324.0;
const BOUND: f64 = (1.0 - 65.0 / 25_600.0) * RECORD / (RECORD + 10.0);
const LASTS: Duration = Duration::from_secs(12);
/// Events travel in small batches, so that they arrive about as they would from many servers.
const BATCH: u64 = 10;

/// An event whose stream record has about 300 bytes.
fn event(number: u64) -> Event {
    Event {
        event_id: Uuid::new_v4().to_string(),
        event_type: "e".to_owned(),
        // Sizes vary.
        event_name: "n".repeat(1 + (number * 7 % 9) as usize),
        event_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        partition_key: format!("player-{}", number % 1_000),
        ..Event::default()
    }
}

/// Sends `rate` events a second for a while.
async fn send(house: &Streaming, rate: u64) -> u64 {
    let (_, target) = house.gateway.demo();
    let mut connection = Connection::open(&target).await.expect("the gateway takes calls");
    let mut stream = connection.stream(1_024).await.expect("the gateway opens streams");
    let requests = stream.requests.clone();
    let batches = rate * LASTS.as_secs() / BATCH;
    let answers = tokio::spawn(async move {
        for _ in 0..batches {
            stream.answers.message().await.expect("the stream goes on").expect("and does not end");
        }
    });
    let start = Instant::now();
    for sequence in 0..batches {
        let due = start + Duration::from_secs_f64((sequence * BATCH) as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
        let events = (0..BATCH).map(|n| event(sequence * BATCH + n)).collect();
        let request = StreamEventsRequest { sequence, events };
        requests.send(request).await.expect("the stream takes requests");
    }
    tokio::time::timeout(Duration::from_secs(30), answers).await.expect("answered in time").expect("no panic");
    batches * BATCH
}

/// Efficiency by the stand-in's own count, and by the gateway's; they must agree.
async fn efficiency(house: &Streaming, events: u64, destination: &str) -> f64 {
    let rows = if destination == "kinesis" { house.consumed() } else { house.delivered() };
    assert_eq!(rows.len() as u64, events);
    let tally = house.stand_in.tally();
    let (service, billed) = match destination {
        "kinesis" => (&tally.kinesis, tally.kinesis.units.put_payload * 25_600),
        _ => (&tally.firehose, tally.firehose.units.firehose_5_kib * 5_120),
    };
    let metrics = house.gateway.metrics().await;
    let label = format!("destination=\"{destination}\"");
    let payload = metrics.sum("headgate_delivery_payload_bytes_total", &[&label]);
    let mean = payload / events as f64;
    assert!((mean / RECORD - 1.0).abs() < 0.02, "stream records have {mean} bytes on average");
    let efficiency = payload / billed as f64;
    let own = metrics.sum("headgate_delivery_efficiency_ratio", &[&label, "part=\"total\""]);
    println!(
        "{destination}: bound {BOUND:.4} with an envelope, {efficiency:.4} by the service's count, {own:.4} by the gateway's; {:.1} events a record, {mean:.0} bytes an event",
        events as f64 / service.stored_records as f64
    );
    assert!((own - efficiency).abs() < 0.005, "the gateway says {own}, the service bills {efficiency}");
    efficiency
}

async fn house(shards: u32, settings: &[&str]) -> Streaming {
    let settings = [settings, &["grpc.max_batches_in_flight=8192"]].concat();
    let house = Streaming::start(Settings::default(), shards, &settings).await;
    assert_eq!(house.stand_in.stream(STREAM).shards().len() as u32, shards);
    house
}

/// The bound is what the envelope leaves: 10 bytes a record, 65 an aggregate.
#[tokio::test(flavor = "multi_thread")]
async fn sticky_records_are_full_at_a_thousand_events_a_second() {
    let house = house(4, &["kinesis.linger=100ms"]).await;
    let events = send(&house, 1_000).await;
    let efficiency = efficiency(&house, events, "kinesis").await;
    assert!(efficiency >= 0.95, "{efficiency} (the bound is {BOUND:.3})");
}

#[tokio::test(flavor = "multi_thread")]
async fn keyed_records_are_full_at_five_thousand_events_a_second_over_four_shards() {
    let house = house(4, &["kinesis.linger=100ms", "kinesis.routing=keyed"]).await;
    let events = send(&house, 5_000).await;
    let efficiency = efficiency(&house, events, "kinesis").await;
    assert!(efficiency >= 0.95, "{efficiency} (the bound is {BOUND:.3})");
}

#[tokio::test(flavor = "multi_thread")]
async fn firehose_records_are_full_at_five_thousand_events_a_second() {
    let house = house(1, &["delivery.destination=firehose"]).await;
    let events = send(&house, 5_000).await;
    let efficiency = efficiency(&house, events, "firehose").await;
    assert!(efficiency >= 0.99, "{efficiency} (the bound is 1: lines have no envelope)");
}
