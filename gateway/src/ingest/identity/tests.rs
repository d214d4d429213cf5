use headgate_proto::v1::{Event, PublishEventsRequest};
use prost::Message;
use uuid::Uuid;

use super::*;
use crate::config::IngestSettings;
use crate::event::validate::{Field, Problem};
use crate::registry::Secret;

fn identity(fields: &[IdentityField]) -> Identity {
    let secrets = vec![Secret::generate(1).expect("randomness")];
    Identity { application_id: Uuid::from_u128(7), version: 1, fields: fields.to_vec(), secrets, changed_at_ms: 0 }
}

fn hashing(identity: &Identity) -> Hashing {
    Hashing::new(identity).expect("something is hashed")
}

fn data(hashing: &Hashing, object: &str) -> String {
    assert!(check_object(object.as_bytes(), 64).is_ok() || object.is_empty(), "{object}");
    let mut out = Vec::new();
    hashing.data(object.as_bytes(), &|_: &[u8]| None, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn event(data: &str) -> Event {
    Event {
        event_id: Uuid::from_u128(1).to_string(),
        event_type: "login".to_owned(),
        event_name: "n".to_owned(),
        event_timestamp: Some(prost_types::Timestamp { seconds: -5, nanos: 250_000_000 }),
        app_version: "1.0".to_owned(),
        event_data: data.as_bytes().to_vec().into(),
        ..Event::default()
    }
}

fn batch(hashing: &Hashing, events: Vec<Event>) -> (Vec<Event>, Vec<Flaw>) {
    let message = PublishEventsRequest { events }.encode_to_vec();
    let limits = Limits::from(&IngestSettings::default());
    let hashed = hashing.batch(&message, Envelope::Publish, &[], &limits, |_| None);
    let read = PublishEventsRequest::decode(hashed.message).expect("a message");
    (read.events, hashed.flaws)
}

#[test]
fn named_ids_are_hashed_wherever_and_however_they_stand_and_nothing_else_changes() {
    let identity = identity(&[IdentityField::PlayerId, IdentityField::SessionId]);
    let (hashing, hasher) = (hashing(&identity), identity.hasher().expect("a hasher"));
    let (anna, seven) = (hasher.hash(b"anna"), hasher.hash(b"7"));
    for (object, expected) in [
        (r#"{"player_id":"anna"}"#.to_owned(), format!(r#"{{"player_id":"{anna}"}}"#)),
        (r#"{"player_id":7,"level":3}"#.to_owned(), format!(r#"{{"player_id":"{seven}","level":3}}"#)),
        // Of a name that comes twice, each one.
        (
            r#"{"player_id":"7","player_id":"anna"}"#.to_owned(),
            format!(r#"{{"player_id":"{seven}","player_id":"{anna}"}}"#),
        ),
        (
            r#"{"player\u005fid" : "\u0061nna" , "x":"\u0061"}"#.to_owned(),
            format!(r#"{{"player\u005fid" : "{anna}" , "x":"\u0061"}}"#),
        ),
        (
            r#"{"a":{"player_id":"anna"},"session_id":"7"}"#.to_owned(),
            format!(r#"{{"a":{{"player_id":"anna"}},"session_id":"{seven}"}}"#),
        ),
        // Whoever else is named, and an earlier session.
        (
            r#"{"victim_id":"anna","reported_id":7,"crashed_session_id":"7"}"#.to_owned(),
            format!(r#"{{"victim_id":"{anna}","reported_id":"{seven}","crashed_session_id":"{seven}"}}"#),
        ),
        // Not an id, so not to be kept as it is.
        (
            r#"{"player_id":["anna"],"session_id":{"id":"anna"}}"#.to_owned(),
            r#"{"player_id":null,"session_id":null}"#.to_owned(),
        ),
    ] {
        assert_eq!(data(&hashing, &object), expected);
    }
    for same in [
        "",
        "{}",
        r#"{"device":"d-1","player":"anna"}"#,
        r#"{"player_id":null,"session_id":""}"#,
        r#"{"player_id":true}"#,
    ] {
        assert_eq!(data(&hashing, same), same);
    }
}

#[test]
fn of_a_device_that_is_an_object_its_id_is_hashed() {
    let identity = identity(&[IdentityField::Device]);
    let (hashing, hash) = (hashing(&identity), identity.hasher().expect("a hasher").hash(b"d-1"));
    for (object, expected) in [
        (r#"{"device":"d-1","player_id":"anna"}"#, format!(r#"{{"device":"{hash}","player_id":"anna"}}"#)),
        (r#"{"device":{"id":"d-1","model":"x"}}"#, format!(r#"{{"device":{{"id":"{hash}","model":"x"}}}}"#)),
        (r#"{"device":{"model":"x"}}"#, r#"{"device":{"model":"x"}}"#.to_owned()),
        (r#"{"device":["d-1"]}"#, r#"{"device":null}"#.to_owned()),
    ] {
        assert_eq!(data(&hashing, object), expected);
    }
}

#[test]
fn what_is_hashed_stays_as_it_is_when_it_comes_again() {
    let identity = identity(&IdentityField::ALL);
    let hashing = hashing(&identity);
    let once = data(&hashing, r#"{"player_id":"anna","session_id":7,"device":{"id":"d"}}"#);
    assert!(!once.contains("anna"));
    assert_eq!(data(&hashing, &once), once);
}

#[test]
fn a_batch_keeps_everything_but_the_ids() {
    let identity = identity(&[IdentityField::PlayerId]);
    let (hashing, hash) = (hashing(&identity), identity.hasher().expect("a hasher").hash(b"anna"));
    let sent = Event { partition_key: "anna".to_owned(), ..event(r#"{"player_id":"anna"}"#) };
    let (events, flaws) = batch(&hashing, vec![sent.clone(), event(""), Event::default()]);
    let expected =
        Event { event_data: format!(r#"{{"player_id":"{hash}"}}"#).into_bytes().into(), partition_key: hash, ..sent };
    assert_eq!(events, [expected, event(""), Event::default()]);
    // The last one has no type.
    assert_eq!(flaws.iter().map(|flaw| flaw.index).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_partition_key_is_hashed_whichever_ids_are() {
    for field in IdentityField::ALL {
        let identity = identity(&[field]);
        let (hashing, hash) = (hashing(&identity), identity.hasher().expect("a hasher").hash(b"s-1"));
        let sent = Event { partition_key: "s-1".to_owned(), ..event("{}") };
        let (events, _) = batch(&hashing, vec![sent.clone(), Event { partition_key: hash.clone(), ..sent }]);
        assert_eq!((&events[0].partition_key, &events[1].partition_key), (&hash, &hash), "{field}");
    }
}

#[test]
fn of_an_event_that_can_not_be_read_no_id_is_left_and_its_verdict_stays() {
    let identity = identity(&[IdentityField::PlayerId]);
    let hashing = hashing(&identity);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    for (broken, is_reason) in [
        (r#"{"player_id":"anna""#.to_owned(), "is not"),
        (r#""{\"player_id\":\"anna\"}""#.to_owned(), "is not a JSON object"),
        (r#"{"player_id":"anna","x":NaN}"#.to_owned(), "is not valid JSON"),
        (deep, "nested"),
    ] {
        let (events, flaws) = batch(&hashing, vec![event(&broken)]);
        assert_eq!(&events[0].event_data[..], UNREADABLE, "{broken}");
        assert_eq!(flaws.len(), 1, "{broken}");
        assert!(flaws[0].invalid.to_string().contains(is_reason), "{}", flaws[0].invalid);
        // It is sent again, as a bad row has it, with hashing on and off.
        let limits = Limits::from(&IngestSettings::default());
        let again = events[0].encode_to_vec();
        assert!(validate(&scan::event(&again).expect("an event"), &limits).is_err(), "{broken}");
        let (same, flaws) = batch(&hashing, events.clone());
        assert_eq!((same, flaws.len()), (events, 1), "{broken}");
    }
    // Readable, with another fault.
    let (events, flaws) =
        batch(&hashing, vec![Event { event_name: "a b".to_owned(), ..event(r#"{"player_id":"anna"}"#) }]);
    assert!(events[0].event_data.starts_with(br#"{"player_id":"h1-"#));
    assert_eq!(flaws.len(), 1);
}

#[test]
fn no_event_no_fault_of_the_wire_and_no_fault_of_the_door_is_lost() {
    let identity = identity(&[IdentityField::PlayerId]);
    let limits = Limits::from(&IngestSettings::default());
    // Field 1, of a length that runs past the end of the event; then a good one, in which the door has found something.
    let mut message = vec![1 << 3 | 2, 3, 1 << 3 | 2, 40, b'a'];
    message.extend(PublishEventsRequest { events: vec![event("{}")] }.encode_to_vec());
    let found = Flaw { index: 1, invalid: Invalid { field: Field::Event, problem: Problem::UnknownField } };
    let hashed = hashing(&identity).batch(&message, Envelope::Publish, std::slice::from_ref(&found), &limits, |_| None);
    let events = PublishEventsRequest::decode(hashed.message).expect("a message").events;
    assert_eq!(events, [Event::default(), event("{}")]);
    assert!(matches!(hashed.flaws[0].invalid.problem, Problem::Malformed(_)));
    assert_eq!(hashed.flaws[1..], [found]);
}
