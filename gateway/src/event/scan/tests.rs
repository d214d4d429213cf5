use headgate_proto::v1;
use prost::Message;

use super::*;

fn sample() -> v1::Event {
    v1::Event {
        event_id: "0198f2a0-0000-7000-8000-000000000001".to_owned(),
        event_type: "login".to_owned(),
        event_name: "player_login".to_owned(),
        event_timestamp: Some(prost_types::Timestamp { seconds: -5, nanos: 250 }),
        event_version: "1.0".to_owned(),
        app_version: "2.1.0".to_owned(),
        event_data: br#"{"player_id":"p1"}"#.as_slice().into(),
        partition_key: "p1".to_owned(),
    }
}

#[test]
fn a_scan_finds_what_prost_wrote() {
    let sample = sample();
    let request = v1::StreamEventsRequest { sequence: 300, events: vec![sample.clone(), v1::Event::default()] };
    let bytes = request.encode_to_vec();
    assert_eq!(head(&bytes, Envelope::Stream), Ok(Head { sequence: 300, events: 2 }));
    assert_eq!(leading_sequence(&bytes[..11]), Some(300));
    let unnumbered = v1::StreamEventsRequest { sequence: 0, ..request }.encode_to_vec();
    assert_eq!(leading_sequence(&unnumbered[..11]), Some(0));
    let events: Vec<_> = events(&bytes, Envelope::Stream).collect();
    let first = event(events[0]).expect("well formed");
    assert_eq!(first.event_id, sample.event_id.as_bytes());
    assert_eq!(first.event_type, sample.event_type.as_bytes());
    assert_eq!(first.event_name, sample.event_name.as_bytes());
    assert_eq!(first.timestamp, Some(Timestamp { seconds: -5, nanos: 250 }));
    assert_eq!(first.event_version, sample.event_version.as_bytes());
    assert_eq!(first.app_version, sample.app_version.as_bytes());
    assert_eq!(first.event_data, &sample.event_data[..]);
    assert_eq!(first.partition_key, sample.partition_key.as_bytes());
    assert_eq!(event(events[1]), Ok(RawEvent::default()));
}

#[test]
fn varints_of_every_length_are_read_wherever_they_end() {
    for bits in 0..64 {
        for value in [1 << bits, u64::MAX >> (63 - bits), 0x0123_4567_89ab_cdef_u64 >> (63 - bits)] {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            let len = bytes.len();
            for behind in 0..10 {
                bytes.resize(len + behind, 0xff);
                let mut fields = Fields { rest: &bytes };
                assert_eq!((fields.varint(), fields.rest.len()), (Ok(value), behind), "{value:#x}");
            }
        }
    }
}

#[test]
fn fields_in_any_order_and_any_number_are_found() {
    let sample = sample();
    let bytes = sample.encode_to_vec();
    let expected = event(&bytes).expect("well formed");
    // Cut at each field, and put together the other way round, with a field before it that nobody knows.
    let mut fields = Fields { rest: &bytes };
    let mut pieces = Vec::new();
    let mut before = bytes.len();
    while fields.next_field().expect("well formed").is_some() {
        pieces.push(&bytes[bytes.len() - before..bytes.len() - fields.rest.len()]);
        before = fields.rest.len();
    }
    for turn in 0..pieces.len() {
        pieces.rotate_left(1);
        let turned = pieces.concat();
        assert_eq!(event(&turned), Ok(expected), "turned by {turn}");
        let unknown = [&[0x78, 1][..], &turned, &[0x4a, 1, 7]].concat();
        assert_eq!(event(&unknown), Ok(expected), "turned by {turn}");
    }
    pieces.reverse();
    assert_eq!(event(&pieces.concat()), Ok(expected));
    // The last one counts.
    let twice = [&bytes[..], &[0x12, 1, b'x']].concat();
    assert_eq!(event(&twice).map(|event| event.event_type), Ok(&b"x"[..]));
}

#[test]
fn timestamps_of_every_length_are_those_of_the_wire_format() {
    for seconds in [0, 1, 127, 128, 1_790_000_000, i64::MAX, -1, i64::MIN] {
        for nanos in [0, 1, 127, 128, 20_000, 250_000_000, 999_999_999, i32::MAX, -1, i32::MIN] {
            let bytes = prost_types::Timestamp { seconds, nanos }.encode_to_vec();
            let mut merged = Timestamp::default();
            merge_timestamp(&mut merged, &bytes).expect("well formed");
            assert_eq!(merged, Timestamp { seconds, nanos });
            assert!(usual_timestamp(&bytes).is_none_or(|usual| usual == merged), "{seconds} {nanos}");
            for end in 0..bytes.len() {
                let mut cut = Timestamp::default();
                let fine = merge_timestamp(&mut cut, &bytes[..end]).is_ok();
                assert!(usual_timestamp(&bytes[..end]).is_none_or(|usual| fine && usual == cut), "cut at {end}");
            }
            let longer = [&bytes[..], &[0x18, 1]].concat();
            assert!(usual_timestamp(&longer).is_none(), "{seconds} {nanos}");
        }
    }
    let usual = prost_types::Timestamp { seconds: 1_790_000_000, nanos: 1_000_000 }.encode_to_vec();
    assert!(usual_timestamp(&usual).is_some());
}

#[test]
fn every_truncation_is_noticed_or_ends_between_fields() {
    let bytes = sample().encode_to_vec();
    for end in 0..bytes.len() {
        let by_prost = v1::Event::decode(&bytes[..end]).is_ok();
        assert_eq!(event(&bytes[..end]).is_ok(), by_prost, "cut at {end}");
    }
}

#[test]
fn what_prost_refuses_is_refused_and_what_it_skips_is_skipped() {
    let cases: [(&[u8], bool); 8] = [
        (&[0x48, 0x05], true),                                            // unknown varint field 9
        (&[0x4a, 0x02, 1, 2], true),                                      // unknown bytes field 9
        (&[0x4d, 1, 2, 3, 4], true),                                      // unknown fixed32
        (&[0x49, 1, 2, 3, 4, 5, 6, 7], false),                            // fixed64 cut short
        (&[0x08, 0x01], false),                                           // event_id as varint
        (&[0x00, 0x01], false),                                           // field number 0
        (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], false),                   // lying length
        (&[0x48, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], false), // varint past 64 bits
    ];
    for (bytes, fine) in cases {
        assert_eq!(event(bytes).is_ok(), fine, "{bytes:?}");
        assert_eq!(v1::Event::decode(bytes).is_ok(), fine, "prost on {bytes:?}");
    }
}
