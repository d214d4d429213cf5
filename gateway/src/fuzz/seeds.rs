//! Inputs to begin with: one of each shape that a parser knows, so that no fuzzer has to find them by chance.

use std::io::Write;

use headgate_proto::aggregate::begin_user_record;
use headgate_proto::record::{EventFields, MeasuredRecord, RecordTail, TimestampText};
use headgate_proto::v1::{Event, PublishEventsRequest, StreamEventsRequest};
use prost::Message;
use prost_types::Timestamp;

use crate::door::otlp::model::{Any, LogRecord, attribute, every_kind, request};

const EVENT_DATA: &str = r#"{"player_id":"p-1","a":[1,-2.5e+3,true,null,{"b":"\u00e9\n"}],"c":{}}"#;
const EVENT_ID: &str = "0191d9a4-7c1e-7000-8000-0123456789ab";

fn event() -> Event {
    Event {
        event_id: EVENT_ID.to_owned(),
        event_type: "login".to_owned(),
        event_name: "player_login".to_owned(),
        event_timestamp: Some(Timestamp { seconds: 1_700_000_000, nanos: 250_000_000 }),
        event_version: "1.0".to_owned(),
        app_version: "2.1-b".to_owned(),
        event_data: EVENT_DATA.as_bytes().to_vec().into(),
        partition_key: "p-1".to_owned(),
    }
}

fn early_event() -> Event {
    let event_timestamp = Some(Timestamp { seconds: -1, nanos: 1 });
    let event_data = b"{\r\n \"a\" : \"b\"\n}".to_vec().into();
    Event { event_type: "a".to_owned(), event_name: "b".to_owned(), event_timestamp, event_data, ..Event::default() }
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[flag][..], &length, message].concat()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(data).and_then(|()| gzip.finish()).expect("a vector takes it")
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 3).expect("a vector takes it")
}

fn publish() -> Vec<u8> {
    PublishEventsRequest { events: vec![event(), early_event()] }.encode_to_vec()
}

pub(super) fn grpc_frames() -> Vec<Vec<u8>> {
    let stream = StreamEventsRequest { sequence: 7, events: vec![event()] }.encode_to_vec();
    vec![
        [&[0, 0, 255][..], &frame(0, &publish())].concat(),
        [&[0, 0, 3][..], &frame(0, &stream), &frame(0, &stream), &frame(0, b"")].concat(),
        [&[0, 1, 40][..], &frame(1, &gzip(&publish()))].concat(),
        [&[0, 2, 40][..], &frame(1, &zstd(&publish())), &frame(0, &stream)].concat(),
        [&[0, 1, 255][..], &frame(1, &gzip(&[0; 10_000]))].concat(),
        [&[0, 0, 255][..], &frame(0, &[8; 5_000]), &frame(0, &stream)].concat(),
        [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff].to_vec(),
        [0, 0, 9, 7, 0, 0, 0, 1, 0].to_vec(),
    ]
}

pub(super) fn event_scan() -> Vec<Vec<u8>> {
    let stream = StreamEventsRequest { sequence: u64::MAX, events: vec![event(), early_event()] }.encode_to_vec();
    let merged = [event().encode_to_vec(), early_event().encode_to_vec()].concat();
    // Unknown fields of every wire type, a group among them, then an event.
    let unknown = [&[0x50, 1, 0x59, 0, 0, 0, 0, 0, 0, 0, 0, 0x65, 0, 0, 0, 0, 0x5b, 0x5c, 0x0a, 0][..], &publish()];
    vec![publish(), stream, merged, unknown.concat(), event().encode_to_vec()]
}

pub(super) fn envelope() -> Vec<Vec<u8>> {
    vec![event().encode_to_vec(), early_event().encode_to_vec()]
}

pub(super) fn json_object() -> Vec<Vec<u8>> {
    let objects = [
        EVENT_DATA,
        "{}",
        " {\r\n\t\"a\" : [ ] , \"a\":{\"b\":{}} } ",
        r#"{"a":"\ud83d\ude00","b":"\ud83d","c":"\"\\\/\b\f\n\r\t","":""}"#,
        r#"{"a":-0,"b":0.5,"c":1E-400,"d":123456789012345678901234567890,"e":1e999,"f":false}"#,
        r#"{"a":[[[[[[1]]]]]],"player_id":7}"#,
        r#"{"a":NaN}"#,
        r#"{"\u0070layer_id":"x","player_id":"y"}"#,
        "[1]",
    ];
    (0..).zip(objects).map(|(at, object)| [&[0, at % 6][..], object.as_bytes()].concat()).collect()
}

pub(super) fn decompression() -> Vec<Vec<u8>> {
    let data = publish();
    let mut named =
        flate2::GzBuilder::new().filename("a").comment("b").extra("c").write(Vec::new(), Default::default());
    named.write_all(&data).expect("a vector takes it");
    vec![
        [&[0][..], &gzip(&data)].concat(),
        [&[1][..], &zstd(&data)].concat(),
        [&[0][..], &named.finish().expect("a vector takes it")].concat(),
        [&[0][..], &gzip(&vec![0; 100_000])].concat(),
        [&[1][..], &zstd(&vec![0; 100_000])].concat(),
        [&[0][..], &gzip(&data), &gzip(&data)].concat(),
        [&[1][..], &zstd(&data), &zstd(&data)].concat(),
    ]
}

fn rest_event() -> String {
    format!(
        r#"{{"event_id":"{EVENT_ID}","event_type":"login","event_name":"player_login","event_timestamp":1700000000.25,"event_version":"1.0","app_version":"2.1-b","event_data":{EVENT_DATA}}}"#
    )
}

pub(super) fn rest_batch() -> Vec<Vec<u8>> {
    let event = rest_event();
    let bodies = [
        format!(r#"{{"events":[{event}]}}"#),
        format!(r#"{{"x":[1],"events":[{event}, {event}],"y":{{}}}}"#),
        r#"{"events":[1,null,"a",[],{"event_type":7,"event_id":"","event_data":[],"extra":1}]}"#.to_owned(),
        r#"{"events":[{"event_id":"a","event_timestamp":-1e3,"event_name":"\u0061","event_type":"a","event_type":"b"}]}"#
            .to_owned(),
        r#"{"events":[],"events":[{}]}"#.to_owned(),
    ];
    bodies.iter().map(|body| [&[20][..], body.as_bytes()].concat()).collect()
}

pub(super) fn otlp_logs() -> Vec<Vec<u8>> {
    let record = |event_name: &str, attributes| LogRecord {
        time_unix_nano: 1_700_000_000_250_000_000,
        event_name: event_name.to_owned(),
        attributes,
        ..LogRecord::default()
    };
    let named = ["headgate.event_id", "event.type", "event.name", "headgate.partition_key", "body"];
    let whole = LogRecord {
        body: Some("it began".into()),
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        observed_time_unix_nano: 1,
        ..record("match.started", every_kind())
    };
    let named = record("", named.map(|key| attribute(key, EVENT_ID)).to_vec());
    let version = vec![attribute("service.version", "2.1-b")];
    let requests = [
        request(version, vec![whole.clone(), named, whole]).encode_to_vec(),
        request(vec![attribute("service.version", Any::Int(2))], vec![record("a", Vec::new())]).encode_to_vec(),
        // A record of no protobuf between two good ones.
        vec![0x0a, 16, 0x12, 14, 0x12, 3, 0x62, 1, b'a', 0x12, 2, 0x2a, 9, 0x12, 3, 0x62, 1, b'b'],
    ];
    let json = r#"{"resourceLogs":[{"resource":{"attributes":[]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1700000000250000000","observedTimeUnixNano":7,"eventName":"match.\u0061","traceId":"0102030405060708090a0b0c0d0e0f10","severityNumber":9,"body":{"arrayValue":{"values":[{"intValue":"-1"},{"doubleValue":1e3},{}]}},"attributes":[{"key":"bytes","value":{"bytesValue":"AP8="}},{"key":"map","value":{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}},{"key":"nan","value":{"doubleValue":"NaN"}}]},{}]}]}]}"#;
    let protobuf = requests.iter().map(|request| [&[0, 7][..], request].concat());
    protobuf.chain([[&[1, 7][..], json.as_bytes()].concat()]).collect()
}

pub(super) fn api_key() -> Vec<Vec<u8>> {
    let texts =
        ["hg_0123456789abcdefghjkmnpqrstvwxyz01234567abcdefg", "Bearer a-foreign-key", "a-foreign-key", "gzip", ""];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) fn signature() -> Vec<Vec<u8>> {
    let scope = "AKIDEXAMPLE/20150830/us-east-1/execute-api/aws4_request";
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={}\n/live/applications?a=b\nhost:gateway\nx-amz-date:20150830T123600Z",
        "5d672d79".repeat(8)
    );
    let body = br#"{"Name":"a game","Description":null,"Enabled":true}"#;
    vec![signed.clone().into_bytes(), format!("{signed}\nx-amz-content-sha256:UNSIGNED-PAYLOAD").into(), body.to_vec()]
}

pub(super) fn grpc_door() -> Vec<Vec<u8>> {
    let message = PublishEventsRequest { events: vec![early_event()] }.encode_to_vec();
    let piece = |bytes: &[u8]| [&[u8::try_from(bytes.len()).expect("short")][..], bytes].concat();
    let stream = StreamEventsRequest { sequence: 3, events: vec![early_event()] }.encode_to_vec();
    let settings = [6, 4, 0, 0, 6, 0, 4, 0, 0, 0, 0];
    let window_update = [6, 8, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff];
    let continuation = [6, 9, 4, 3, 2, 0x88, 0x88];
    vec![
        [&[0, 0, 0, 2][..], &piece(&message), &[4]].concat(),
        [&[1, 0, 0, 2][..], &piece(&stream), &[2], &piece(&stream), &[5]].concat(),
        [&[0, 0, 1, 3][..], &piece(&frame(1, &gzip(&message))), &[4]].concat(),
        [&[0, 0, 2, 3][..], &piece(&frame(1, &zstd(&message))), &[4, 5]].concat(),
        [&settings[..], &window_update, &[0, 0, 0, 5, 0, 0, 0, 5], &continuation].concat(),
        [&[7][..], &piece(b"GET / HTTP/1.1\r\n\r\n")].concat(),
    ]
}

pub(super) fn rest_door() -> Vec<Vec<u8>> {
    let body = format!(r#"{{"events":[{}]}}"#, rest_event());
    let post = |more: &str, body: &[u8]| {
        let head = "POST /applications/$APP/events HTTP/1.1\r\nhost: g\r\nauthorization: $KEY\r\n";
        let length = body.len();
        [format!("{head}{more}content-length: {length}\r\n\r\n").as_bytes(), body].concat()
    };
    let chunked = format!(
        "POST /live/applications/$APP/events?partial=true HTTP/1.1\r\nhost: g\r\nauthorization: $KEY\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    vec![
        post("", body.as_bytes()),
        post("content-encoding: gzip\r\n", &gzip(body.as_bytes())),
        post("content-encoding: zstd\r\nexpect: 100-continue\r\n", &zstd(body.as_bytes())),
        chunked.into_bytes(),
        [
            &b"POST /v1/logs HTTP/1.1\r\nhost: g\r\nx-api-key: $KEY\r\ncontent-type: application/x-protobuf\r\ncontent-length: 18\r\n\r\n"[..],
            &[0x0a, 16, 0x12, 14, 0x12, 3, 0x62, 1, b'a', 0x12, 2, 0x2a, 9, 0x12, 3, 0x62, 1, b'b'],
        ]
        .concat(),
        b"GET /live/applications/$APP/live?window=1 HTTP/1.1\r\nhost: g\r\nx-api-key: $KEY\r\n\r\nOPTIONS /applications HTTP/1.1\r\nhost: g\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
    ]
}

pub(super) fn lake_log() -> Vec<Vec<u8>> {
    let frames = [&[0, 3][..], &[4], b"one\n", &[0], &[6], b"three\n"].concat();
    vec![
        [&frames[..], &[0, 9, 1]].concat(),
        [&frames[..], &[0, 30, 0, 0x10, 0x20]].concat(),
        [&frames[..], &[0, 0, 0], b"\xf7HGF\x04\0\0\0\x01\0\0\0\0\0\0\0one\n"].concat(),
    ]
}

pub(super) fn lake_recovery() -> Vec<Vec<u8>> {
    let with_next = |with_next: u8| lake_log().into_iter().map(move |log| [&[with_next, 0][..], &log].concat());
    let rubbish = vec![0, 1, 0xf7, b'H', b'G', b'F', 0, 0, 0, 0];
    with_next(0).chain(with_next(1)).chain([rubbish]).collect()
}

pub(super) fn spill_file() -> Vec<Vec<u8>> {
    vec![
        vec![0, 0, 0, 2, 0, 4, b'o', b'n', b'e', b'\n', 1, 2, 8, 8],
        [&[0, 0, 0, 1, 0, 1, b'\n'][..], b"\xf7HGS\x04\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0"].concat(),
        [&[0, 1][..], b"HGSPILL\x01\x01\0\0\0\0\0\0\0\0\0\0\0"].concat(),
        [&[1][..], &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
    ]
}

pub(super) fn manifest() -> Vec<Vec<u8>> {
    let manifest = br#"{"version":1,"segment":9,"segment_bytes":1000,"events":3,"files":[{"path":"raw_events/x.parquet","rows":2,"bytes":900,"crc32c":"00abcdef","min_event_time_ms":-1,"max_event_time_ms":1}],"set_aside":{"path":"damaged/x.jsonl","lines":1},"erased":[{"erasure":"0191d9a4-7c1e-7000-8000-0123456789ab","rows":1,"files_rewritten":1,"files_removed":0,"bytes_before":2,"bytes_after":1}]}"#;
    vec![manifest.to_vec(), b"00000000000000000042.json".to_vec(), b"00000000000000000042-07.parquet".to_vec()]
}

pub(super) fn bad_row() -> Vec<Vec<u8>> {
    let line = br#"{"reason":"charset","field":"event_type","message":"m","application_id":"a","received_at":"2026-01-01T00:00:00.000Z","request_id":"r","index":3,"event":{"event_type":"a b","event_timestamp":{"seconds":1}},"event_base64":"CgFh"}"#;
    vec![line.to_vec(), br#"{"reason":"","application_id":"","event_base64":""}"#.to_vec(), event().encode_to_vec()]
}

pub(super) fn aggregated_record() -> Vec<Vec<u8>> {
    let mut framed = b"\x0a\x01a\x12\x017".to_vec();
    for data in [&b"one\n"[..], b"two\n"] {
        begin_user_record(&mut framed, data.len());
        framed.extend_from_slice(data);
    }
    vec![framed.clone(), [b"\xf3\x89\x9a\xc2", &framed[..]].concat(), b"0123456789abcdef\x03one\x00\x02zz".to_vec()]
}

pub(super) fn stream_record() -> Vec<Vec<u8>> {
    let line = format!(
        r#"{{"event":{{"event_id":"{EVENT_ID}","event_type":"login","event_name":"player_login","event_timestamp":1700000000.25,"event_version":"1.0","app_version":"2.1-b","event_data":{EVENT_DATA}}},"aws_ga_api_validated_flag":true,"aws_ga_api_requestId":"r","aws_ga_api_requestTimeEpoch":1700000000123,"application_id":"a"}}"#
    );
    let reordered = r#"{"application_id":"a","aws_ga_api_requestTimeEpoch":1,"aws_ga_api_requestId":"\u0061","aws_ga_api_validated_flag":false,"event":{"event_timestamp":-1E-9,"event_name":"n","event_type":"t","event_id":"i","event_version":null}}"#;
    let times = ["17e8", "-0.000000001", "0.1234567894", "9223372036854775807", "1e-30", "-1.5e3"];
    let lines = [line.clone(), line + "\n", reordered.to_owned()].into_iter().map(String::into_bytes);
    lines.chain([packed_records()]).chain(times.iter().map(|time| time.as_bytes().to_vec())).collect()
}

/// Two batches, and a line.
fn packed_records() -> Vec<u8> {
    let mut packed = Vec::new();
    for (request, seconds) in [("r", 1_700_000_000), ("s", -1), ("\"", 1)] {
        let tail = RecordTail::new(request, 1_700_000_000_123, "a");
        tail.pack(&mut packed);
        let event = EventFields {
            event_id: EVENT_ID.as_bytes(),
            event_type: b"login",
            event_name: b"player_login",
            seconds,
            nanos: 250_000_000,
            event_version: b"",
            app_version: b"2.1-b",
            event_data: EVENT_DATA.as_bytes(),
            data_has_line_breaks: false,
        };
        MeasuredRecord::new(&event, &tail, &mut TimestampText::default()).pack(&mut packed);
    }
    packed
}

pub(super) fn schema() -> Vec<Vec<u8>> {
    let lines = [
        r#"{"type":"object","required":["a"],"properties":{"a":{"type":"string","pattern":"^[a-z]+$","maxLength":9},"b":{"items":{"enum":[1,"x"]}}},"additionalProperties":false}"#,
        r##"{"$defs":{"n":{"type":"integer","minimum":0,"multipleOf":2}},"allOf":[{"properties":{"n":{"$ref":"#/$defs/n"}}}],"if":{"required":["n"]},"then":{"minProperties":1}}"##,
        r#"{"$schema":"http://json-schema.org/draft-07/schema#","oneOf":[{"properties":{"mail":{"format":"email"}}},{"not":{}}],"patternProperties":{"^x":{"const":null}}}"#,
    ];
    let events = [r#"{"a":"abc","b":[1,"x"]}"#, r#"{"n":3}"#, r#"{"mail":"a@b.example","x1":null}"#];
    lines.iter().zip(events).map(|(schema, event)| format!("{schema}\n{event}").into_bytes()).collect()
}

pub(super) fn settings() -> Vec<Vec<u8>> {
    let files = [
        "[grpc]\nlisten = \"0.0.0.0:50051\"\nmax_message = \"4MiB\"\nkeepalive_interval = \"30s\"\ntls = { certificate = \"a\", private_key = \"b\" }\n",
        "data_dir = \"x\"\n[admission]\napp_share = 0.5\nevents_per_second = 7\n[delivery]\ndestination = \"kinesis\"\n[kinesis]\nstream = \"s\"\n",
        "\"\nlog = [",
    ];
    files.iter().map(|file| file.as_bytes().to_vec()).collect()
}
