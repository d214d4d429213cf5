//! The events of a smoke test: a few players of a game, and some that break a rule.

use headgate_proto::v1::{Event, Reason};
use prost_types::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// The version of the game that does not exist.
pub(super) const APP_VERSION: &str = "0.0.0-smoke";
/// Each sends its events in turn.
const PLAYERS: usize = 500;
/// Events happened between two minutes and one before they are sent: their minute is over, and is soon counted.
const OLDEST_MS: u64 = 120_000;
const SPAN_MS: u64 = 60_000;
/// In the place of those that a player does: how often, and what of.
const KINDS: [&str; 8] =
    ["login", "match_start", "user_knockout", "user_knockout", "match_end", "level_up", "iap_transaction", "logout"];
pub(super) const LOGIN: &str = KINDS[0];
const SPELLS: [&str; 3] = ["fire", "frost", "storm"];

/// So many events that break no rule, oldest first. `now_ms` is Unix time.
pub(super) fn good(count: usize, now_ms: u64) -> Vec<Event> {
    let at = |n: usize| now_ms - OLDEST_MS + SPAN_MS * n as u64 / count.max(1) as u64;
    (0..count).map(|n| event(KINDS[n % KINDS.len()], n, at(n))).collect()
}

/// The days, as the lake has them, that events sent at `now_ms` are of.
pub(super) fn instants(now_ms: u64) -> [u64; 2] {
    [now_ms - OLDEST_MS, now_ms - OLDEST_MS + SPAN_MS]
}

/// An event that has to be rejected.
pub(super) struct Bad {
    pub(super) what: &'static str,
    pub(super) event: Event,
    /// As documented (`headgate.v1.Reason`).
    pub(super) reason: Reason,
}

/// One for each of a few rules.
pub(super) fn bad(now_ms: u64) -> Vec<Bad> {
    let of = |what, reason, spoil: fn(&mut Event)| {
        let mut event = event(LOGIN, 0, now_ms - OLDEST_MS);
        spoil(&mut event);
        Bad { what, event, reason }
    };
    vec![
        of("an event without a type", Reason::Required, |event| event.event_type.clear()),
        of("an event whose name holds a blank", Reason::Charset, |event| event.event_name = "no name".to_owned()),
        of("an event whose id is no UUID", Reason::NotAUuid, |event| event.event_id = "smoke".to_owned()),
        of("an event whose data is a JSON array", Reason::NotAJsonObject, |event| {
            event.event_data = b"[1]".as_slice().into();
        }),
        of("an event whose data is cut short", Reason::NotAJsonObject, |event| {
            event.event_data = br#"{"player_id":"#.as_slice().into();
        }),
    ]
}

fn event(event_type: &str, n: usize, at_ms: u64) -> Event {
    let player = n % PLAYERS;
    let mut data = json!({
        "player_id": format!("smoke-player-{player}"),
        "session_id": format!("smoke-session-{player}"),
    });
    let more = match event_type {
        "user_knockout" => json!({ "spell_id": SPELLS[n % SPELLS.len()] }),
        "iap_transaction" => json!({ "currency_type": "USD", "transaction_value": 4.99, "item_id": "smoke" }),
        "level_up" => json!({ "level": n % 50 + 1 }),
        "match_start" | "match_end" => json!({ "map_id": "smoke-é", "mode": "duel" }),
        _ => json!({}),
    };
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    Event {
        event_id: Uuid::now_v7().to_string(),
        event_type: event_type.to_owned(),
        event_name: "smoke".to_owned(),
        event_timestamp: Some(Timestamp { seconds: (at_ms / 1_000) as i64, nanos: (at_ms % 1_000) as i32 * 1_000_000 }),
        event_version: "1.0.0".to_owned(),
        app_version: APP_VERSION.to_owned(),
        event_data: data.to_string().into_bytes().into(),
        partition_key: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn events_are_of_several_types_and_of_one_minute_with_an_id_each() {
        let now_ms = 1_790_000_000_000;
        let events = good(400, now_ms);
        let ids: BTreeSet<Uuid> = events.iter().map(|event| event.event_id.parse().expect("a UUID")).collect();
        assert!(ids.len() == 400 && ids.iter().all(|id| id.get_version_num() == 7));
        let types: BTreeSet<&str> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, KINDS.into_iter().collect());
        for event in &events {
            let at = event.event_timestamp.as_ref().expect("a time");
            let [from, to] = instants(now_ms);
            assert!((from..=to).contains(&(at.seconds as u64 * 1_000 + at.nanos as u64 / 1_000_000)), "{at:?}");
            let data: Value = serde_json::from_slice(&event.event_data).expect("JSON");
            assert!(data["player_id"].is_string(), "{data}");
        }
        // Fewer events than players: each is of another one.
        let players: BTreeSet<&[u8]> = events.iter().map(|event| &*event.event_data).collect();
        assert_eq!(players.len(), 400);
    }
}
