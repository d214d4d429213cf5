//! Figures, times and reasons as people read them.

use std::time::{Duration, UNIX_EPOCH};

use maud::{Markup, html};

/// A whole number with its thousands apart: `12,345`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many a second: `0`, `0.25`, `12.5`, `1,234`.
pub(super) fn rate(value: f64) -> String {
    match value {
        _ if !value.is_finite() || value <= 0.0 => "0".to_owned(),
        _ if value < 0.01 => "< 0.01".to_owned(),
        _ if value < 9.995 => format!("{value:.2}"),
        _ if value < 99.95 => format!("{value:.1}"),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite and positive")]
        _ => count(value.round() as u64),
    }
}

/// A number on an axis: `0`, `250`, `1.5 k`, `20 M`.
pub(super) fn short(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Bytes: `38 B`, `3.1 MiB`.
#[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
pub(super) fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1_024.0 {
            return if unit == "B" { format!("{value} B") } else { format!("{scaled:.1} {unit}") };
        }
        scaled /= 1_024.0;
    }
    format!("{scaled:.1} TiB")
}

/// A price: `$12.50`, `$0.0042`.
pub(super) fn dollars(value: f64) -> String {
    match value {
        _ if value >= 0.995 => format!("${value:.2}"),
        _ if value >= 0.000_05 => format!("${value:.4}"),
        _ if value > 0.0 => "< $0.0001".to_owned(),
        _ => "$0".to_owned(),
    }
}

/// A moment, as people and programs read it.
pub(super) fn moment(at_ms: i64) -> Markup {
    let text = utc(at_ms);
    let shown = text.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(text) { (shown) } }
}

/// A moment of the last hours by its time of day.
pub(super) fn time_of_day(at_ms: i64) -> Markup {
    let text = utc(at_ms);
    html! { time datetime=(text) title=(text) { (text.get(11..19).unwrap_or(&text)) } }
}

/// A moment in RFC 3339, to the second.
pub(super) fn utc(at_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(at_ms).unwrap_or(0));
    let at = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
    // It can't show what lies past the year 9999.
    let latest = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(at.min(latest)).to_string()
}

/// How long ago something was: `just now`, `12 s ago`, `3 min ago`.
pub(super) fn ago(now_ms: i64, at_ms: i64) -> String {
    match now_ms.saturating_sub(at_ms) / 1_000 {
        ..2 => "just now".to_owned(),
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds @ ..7_200 => format!("{} min ago", seconds / 60),
        seconds @ ..172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// A span in words: `5m`, `1h 30m`.
pub(super) fn span(span: Duration) -> String {
    humantime::format_duration(Duration::from_secs(span.as_secs())).to_string()
}

/// A reason's label in plain words, with what would mend it.
pub(super) fn reason(label: &str) -> &str {
    match label {
        "malformed" => "is no valid protobuf message",
        "required" => "is missing or empty",
        "charset" => "holds a character that is not allowed",
        "too_long" => "is too long",
        "not_a_uuid" => "is not a UUID such as 0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6a7b",
        "timestamp_range" => "lies outside the years 1 to 9999",
        "not_a_json_object" => "is not one JSON object",
        "too_deep" => "is nested too deeply",
        "event_too_large" => "is too large as a whole",
        "schema" => "does not fit its schema",
        "key_missing" => "no API key came with the call",
        "key_malformed" => "the API key was not copied whole",
        "key_unknown" => "nobody has this API key",
        "key_disabled" => "the API key is disabled",
        "key_expired" => "the API key's time is over",
        "scope_missing" => "the API key may not be used for this",
        "identity_unreadable" => "how the application's ids are hashed can't be read",
        "over_rate" => "more events or bytes a second than the application may send",
        "over_burst" => "more at once than the application may send",
        "over_budget" => "too much was on its way already",
        "message_too_large" | "decompressed_too_large" => "the message is too large",
        "undecodable" => "the message can't be read",
        "empty_batch" => "the batch holds no events",
        "batch_too_large" => "too many events in one batch",
        "destination_down" | "destination_unavailable" => "the destination can't take events now",
        "draining" => "the gateway is stopping",
        other => other,
    }
}

/// What would mend it, for whoever runs the game; `None` where only waiting or a look at the message helps.
pub(super) fn mend(label: &str) -> Option<&'static str> {
    Some(match label {
        "key_missing" => "Send the key as x-api-key or as Authorization.",
        "key_malformed" => "Copy it again, whole: a key begins with hg_.",
        "key_unknown" => "Use a key that was made here: an application's page Keys makes one.",
        "key_disabled" => "Enable it on the application's page Keys, or use another one.",
        "key_expired" => "Make another one on the application's page Keys.",
        "scope_missing" => "Use a key that may, or make one on the application's page Keys.",
        "other_application" => "Use a key of this application, or the application's own address.",
        "identity_unreadable" => "The gateway's log names the row of the registry; clients keep the events meanwhile.",
        "over_rate" => "Clients send it again after the hint. The application's page Settings raises its limits.",
        "over_burst" => "Send smaller batches, or raise what may be sent at once on the application's page Settings.",
        "over_budget" => "Clients send it again after the hint.",
        "message_too_large" | "decompressed_too_large" | "batch_too_large" => "Send fewer events in one batch.",
        "event_too_large" => "Send less in its event_data.",
        "undecodable" | "malformed" => "Build the message from the published headgate.v1 proto.",
        "empty_batch" => "Put at least one event into it.",
        "required" => "Fill it in.",
        "charset" => "Use letters, digits, - _ and . only.",
        "too_long" => "Make it shorter.",
        "not_a_uuid" => "Send a UUID, or leave it empty: then the gateway makes one.",
        "timestamp_range" => "Send the time at which the event happened.",
        "not_a_json_object" => "Send one JSON object, such as {\"level\": 1}.",
        "too_deep" => "Put less inside of each other.",
        "schema" | "schema_violation" => "Change the event, or its schema on the application's page Schemas.",
        "destination_down" | "destination_unavailable" => {
            "The page System shows what the destination says; clients keep the event and send it again."
        }
        "draining" => "Clients send it again, to another gateway or to this one once it is back.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::Reason;

    use super::*;
    use crate::admission::refusal::Refusal;

    #[test]
    fn figures_read_well() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.001, 0.25, 12.34, 1234.5].map(rate), ["0", "< 0.01", "0.25", "12.3", "1,235"]);
        assert_eq!([0.0, 0.5, 1_500.0, 20e6].map(short), ["0", "0.5", "1.5 k", "20 M"]);
        assert_eq!([38, 3 << 20].map(bytes), ["38 B", "3.0 MiB"]);
        assert_eq!([0.0, 0.000_01, 0.004_21, 12.5].map(dollars), ["$0", "< $0.0001", "$0.0042", "$12.50"]);
        assert_eq!(utc(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(utc(-5), "1970-01-01T00:00:00Z");
        assert_eq!(
            [0, 12_000, 180_000, 7_300_000, 9 * 86_400_000].map(|age| ago(1_000_000_000_000, 1_000_000_000_000 - age)),
            ["just now", "12 s ago", "3 min ago", "2 h ago", "9 days ago"]
        );
    }

    #[test]
    fn what_events_are_rejected_for_has_plain_words() {
        let silent = [Reason::Unspecified, Reason::Deadline];
        for code in 0..64 {
            let Ok(known) = Reason::try_from(code) else { continue };
            let label = known.label();
            assert!(silent.contains(&known) || reason(label) != label, "{label} has no words");
            assert!(silent.contains(&known) || mend(label).is_some(), "{label} has no mend");
        }
        let about_keys = Refusal::examples().into_iter().map(|refusal| refusal.row().label);
        for label in about_keys.filter(|label| label.starts_with("key_") && *label != "key_store_unavailable") {
            assert_ne!(reason(label), label);
            assert!(mend(label).is_some(), "{label}");
        }
    }
}
