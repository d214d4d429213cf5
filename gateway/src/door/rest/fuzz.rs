//! REST's bodies and signatures.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use uuid::Uuid;

use super::batch;
use super::shapes::{Named, enabled, time};
use super::signature::Signature;
use crate::event::scan::{self, Envelope, RawEvent};
use crate::fuzz::Input;

/// A batch becomes the message that holds what a reader of JSON finds in it, or is refused.
pub fn rest_batch(data: &[u8]) {
    let mut input = Input::new(data);
    let max_events = u32::from(input.byte());
    let Ok(body) = std::str::from_utf8(input.rest()) else { return };
    let read = batch::read(body, max_events);
    let value = serde_json::from_str::<Value>(body).ok();
    let events = value.as_ref().and_then(|value| value.get("events")).and_then(Value::as_array);
    let Ok(batch) = read else {
        // Nobody else may refuse it for its shape; two members of one name, or a name in escapes, are looked at no further.
        let plain = body.matches("\"events\"").count() == 1 && !body.contains('\\');
        assert!(events.is_none() || !plain, "{body}");
        return;
    };
    let head = scan::head(&batch.message, Envelope::Publish).expect("a message");
    assert_eq!(head.events, batch.events.min(max_events));
    assert!(batch.flaws.windows(2).all(|pair| pair[0].index < pair[1].index));
    assert!(batch.flaws.iter().all(|flaw| flaw.index < head.events));
    envelopes(&batch.message);
    let Some(events) = events else { return };
    assert_eq!(batch.events as usize, events.len());
    for ((index, bytes), event) in (0_u32..).zip(scan::events(&batch.message, Envelope::Publish)).zip(events) {
        let raw = scan::event(bytes).expect("a message");
        if batch.flaws.iter().all(|flaw| flaw.index != index) {
            same_event(&raw, event);
        }
    }
}

fn envelopes(message: &[u8]) {
    scan::events(message, Envelope::Publish).for_each(crate::ingest::fuzz::envelope);
}

fn same_event(raw: &RawEvent<'_>, event: &Value) {
    let texts = [
        ("event_id", raw.event_id),
        ("event_type", raw.event_type),
        ("event_name", raw.event_name),
        ("event_version", raw.event_version),
        ("app_version", raw.app_version),
    ];
    for (name, text) in texts {
        assert_eq!(event.get(name).map_or("", |value| value.as_str().expect("no flaw")).as_bytes(), text, "{name}");
    }
    let data =
        (!raw.event_data.is_empty()).then(|| serde_json::from_slice(raw.event_data).expect("it was JSON before"));
    assert_eq!(event.get("event_data"), data.as_ref());
}

/// What administrators send is read or refused, and every time can be shown.
fn rest_request(data: &[u8]) {
    if let Ok(named) = Named::read(data) {
        assert!(!named.name.is_empty());
    }
    let _ = enabled(data);
    let _ = std::str::from_utf8(data).map(str::parse::<Uuid>);
    assert!(time(Input::new(data).number().cast_signed()).ends_with('Z'));
}

/// Whoever has no secret signs nothing; whatever has to be signed is.
pub fn signature(data: &[u8]) {
    rest_request(data);
    let mut lines = data.split(|byte| *byte == b'\n');
    let text = |line: Option<&[u8]>| String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let (authorization, target) = (text(lines.next()), text(lines.next()));
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(&value[1..])) {
            let _ = headers.try_append(name, value);
        }
    }
    let Ok(signature) = Signature::parse(&authorization, &headers) else { return };
    assert!(!signature.access_key_id().is_empty());
    let _ = signature.check_time(0);
    let Ok(uri) = target.parse::<http::Uri>() else { return };
    let secret = crate::config::Secret::from("a secret that no input knows");
    for is_encrypted in [false, true] {
        assert!(signature.check(&secret, &http::Method::POST, &uri, &headers, data, is_encrypted).is_err());
    }
}
