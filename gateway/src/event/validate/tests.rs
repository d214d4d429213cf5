use super::*;
use crate::event::scan::Timestamp;

fn limits() -> Limits {
    Limits::from(&IngestSettings::default())
}

fn good() -> RawEvent<'static> {
    RawEvent {
        event_id: b"0198F2A0-0000-7000-8000-00000000000A",
        event_type: b"login",
        event_name: b"player_login",
        timestamp: Some(Timestamp { seconds: 1_700_000_000, nanos: 5 }),
        event_version: b"1.0",
        app_version: b"2.1.0-rc_1",
        event_data: b"{\"player_id\":\"p\"}",
        partition_key: b"p",
    }
}

fn broken(change: impl FnOnce(&mut RawEvent<'static>)) -> (Field, Problem) {
    let mut event = good();
    change(&mut event);
    let invalid = validate(&event, &limits()).expect_err("breaks a rule");
    (invalid.field, invalid.problem)
}

#[test]
fn a_good_event_passes_with_and_without_its_optional_fields() {
    let checked = validate(&good(), &limits()).expect("good");
    assert_eq!((checked.seconds, checked.nanos), (1_700_000_000, 5));
    assert_eq!(checked.event_id.map(|id| id.to_string()).as_deref(), Some("0198f2a0-0000-7000-8000-00000000000a"));
    let bare =
        RawEvent { event_id: b"", event_version: b"", app_version: b"", event_data: b"", partition_key: b"", ..good() };
    assert_eq!(validate(&bare, &limits()).expect("good").event_id, None);
}

#[test]
fn each_broken_rule_names_its_field() {
    assert_eq!(broken(|e| e.event_id = b"not-a-uuid"), (Field::EventId, Problem::NotAUuid));
    assert_eq!(broken(|e| e.event_id = b"0198f2a000007000800000000000000a"), (Field::EventId, Problem::NotAUuid));
    assert_eq!(broken(|e| e.event_type = b""), (Field::EventType, Problem::Required));
    assert_eq!(broken(|e| e.event_name = b"a b"), (Field::EventName, Problem::Charset));
    assert_eq!(broken(|e| e.event_name = b"caf\xc3\xa9"), (Field::EventName, Problem::Charset));
    assert_eq!(broken(|e| e.event_name = b"nul\0"), (Field::EventName, Problem::Charset));
    assert_eq!(broken(|e| e.event_type = &[b'a'; 257]), (Field::EventType, Problem::TooLong { limit: 256 }));
    assert_eq!(broken(|e| e.timestamp = None), (Field::EventTimestamp, Problem::Required));
    let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
    assert_eq!(broken(|e| e.timestamp = at(0, -1)), (Field::EventTimestamp, Problem::TimestampRange));
    assert_eq!(broken(|e| e.timestamp = at(0, 1_000_000_000)), (Field::EventTimestamp, Problem::TimestampRange));
    assert_eq!(broken(|e| e.timestamp = at(i64::MAX, 0)), (Field::EventTimestamp, Problem::TimestampRange));
    assert_eq!(broken(|e| e.app_version = b"1/2"), (Field::AppVersion, Problem::Charset));
    assert_eq!(broken(|e| e.event_data = b"[1]"), (Field::EventData, Problem::NotAJsonObject { at: None }));
    assert_eq!(broken(|e| e.event_data = b"{\"a\":}"), (Field::EventData, Problem::NotAJsonObject { at: Some(5) }));
    assert_eq!(broken(|e| e.event_data = b"{\"a\":\"\xff\"}"), (Field::EventData, Problem::NotUtf8));
    assert_eq!(broken(|e| e.partition_key = &[b'k'; 257]), (Field::PartitionKey, Problem::TooLong { limit: 256 }));
}
