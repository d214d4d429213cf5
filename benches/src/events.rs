//! Sample events: six short fields and a JSON payload of about 230 bytes, together about 342 bytes on the wire.

use headgate_proto::v1::Event;
use prost_types::Timestamp;

use crate::random::Random;

/// A generator of events that look like a game's. The same seed makes the same events.
#[derive(Clone, Debug)]
pub struct Sample {
    random: Random,
    size: Size,
}

/// How large sample events are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// A JSON payload of about 230 bytes: 342 bytes on the wire, a stream record of about 650.
    #[default]
    Usual,
    /// A payload of a dozen bytes: a stream record of about 410, most of it the format's own.
    Small,
    /// About so many bytes on the wire, 100 at least: a payload with a text as long as it takes.
    Of(u32),
}

/// What an event of [`Size::Of`] takes beside its text.
const BESIDE_TEXT: usize = 97;

impl Sample {
    /// Events of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::sized(seed, Size::Usual)
    }

    /// Events of this seed and size.
    #[must_use]
    pub fn sized(seed: u64, size: Size) -> Self {
        Self { random: Random::new(seed), size }
    }

    /// The next event.
    pub fn event(&mut self) -> Event {
        let (event_type, event_name, event_data) = match self.below(4) {
            0 => ("gameplay_combat", "player_knockout", self.knockout()),
            1 => ("gameplay_progress", "mission_completed", self.mission()),
            2 => ("economy_transaction", "item_purchased", self.purchase()),
            _ => ("client_performance", "frame_statistics", self.frames()),
        };
        let (event_type, event_data) = match self.size {
            Size::Usual => (event_type, event_data),
            Size::Small => ("input", format!(r#"{{"k":{}}}"#, self.number(5))),
            Size::Of(bytes) => ("input", self.text(usize::try_from(bytes).unwrap_or(0).saturating_sub(BESIDE_TEXT))),
        };
        let event_name = if matches!(self.size, Size::Of(_)) { "key" } else { event_name };
        let (high, low) = (self.draw(), self.draw());
        Event {
            event_id: uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
                .into_uuid()
                .to_string(),
            event_type: event_type.to_owned(),
            event_name: event_name.to_owned(),
            event_timestamp: Some(Timestamp {
                seconds: 1_790_000_000 + self.below(86_400).cast_signed(),
                // Milliseconds: what clients have.
                nanos: i32::try_from(self.below(1_000) * 1_000_000).unwrap_or(0),
            }),
            event_version: "1.0.0".to_owned(),
            // A game that is being rolled out is played in a few versions.
            app_version: self.pick(&["2.14.7", "2.14.7", "2.14.9", "2.13.22", "2.9.31"]).to_owned(),
            event_data: event_data.into(),
            partition_key: String::new(),
        }
    }

    fn knockout(&mut self) -> String {
        format!(
            r#"{{"player_id":"{}","session_id":"{}","region":"{}","match_id":"{}","weapon":"{}","distance_m":{}.{},"headshot":{},"position":{{"x":{},"y":{},"z":{}}},"assists":["{}","{}"]}}"#,
            self.player(),
            self.session(),
            self.pick(&["eu-central", "us-west", "ap-south"]),
            self.number(8),
            self.pick(&["longbow", "plasma_rifle", "hammer"]),
            self.below(300),
            self.below(10),
            self.pick(&["true", "false"]),
            self.below(2_000),
            self.below(2_000),
            self.below(300),
            self.player(),
            self.player(),
        )
    }

    fn mission(&mut self) -> String {
        format!(
            r#"{{"player_id":"{}","session_id":"{}","region":"{}","mission":"{}","difficulty":{},"duration_s":{},"score":{},"rewards":[{{"item":"{}","count":{}}},{{"item":"coins","count":{}}}],"party_size":{}}}"#,
            self.player(),
            self.session(),
            self.pick(&["eu-central", "us-west", "ap-south"]),
            self.pick(&["the_frozen_gate", "harbor_lights", "last_train_north"]),
            self.below(5),
            self.below(3_600),
            self.number(5),
            self.pick(&["iron_key", "rune_of_ash", "old_map"]),
            self.below(9),
            self.number(3),
            self.below(4),
        )
    }

    fn purchase(&mut self) -> String {
        format!(
            r#"{{"player_id":"{}","session_id":"{}","region":"{}","transaction_id":"{}","item_id":"{}","currency":"{}","amount":{}.{},"quantity":{},"balance_after":{},"store":"{}","country":null}}"#,
            self.player(),
            self.session(),
            self.pick(&["eu-central", "us-west", "ap-south"]),
            self.number(12),
            self.pick(&["skin_ember", "season_pass", "mount_gryphon"]),
            self.pick(&["EUR", "USD", "gems"]),
            self.below(100),
            self.number(2),
            self.below(5),
            self.number(6),
            self.pick(&["in_game_shop", "launcher", "web"]),
        )
    }

    fn frames(&mut self) -> String {
        format!(
            r#"{{"player_id":"{}","session_id":"{}","region":"{}","fps_avg":{}.{},"fps_low":{}.{},"frame_ms_p99":{}.{},"ping_ms":{},"gpu":"{}","resolution":[{},{}],"zone":"{}","hitches":{}}}"#,
            self.player(),
            self.session(),
            self.pick(&["eu-central", "us-west", "ap-south"]),
            30 + self.below(100),
            self.number(2),
            10 + self.below(50),
            self.number(2),
            self.below(40),
            self.number(3),
            self.below(200),
            self.pick(&["RX 7800 XT", "RTX 4070 \\\"Super\\\"", "Apple M3 Pro"]),
            self.pick(&["1920", "2560", "3840"]),
            self.pick(&["1080", "1440", "2160"]),
            self.pick(&["frost_harbor", "sunken_city", "mill"]),
            self.below(20),
        )
    }

    fn text(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"etaoin shrdlu cmfwyp vbgkjqxz 0123456789 .,";
        let letters = (0..length).map(|_| char::from(LETTERS[usize::try_from(self.below(43)).unwrap_or(0)]));
        format!(r#"{{"t":"{}"}}"#, letters.collect::<String>())
    }

    fn player(&mut self) -> String {
        format!("p_{}", self.number(8))
    }

    fn session(&mut self) -> String {
        format!("s_{:016x}", self.draw())
    }

    /// A number of so many digits, the first of them no zero.
    fn number(&mut self, digits: u32) -> u64 {
        let least = 10_u64.pow(digits - 1);
        least + self.below(least * 9)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap_or(0)]
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn draw(&mut self) -> u64 {
        self.random.draw()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn events_have_the_size_that_figures_are_quoted_for() {
        let mut sample = Sample::new(7);
        // The tag and the two bytes of its length are part of an event in a batch.
        let sizes: Vec<usize> = (0..4_000).map(|_| sample.event().encoded_len() + 3).collect();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((332..=352).contains(&mean), "the mean is {mean} bytes");
    }

    #[test]
    fn events_are_as_large_as_is_asked_for() {
        for bytes in [100, 340, 1_024, 16_384] {
            let mut sample = Sample::sized(7, Size::Of(bytes));
            let sizes: Vec<usize> = (0..100).map(|_| sample.event().encoded_len() + 3).collect();
            let mean = sizes.iter().sum::<usize>() / sizes.len();
            assert!(mean.abs_diff(bytes as usize) <= 6, "{mean} bytes instead of {bytes}");
            serde_json::from_slice::<serde_json::Value>(&sample.event().event_data).expect("JSON");
        }
    }

    #[test]
    fn payloads_are_json_objects_and_ids_are_uuids() {
        let mut sample = Sample::new(8);
        for _ in 0..1_000 {
            let event = sample.event();
            let payload = serde_json::from_slice::<serde_json::Value>(&event.event_data).expect("JSON");
            assert!(payload.is_object());
            uuid::Uuid::try_parse(&event.event_id).expect("a UUID");
        }
    }
}
