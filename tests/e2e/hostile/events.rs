//! Bad events and fields that nobody knows.

use headgate::config::units::Size;
use headgate::metrics::Counter;
use headgate_proto::v1::{Event, Reason, VerdictCode};
use headgate_tests::events::login;
use headgate_tests::raw::{RawConnection, framed};
use prost::Message;
use prost_types::Timestamp;
use tonic::Code;

use super::House;

/// Each bad event has its own reason; the good ones around it are stored.
#[tokio::test(flavor = "multi_thread")]
async fn every_bad_event_is_rejected_by_itself_with_its_reason() {
    let mut house = House::with(|settings| settings.ingest.max_event = Size::kib(64)).await;
    let with_data = |data: &[u8]| Event { event_data: data.to_vec().into(), ..login() };
    let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    let at = |seconds, nanos| Event { event_timestamp: Some(Timestamp { seconds, nanos }), ..login() };
    let bad = [
        ("invalid UTF-8", with_data(b"{\"a\":\"\xff\xfe\"}"), Reason::Charset),
        ("a NUL", with_data(b"{\"a\":\"\0\"}"), Reason::NotAJsonObject),
        ("a control character", with_data(b"{\"a\":\"\x1b\"}"), Reason::NotAJsonObject),
        ("a control character in a name", Event { event_name: "a\0b".to_owned(), ..login() }, Reason::Charset),
        ("10,000 levels", with_data(nested(10_000).as_bytes()), Reason::TooDeep),
        ("NaN", with_data(b"{\"a\":NaN}"), Reason::NotAJsonObject),
        ("Infinity", with_data(b"{\"a\":-Infinity}"), Reason::NotAJsonObject),
        ("no object", with_data(b"[1]"), Reason::NotAJsonObject),
        ("a time before year 1", at(-62_135_596_801, 0), Reason::TimestampRange),
        ("a time after year 9999", at(253_402_300_800, 0), Reason::TimestampRange),
        ("the last of all times", at(i64::MAX, i32::MAX), Reason::TimestampRange),
        ("nanoseconds before zero", at(0, -1), Reason::TimestampRange),
        ("no time", Event { event_timestamp: None, ..login() }, Reason::Required),
        ("a name of a megabyte", Event { event_type: "x".repeat(1 << 20), ..login() }, Reason::TooLong),
        (
            "an oversize event",
            with_data(format!("{{\"a\":\"{}\"}}", "x".repeat(65 << 10)).as_bytes()),
            Reason::EventTooLarge,
        ),
    ];
    let good = [
        with_data(b"{\"a\":1,\"a\":2}"),
        with_data(format!("{{\"a\":{}}}", "9".repeat(1_000)).as_bytes()),
        with_data(b"{\"a\":1e999999999}"),
        with_data(nested(60).as_bytes()),
        at(-62_135_596_800, 0),
        at(253_402_300_799, 999_999_999),
    ];
    let mut events: Vec<Event> = Vec::new();
    for (_, event, _) in &bad {
        events.extend([login(), event.clone()]);
    }
    let rejected = bad.len() as u32;
    let accepted = rejected + good.len() as u32;
    events.extend(good);
    let verdict = house.neighbour.publish(events).await.expect("the batch is taken");
    assert_eq!((verdict.accepted, verdict.rejected), (accepted, rejected), "{verdict:?}");
    for (((name, _, reason), verdict), index) in bad.iter().zip(&verdict.not_accepted).zip((1..).step_by(2)) {
        assert_eq!((verdict.index, verdict.code()), (index, VerdictCode::Rejected), "{name}");
        assert_eq!(verdict.reason(), *reason, "{name}: {verdict:?}");
    }
    // One id twice in a batch, and again in the next one: told as accepted, stored once, counted.
    let twice = login();
    let duplicates = house.gateway.metrics().counter(Counter::EventsDuplicate, &[&house.gateway.demo().0.to_string()]);
    let before = duplicates.get();
    for events in [vec![twice.clone(), twice.clone()], vec![twice]] {
        let count = events.len() as u32;
        assert_eq!(house.neighbour.publish(events).await.expect("taken").accepted, count);
    }
    assert_eq!(duplicates.get() - before, 2);
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_nobody_knows_are_passed_over() {
    let mut house = House::new().await;
    let mut raw = RawConnection::open(house.target.address).await;
    let event = [&login().encode_to_vec()[..], b"\xfa\x07\x03abc\xf8\x07\x01"].concat();
    let message = [&[0x0a, u8::try_from(event.len()).expect("short")][..], &event, b"\xfa\x07\x00"].concat();
    let (code, status) = raw.publish(&house.target.key, &[], vec![framed(false, &message)]).await;
    assert_eq!(code, Code::Ok, "{status:?}");
    house.is_well().await;
}
