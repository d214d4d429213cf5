//! `StreamEvents`: answers by sequence in any order, batches refused without the stream's end, and clients that age, wait
//! or do not read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate::config::Settings;
use headgate::config::units::Size;
use headgate::metrics::{Counter, Gauge};
use headgate::serve::Ground;
use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::stream_notice::Kind;
use headgate_proto::v1::{Event, StreamEventsRequest, StreamEventsResponse};
use headgate_tests::client::{Connection, EventStream, Target};
use headgate_tests::destination::Scripted;
use headgate_tests::events::login;
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use headgate_tests::raw::{self, RawConnection, framed};
use http::Method;
use prost::Message;
use tempfile::TempDir;
use tonic::Code;

use crate::{PATIENCE, no_rate_limit};

struct House {
    gateway: InProcess,
    destination: Arc<Scripted>,
    target: Target,
    _data: TempDir,
}

impl House {
    async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let destination = Scripted::new();
        let ground = Ground { destination: Some(Arc::clone(&destination) as _), ..Ground::default() };
        let gateway = InProcess::start_on(data.path(), ground, adjust).await;
        let (_, target) = gateway.demo();
        Self { gateway, destination, target, _data: data }
    }

    async fn stream(&self) -> (Connection, EventStream) {
        let mut connection = Connection::open(&self.target).await.expect("the gateway listens");
        let stream = connection.stream(4).await.expect("the stream opens");
        (connection, stream)
    }

    async fn held(&self, buckets: usize) {
        poll::until("buckets are held", PATIENCE, async || (self.destination.held() >= buckets).then_some(())).await;
    }
}

fn event(bytes: usize) -> Event {
    Event { event_data: format!("{{\"a\":\"{}\"}}", "x".repeat(bytes)).into_bytes().into(), ..login() }
}

fn batch(sequence: u64, bytes: usize) -> StreamEventsRequest {
    StreamEventsRequest { sequence, events: vec![event(bytes)] }
}

async fn answer(stream: &mut EventStream) -> StreamEventsResponse {
    tokio::time::timeout(PATIENCE, stream.answers.message())
        .await
        .expect("an answer in time")
        .expect("the stream goes on")
        .expect("the stream goes on")
}

fn accepted(answer: &StreamEventsResponse) -> u32 {
    match &answer.answer {
        Some(Answer::Verdict(verdict)) => verdict.accepted,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_name_their_batch_and_come_as_it_is_settled() {
    let house = House::with(|_| {}).await;
    let (_connection, mut stream) = house.stream().await;
    house.destination.hold();
    // Larger than a bucket: each batch is a bucket of its own.
    for sequence in [70, 5] {
        stream.requests.send(batch(sequence, 2_000)).await.expect("it is sent");
        house.held(if sequence == 70 { 1 } else { 2 }).await;
    }
    house.destination.release_one(true);
    assert_eq!(answer(&mut stream).await.sequence, 5, "the later batch is settled first");
    house.destination.release_one(false);
    let last = answer(&mut stream).await;
    assert_eq!((last.sequence, accepted(&last)), (70, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_sent_everything_gets_every_answer_and_an_ok() {
    let house = House::with(no_rate_limit).await;
    let (_connection, EventStream { requests, mut answers }) = house.stream().await;
    let sending = async move {
        for sequence in 1..=2_000 {
            requests.send(batch(sequence, 50)).await.expect("it is sent");
        }
    };
    let reading = async {
        let mut open: BTreeSet<u64> = (1..=2_000).collect();
        while let Some(answer) = answers.message().await.expect("the stream ends with OK") {
            assert!(open.remove(&answer.sequence), "{} was answered twice", answer.sequence);
            assert_eq!(accepted(&answer), 1);
        }
        assert!(open.is_empty(), "without an answer: {open:?}");
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(sending, reading) }).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_is_an_answer_and_the_stream_goes_on() {
    let house = House::with(|settings| {
        settings.ingest.max_batch = 10;
        settings.grpc.max_message = Size::kib(64);
        settings.admission.events_per_second = 100;
        settings.admission.events_burst = 15;
        settings.admission.bytes_in_flight = Size::kib(400);
    })
    .await;
    let (_connection, mut stream) = house.stream().await;
    let refusal = |answer: StreamEventsResponse| match answer.answer {
        Some(Answer::Refusal(status)) => (answer.sequence, Code::from(status.code), status.retry_delay.is_some()),
        other => panic!("{other:?}"),
    };
    let many = |sequence, count| StreamEventsRequest { sequence, events: (0..count).map(|_| event(10)).collect() };
    stream.requests.send(many(1, 11)).await.expect("it is sent");
    assert_eq!(refusal(answer(&mut stream).await), (1, Code::InvalidArgument, false));
    stream.requests.send(many(2, 0)).await.expect("it is sent");
    assert_eq!(refusal(answer(&mut stream).await), (2, Code::InvalidArgument, false));
    // Larger than a message may be: it is read over, its sequence is not.
    stream.requests.send(batch(3, 100 << 10)).await.expect("it is sent");
    assert_eq!(refusal(answer(&mut stream).await), (3, Code::InvalidArgument, false));
    stream.requests.send(many(4, 10)).await.expect("it is sent");
    assert_eq!(accepted(&answer(&mut stream).await), 10);
    stream.requests.send(many(5, 10)).await.expect("it is sent");
    assert_eq!(refusal(answer(&mut stream).await), (5, Code::ResourceExhausted, true));
    // One that fits is held; for the next there is no room in the budget.
    house.destination.hold();
    stream.requests.send(batch(6, 60 << 10)).await.expect("it is sent");
    house.held(1).await;
    stream.requests.send(batch(7, 60 << 10)).await.expect("it is sent");
    assert_eq!(refusal(answer(&mut stream).await), (7, Code::Unavailable, true));
    house.destination.release();
    let stored = answer(&mut stream).await;
    assert_eq!((stored.sequence, accepted(&stored)), (6, 1));
    assert_eq!(house.gateway.metrics().gauge(Gauge::BytesInFlight, &[]).get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_not_read_past_its_batches_in_flight() {
    let house = House::with(|settings| settings.grpc.max_batches_in_flight = 3).await;
    let (_connection, mut stream) = house.stream().await;
    house.destination.hold();
    for sequence in 1..=6 {
        stream.requests.send(batch(sequence, 2_000)).await.expect("it is sent");
    }
    house.held(3).await;
    let received = house.gateway.metrics().counter(Counter::BatchesReceived, &[&house.gateway.demo().0.to_string()]);
    assert_eq!(received.get(), 3);
    house.destination.release_one(false);
    let _ = answer(&mut stream).await;
    poll::until("one more is read", PATIENCE, async || (received.get() == 4).then_some(())).await;
    house.destination.release();
    for _ in 0..5 {
        let _ = answer(&mut stream).await;
    }
    assert_eq!(received.get(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_asked_to_end_and_a_client_that_follows_loses_nothing() {
    let house = House::with(|settings| {
        settings.grpc.max_connection_age = Duration::from_millis(300);
        settings.grpc.connection_age_grace = Duration::from_secs(20);
    })
    .await;
    let (_connection, mut stream) = house.stream().await;
    stream.requests.send(batch(1, 10)).await.expect("it is sent");
    assert_eq!(accepted(&answer(&mut stream).await), 1);
    match answer(&mut stream).await.answer {
        Some(Answer::Notice(notice)) => {
            assert_eq!(notice.kind(), Kind::ConnectionAge);
            assert_eq!(notice.grace.map(|grace| grace.seconds), Some(10));
        }
        other => panic!("{other:?}"),
    }
    // Within the grace the stream still works; the client ends it in its own time.
    stream.requests.send(batch(2, 10)).await.expect("it is sent");
    assert_eq!(accepted(&answer(&mut stream).await), 1);
    drop(stream.requests);
    assert!(stream.answers.message().await.expect("it ends with OK").is_none());
    let (_connection, mut next) = house.stream().await;
    next.requests.send(batch(3, 10)).await.expect("it is sent");
    assert_eq!(accepted(&answer(&mut next).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answers_is_given_up_and_holds_nothing() {
    let house = House::with(|settings| {
        no_rate_limit(settings);
        settings.grpc.slow_reader_timeout = Duration::from_millis(400);
    })
    .await;
    // A window of the client's own of no bytes: it can be sent nothing, ever.
    let (sender, connection) = {
        let socket = tokio::net::TcpStream::connect(house.target.address).await.expect("it listens");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(0);
        builder.handshake::<_, Bytes>(socket).await.expect("it speaks HTTP/2")
    };
    let driver = tokio::spawn(connection);
    let request = http::Request::builder()
        .method(Method::POST)
        .uri(format!("http://{}{}", house.target.address, raw::STREAM))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-api-key", &house.target.key)
        .body(())
        .expect("good headers");
    let mut sender = sender.ready().await.expect("the connection is open");
    let (_response, mut body) = sender.send_request(request, false).expect("the call begins");
    for sequence in 1..=50 {
        body.send_data(framed(false, &batch(sequence, 50).encode_to_vec()), false).expect("within the window");
    }
    let held = house.gateway.metrics().gauge(Gauge::BytesInFlight, &[]);
    let received = house.gateway.metrics().counter(Counter::BatchesReceived, &[&house.gateway.demo().0.to_string()]);
    poll::until("its batches are in", PATIENCE, async || (received.get() > 0).then_some(())).await;
    // Someone else is served meanwhile, and what the slow reader held comes back.
    let (_connection, mut other) = house.stream().await;
    other.requests.send(batch(1, 10)).await.expect("it is sent");
    assert_eq!(accepted(&answer(&mut other).await), 1);
    poll::until("nothing is held for it any more", PATIENCE, async || (held.get() == 0).then_some(())).await;
    let streams = house.gateway.metrics().gauge(Gauge::Streams, &[]);
    poll::until("its stream is reset", PATIENCE, async || (streams.get() == 1).then_some(())).await;
    driver.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_closed() {
    use tokio::io::AsyncReadExt;

    let house = House::with(|settings| settings.grpc.handshake_timeout = Duration::from_millis(200)).await;
    let mut silent = tokio::net::TcpStream::connect(house.target.address).await.expect("it listens");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(closed.is_ok() || rest.is_empty());
    let refused = house.gateway.metrics().counter(Counter::ConnectionsRefused, &["timeout"]);
    poll::until("it is counted", PATIENCE, async || (refused.get() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_past_the_limit_are_closed_and_counted() {
    let house = House::with(|settings| settings.grpc.max_connections = 2).await;
    let first = house.stream().await;
    let _second = house.stream().await;
    assert!(
        Connection::open(&house.target).await.is_err() || {
            let mut third = Connection::open(&house.target).await.expect("opened a moment ago");
            third.publish(vec![event(1)]).await.is_err()
        }
    );
    assert!(house.gateway.metrics().counter(Counter::ConnectionsRefused, &["limit"]).get() >= 1);
    drop(first);
    poll::until("a place is free again", PATIENCE, async || {
        let mut third = Connection::open(&house.target).await.ok()?;
        third.publish(vec![event(1)]).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_stream_is_read_message_by_message() {
    let house = House::with(|_| {}).await;
    let mut connection = RawConnection::open(house.target.address).await;
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-api-key", house.target.key.as_str()),
        ("grpc-encoding", "zstd"),
    ];
    let message = |sequence| {
        let compressed = zstd::encode_all(batch(sequence, 500).encode_to_vec().as_slice(), 3).expect("compresses");
        framed(true, &compressed)
    };
    let broken = framed(true, b"\x28\xb5\x2f\xfd broken");
    let good = vec![message(1), message(2), message(3)];
    let response = connection.call(Method::POST, raw::STREAM, &headers, good, false).await.expect("answered");
    assert_eq!(response.status.map(|status| status.code()), Some(Code::Ok));
    let answers = parse(&response.body);
    assert_eq!(answers.iter().map(accepted).collect::<Vec<_>>(), [1, 1, 1]);
    // What can't be decompressed can't tell its sequence: the stream ends, and what came before is answered.
    let response = connection.call(Method::POST, raw::STREAM, &headers, vec![message(4), broken], false).await;
    let response = response.expect("answered");
    assert_eq!(response.status.map(|status| status.code()), Some(Code::InvalidArgument));
    assert_eq!(parse(&response.body).iter().map(accepted).collect::<Vec<_>>(), [1]);
}

fn parse(mut body: &[u8]) -> Vec<StreamEventsResponse> {
    let mut answers = Vec::new();
    while let Some((prefix, rest)) = body.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        answers.push(StreamEventsResponse::decode(&rest[..length]).expect("an answer"));
        body = &rest[length..];
    }
    answers
}
