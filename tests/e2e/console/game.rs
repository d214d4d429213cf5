//! Events of a game as they might come in, some of them broken, so that every chart and list has something to show.

use std::time::{SystemTime, UNIX_EPOCH};

use headgate_proto::v1::Event;
use headgate_tests::client::{Connection, Target};
use prost_types::Timestamp;
use uuid::Uuid;

const SPELLS: [&str; 4] = ["fireball", "frost_nova", "chain_lightning", "<b>hex</b>"];
const CURRENCIES: [&str; 2] = ["USD", "gems"];

/// Sends so many batches of 50 events, of which some break a rule.
pub(super) async fn plays(target: &Target, batches: u64) {
    let mut connection = Connection::open(target).await.expect("the gateway is there");
    for batch in 0..batches {
        let events = (0..50).map(|place| event(batch * 50 + place)).collect();
        let verdict = connection.publish(events).await.expect("the batch is taken");
        assert_eq!(verdict.accepted + verdict.rejected, 50, "{verdict:?}");
    }
}

/// Sends a batch with a key that nobody has.
pub(super) async fn knocks(target: &Target) {
    let stranger = Target::new(target.address, "not-a-key-of-this-gateway");
    let mut connection = Connection::open(&stranger).await.expect("the gateway is there");
    let refused = connection.publish(vec![event(1)]).await.expect_err("nobody has this key");
    assert_eq!(refused.message(), "the API key is unknown");
}

fn event(serial: u64) -> Event {
    let (event_type, data) = match serial % 10 {
        0..4 => ("login", format!(r#"{{"player_id":"player-{}"}}"#, serial % 97)),
        4..7 => {
            #[allow(clippy::cast_possible_truncation, reason = "one of four")]
            let spell = SPELLS[(serial / 10 % 4) as usize];
            ("user_knockout", format!(r#"{{"player_id":"player-{}","spell_id":"{spell}"}}"#, serial % 97))
        }
        7 => {
            #[allow(clippy::cast_possible_truncation, reason = "one of two")]
            let currency = CURRENCIES[(serial / 10 % 2) as usize];
            ("iap_transaction", format!(r#"{{"player_id":"player-7","currency_type":"{currency}","amount":499}}"#))
        }
        8 if serial.is_multiple_of(3) => ("match end", "{}".to_owned()),
        8 if serial % 3 == 1 => ("match_end", "{\"score\": ".to_owned()),
        _ => ("match_end", r#"{"score":1200,"map":"<script>alert(1)</script>"}"#.to_owned()),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Event {
        event_id: Uuid::new_v4().to_string(),
        event_type: event_type.to_owned(),
        event_name: format!("{event_type}_event").replace(' ', "_"),
        event_timestamp: Some(Timestamp { seconds: i64::try_from(now.as_secs()).expect("fits"), nanos: 0 }),
        app_version: if serial.is_multiple_of(5) { "2.1.0".to_owned() } else { "2.2.0".to_owned() },
        event_data: data.into_bytes().into(),
        ..Event::default()
    }
}
