//! What each event says: `event_data`, one JSON object of about 100 to 600 bytes, or padded to what is asked for.
//!
//! A function of the seed, the player's number, the step's number and the player's state, which itself follows from
//! these; so a payload can be computed again from its event's id.

use super::json::{Pen, Phrase, SLACK};
use super::phrases::Phrases;
use super::player::State;
use super::{Happening, Kind, Player, World};
use crate::engine::{Draw, Purpose, hyphenated, uuid};

/// No payload without padding is longer, whatever names the model has.
const LONGEST: usize = 1_536;

/// Random bits for small draws, 64 of them from one hash.
struct Bits {
    draw: Draw,
    word: u64,
    left: u32,
}

impl Bits {
    /// So many bits, up to 32.
    #[inline]
    fn take(&mut self, bits: u32) -> u32 {
        if self.left < bits {
            (self.word, self.left) = (self.draw.next(), 64);
        }
        let taken = self.word & ((1 << bits) - 1);
        self.word >>= bits;
        self.left -= bits;
        taken as u32
    }

    /// Uniform in 0..bound, for bounds of up to 65,536; by less than a 65,536th the smaller numbers are likelier.
    #[inline]
    fn below(&mut self, bound: u32) -> u32 {
        (bound * self.take(16)) >> 16
    }

    #[inline]
    fn between(&mut self, from: u32, to: u32) -> u32 {
        from + self.below(to - from + 1)
    }

    /// With a chance in 1,024.
    #[inline]
    fn chance(&mut self, of_1024: u32) -> bool {
        self.take(10) < of_1024
    }

    #[inline]
    fn exponential(&mut self, phrases: &Phrases, mean: u32) -> u32 {
        (u32::from(phrases.exponential[self.take(8) as usize]) * mean) >> 8
    }
}

#[inline]
fn player_id(number: u32, pen: &mut Pen<'_>) {
    let (billions, rest) = (number / 1_000_000_000, number % 1_000_000_000);
    pen.raw(&[b'p', b'0' + billions as u8]).three(rest / 1_000_000).three(rest / 1_000 % 1_000).three(rest % 1_000);
}

impl World {
    /// How large a buffer [`Self::write_payload`] needs.
    pub(crate) fn payload_room(&self) -> usize {
        LONGEST + SLACK + self.phrases.sizes.as_ref().map_or(0, |sizes| sizes.most as usize + 16)
    }

    /// The prepared pieces around payloads.
    pub(crate) fn phrases(&self) -> &Phrases {
        &self.phrases
    }

    /// The field `app_version` of a player's events, encoded.
    #[inline]
    pub(crate) fn app_version(&self, player: &Player) -> &Phrase {
        &self.phrases.app_versions[player.traits.app_version()]
    }

    /// Writes the event's payload to the beginning of `out` and gives its length; `player` is the player after the step.
    pub(crate) fn write_payload(&self, number: u32, player: &Player, happening: Happening, out: &mut [u8]) -> usize {
        let draw = self.dice.draw(number, happening.sequence, Purpose::Payload);
        let mut bits = Bits { draw, word: 0, left: 0 };
        let session = u64::from(number) << 32 | u64::from(player.session) | 1 << 31;
        let mut pen = Pen::new(out);
        pen.raw(b"{\"player_id\":\"");
        player_id(number, &mut pen);
        pen.raw(b"\",\"session_id\":\"").raw(&self.thing(session)).raw(b"\"");
        match happening.kind {
            Kind::SessionStart => self.session_start(player, &mut bits, &mut pen),
            Kind::Login => self.login(player, &mut bits, &mut pen),
            Kind::Heartbeat => self.heartbeat(player, &mut bits, &mut pen),
            Kind::LobbyEnter => self.lobby(player, &mut bits, &mut pen),
            Kind::MatchStart => self.match_start(number, player, &mut bits, &mut pen),
            Kind::Knockout => self.knockout(number, player, happening, &mut bits, &mut pen),
            Kind::MatchEnd => self.match_end(number, player, &mut bits, &mut pen),
            Kind::LevelUp => self.level_up(player, &mut bits, &mut pen),
            Kind::Purchase => self.purchase(number, player, happening, &mut bits, &mut pen),
            Kind::Logout => self.logout(player, &mut bits, &mut pen),
        }
        if let Some(sizes) = &self.phrases.sizes {
            let size = sizes.draw(bits.take(32));
            pad(size as usize, &mut bits, &mut pen);
        }
        pen.raw(b"}").written()
    }

    /// The id of a thing of the game, as text.
    #[inline]
    fn thing(&self, key: u64) -> [u8; 36] {
        let high = self.dice.hash(key, Purpose::Thing);
        hyphenated(uuid(high, self.dice.hash(!high, Purpose::Thing)))
    }

    /// The match that a player is in: the same for all who entered the same queue within 20 s of game time.
    #[inline]
    fn in_match(&self, number: u32, player: &Player, pen: &mut Pen<'_>) {
        let began = player.match_began;
        let (window, lobby) = (began / 20_000, number % 64);
        let hash = self.dice.hash(u64::from(number) << 32 | u64::from(began), Purpose::Thing);
        let mode = self.phrases.modes.place(hash as u32 & 0x3FF);
        let key = 1 << 63 | u64::from(window) << 32 | u64::from(lobby) << 8 | mode as u64;
        let map = self.dice.hash(!key, Purpose::Thing) as u32 & 0x3FF;
        pen.raw(b",\"match_id\":\"").raw(&self.thing(key)).raw(b"\"").phrase(self.phrases.maps.pick(map));
        pen.phrase(&self.phrases.modes.phrases[mode]);
    }

    fn session_start(&self, player: &Player, bits: &mut Bits, pen: &mut Pen<'_>) {
        let Phrases { devices, countries, networks, graphics, .. } = &self.phrases;
        let traits = player.traits;
        pen.raw(b",\"session_number\":").number(player.session.into());
        pen.bytes(devices[traits.device()].context.as_bytes()).phrase(&networks[traits.network()]);
        pen.bytes(countries[traits.country()].context.as_bytes());
        pen.raw(b",\"free_storage_mb\":").number(bits.between(800, 60_000));
        pen.raw(b",\"battery_pct\":").number(bits.between(5, 100));
        pen.raw(b",\"cold_start_ms\":").number(bits.between(1_100, 9_000));
        pen.phrase(graphics.pick(bits.take(10))).raw(b",\"controller\":").flag(bits.chance(143));
        pen.raw(b",\"analytics_consent\":true");
    }

    fn login(&self, player: &Player, bits: &mut Bits, pen: &mut Pen<'_>) {
        let Phrases { devices, countries, logins, .. } = &self.phrases;
        let traits = player.traits;
        pen.phrase(&devices[traits.device()].platform).phrase(&countries[traits.country()].id);
        pen.phrase(&logins[traits.login()]).raw(b",\"level\":").number(player.level.into());
        pen.raw(b",\"friends_online\":").number(bits.below(24));
        pen.raw(b",\"auth_ms\":").number(bits.between(40, 900));
        pen.raw(b",\"first_login_today\":").flag(bits.chance(410));
    }

    fn heartbeat(&self, player: &Player, bits: &mut Bits, pen: &mut Pen<'_>) {
        let Phrases { devices, countries, .. } = &self.phrases;
        let device = &devices[player.traits.device()];
        match player.state {
            State::Match => pen.raw(b",\"screen\":\"match\""),
            _ => pen.raw(b",\"screen\":\"lobby\""),
        };
        pen.phrase(&countries[player.traits.country()].region);
        pen.raw(b",\"fps\":").number(device.fps - bits.below(device.fps / 3 + 1));
        pen.raw(b",\"ping_ms\":").number(bits.between(12, 60) + bits.exponential(&self.phrases, 12));
        pen.raw(b",\"packet_loss_pct\":").hundredths(bits.exponential(&self.phrases, 20));
        pen.raw(b",\"memory_used_mb\":").number(bits.between(device.memory_mb / 8, device.memory_mb / 3));
    }

    fn lobby(&self, player: &Player, bits: &mut Bits, pen: &mut Pen<'_>) {
        pen.phrase(&self.phrases.countries[player.traits.country()].region);
        pen.raw(b",\"level\":").number(player.level.into());
        let party = bits.below(100);
        let size = 1 + u32::from(party >= 60) + u32::from(party >= 82) + u32::from(party >= 93);
        pen.raw(b",\"party_size\":").number(size);
        pen.raw(b",\"soft_balance\":").number(bits.below(40_000));
        pen.raw(b",\"gems\":").number(bits.exponential(&self.phrases, 350));
    }

    fn match_start(&self, number: u32, player: &Player, bits: &mut Bits, pen: &mut Pen<'_>) {
        let Phrases { countries, heroes, .. } = &self.phrases;
        self.in_match(number, player, pen);
        pen.phrase(&countries[player.traits.country()].region).phrase(&heroes[player.traits.hero()]);
        pen.raw(b",\"level\":").number(player.level.into());
        pen.raw(b",\"queue_ms\":").number(bits.between(900, 48_000));
        pen.raw(b",\"skill_rating\":").number(bits.between(700, 2_600));
    }

    fn knockout(&self, number: u32, player: &Player, at: Happening, bits: &mut Bits, pen: &mut Pen<'_>) {
        let into_match_ms = (at.due as u32).wrapping_sub(player.match_began);
        self.in_match(number, player, pen);
        pen.phrase(self.phrases.spells.pick(bits.take(10))).raw(b",\"victim_id\":\"");
        let victim = ((u64::from(number.max(1_000)) * u64::from(bits.take(32))) >> 32) as u32;
        player_id(victim, pen);
        pen.raw(b"\",\"match_second\":").number(into_match_ms / 1_000);
        pen.raw(b",\"distance_m\":").hundredths(bits.between(150, 6_500));
        pen.raw(b",\"damage\":").number(bits.between(40, 420));
        pen.raw(b",\"exp_gained\":").number(bits.between(5, 25));
        pen.raw(b",\"streak\":").number(bits.between(1, 4));
    }

    fn match_end(&self, number: u32, player: &Player, bits: &mut Bits, pen: &mut Pen<'_>) {
        let Phrases { devices, heroes, results, .. } = &self.phrases;
        let fps = devices[player.traits.device()].fps;
        let knockouts = u32::from(player.knockouts);
        let duration_ms = player.match_ends.wrapping_sub(player.match_began);
        self.in_match(number, player, pen);
        pen.phrase(&heroes[player.traits.hero()]).phrase(results.pick(bits.take(10)));
        pen.raw(b",\"score\":").number(knockouts * 100 + bits.below(900));
        pen.raw(b",\"knockouts\":").number(knockouts);
        pen.raw(b",\"defeats\":").number(bits.below(knockouts + 4));
        pen.raw(b",\"duration_s\":").number(duration_ms / 1_000);
        pen.raw(b",\"exp_gained\":").number(50 + knockouts * 12 + bits.below(120));
        pen.raw(b",\"damage_dealt\":").number(knockouts * 180 + bits.below(2_000));
        pen.raw(b",\"accuracy_pct\":").hundredths(bits.between(1_500, 7_800));
        pen.raw(b",\"average_ping_ms\":").number(bits.between(14, 110));
        pen.raw(b",\"average_fps\":").number(fps - bits.below(fps / 4 + 1));
    }

    fn purchase(&self, number: u32, player: &Player, at: Happening, bits: &mut Bits, pen: &mut Pen<'_>) {
        let Phrases { devices, countries, offers, offer_picker, .. } = &self.phrases;
        let country = &countries[player.traits.country()];
        let offer = &offers[offer_picker.pick(bits.take(10))];
        let transaction = 0b11 << 62 ^ (u64::from(number) << 32 | u64::from(at.sequence));
        pen.raw(b",\"transaction_id\":\"").raw(&self.thing(transaction)).raw(b"\"");
        pen.phrase(&offer.item).phrase(&offer.bundle).phrase(&country.currency);
        pen.raw(b",\"currency_amount\":").hundredths(offer.price * country.per_cent);
        pen.phrase(&country.id).phrase(&devices[player.traits.device()].store);
        pen.raw(b",\"first_purchase\":").flag(bits.chance(123));
    }

    fn level_up(&self, player: &Player, bits: &mut Bits, pen: &mut Pen<'_>) {
        let level = u32::from(player.level);
        pen.raw(b",\"level_from\":").number(level - 1).raw(b",\"level_to\":").number(level);
        pen.raw(b",\"exp_total\":").number(level * level * 180 + bits.below(400));
        pen.phrase(self.phrases.unlocked.pick(bits.take(10)));
    }

    fn logout(&self, player: &Player, bits: &mut Bits, pen: &mut Pen<'_>) {
        pen.phrase(self.phrases.screens.pick(bits.take(10))).raw(b",\"level\":").number(player.level.into());
        pen.phrase(self.phrases.reasons.pick(bits.take(10)));
    }
}

/// Fills an open object up to this size with a field `pad`, unless it is as large already. The letters are random, so
/// that compression finds in them what it finds in real text of mixed entropy: four bits a letter.
fn pad(size: usize, bits: &mut Bits, pen: &mut Pen<'_>) {
    const AROUND: usize = r#","pad":"""#.len() + 1;
    let Some(letters) = size.checked_sub(pen.written() + AROUND) else { return };
    pen.raw(b",\"pad\":\"");
    for _ in 0..letters / 8 {
        pen.raw(&letters_of(bits.draw.next()));
    }
    pen.bytes(&letters_of(bits.draw.next())[..letters % 8]).raw(b"\"");
}

/// Eight letters from `a` to `p`.
fn letters_of(word: u64) -> [u8; 8] {
    ((word & 0x0F0F_0F0F_0F0F_0F0F) + 0x6161_6161_6161_6161).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::engine::{Engine, Seat};
    use crate::workload::{Model, WorldConfig};

    fn payloads(seed: u64) -> Vec<(u32, Happening, Vec<u8>)> {
        payloads_of(seed, &WorldConfig::default())
    }

    fn payloads_of(seed: u64, config: &WorldConfig) -> Vec<(u32, Happening, Vec<u8>)> {
        let world = Arc::new(World::new(seed, config));
        let mut engine = Engine::new(world.clone(), Seat::flat(0, 0..2_000, 0.7));
        let mut seen = Vec::new();
        let mut out = vec![0; world.payload_room()];
        engine.advance(900_000, |number, player, happening| {
            let len = world.write_payload(number, player, happening, &mut out);
            seen.push((number, happening, out[..len].to_vec()));
        });
        seen
    }

    #[test]
    fn every_payload_is_a_json_object_of_60_to_600_bytes_that_names_player_and_session() {
        let mut of_kind: HashMap<Kind, u32> = HashMap::new();
        for (number, happening, payload) in payloads(1) {
            let text = String::from_utf8(payload).expect("payloads are UTF-8");
            let value: serde_json::Value = serde_json::from_str(&text).expect("payloads are JSON");
            assert_eq!(value["player_id"], format!("p{number:010}"));
            assert_eq!(value["session_id"].as_str().map(str::len), Some(36));
            assert!((60..=600).contains(&text.len()), "{:?} of {} bytes: {text}", happening.kind, text.len());
            match happening.kind {
                Kind::Purchase => assert!(value["currency_type"].is_string() && value["currency_amount"].is_number()),
                Kind::Knockout => assert!(value["spell_id"].is_string()),
                Kind::MatchEnd => assert!(value["score"].is_u64()),
                _ => {}
            }
            *of_kind.entry(happening.kind).or_default() += 1;
        }
        assert_eq!(of_kind.len(), 10, "every kind of event occurs: {of_kind:?}");
    }

    #[test]
    fn a_seed_repeats_every_payload() {
        let once = payloads(4);
        let again = payloads(4);
        assert_eq!(once.len(), again.len());
        assert!(once.iter().zip(&again).all(|(one, other)| one.2 == other.2));
        assert_ne!(once[0].2, payloads(5)[0].2);
    }

    #[test]
    fn a_session_keeps_its_id_and_the_next_one_has_another() {
        let mut sessions: HashMap<(u32, String), u32> = HashMap::new();
        let mut starts: HashMap<u32, u32> = HashMap::new();
        for (number, happening, payload) in payloads(9) {
            let value: serde_json::Value = serde_json::from_slice(&payload).expect("payloads are JSON");
            let session = value["session_id"].as_str().expect("a text").to_owned();
            *sessions.entry((number, session)).or_default() += 1;
            if happening.kind == Kind::SessionStart {
                *starts.entry(number).or_default() += 1;
            }
        }
        for number in 0..2_000 {
            let ids = sessions.keys().filter(|(player, _)| *player == number).count() as u32;
            let started = starts.get(&number).copied().unwrap_or(0);
            assert!(ids == started || ids == started + 1, "player {number}: {ids} ids, {started} session starts");
        }
    }

    #[test]
    fn every_model_writes_valid_payloads_of_every_kind() {
        for (name, _) in Model::built_in() {
            let config = WorldConfig { model: Model::named(name).expect("built in"), ..WorldConfig::default() };
            let mut kinds = std::collections::BTreeSet::new();
            for (_, happening, payload) in payloads_of(2, &config) {
                let object: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_slice(&payload).expect("an object");
                assert!(object.len() >= 5 && (60..=600).contains(&payload.len()), "{name}: {object:?}");
                kinds.insert(happening.kind);
            }
            assert_eq!(kinds.len(), Kind::ALL.len(), "{name}");
        }
    }

    #[test]
    fn payloads_are_of_the_library_of_events() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/schemas/headgate/events/v1");
        let schemas: HashMap<Kind, (serde_json::Value, jsonschema::Validator)> = Kind::ALL
            .into_iter()
            .map(|kind| {
                let path = format!("{folder}/{}.schema.json", kind.event_type());
                let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
                let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                let validator = jsonschema::validator_for(&schema).expect("a schema");
                (kind, (schema, validator))
            })
            .collect();
        for (name, _) in Model::built_in() {
            let config = WorldConfig { model: Model::named(name).expect("built in"), ..WorldConfig::default() };
            for (_, happening, payload) in payloads_of(6, &config).into_iter().take(20_000) {
                let payload: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
                let (schema, validator) = &schemas[&happening.kind];
                assert!(validator.is_valid(&payload), "{name}: {:?}: {payload}", validator.validate(&payload).err());
                for member in payload.as_object().expect("an object").keys() {
                    assert!(schema["properties"].get(member).is_some(), "{:?}: {member} is unknown", happening.kind);
                }
            }
        }
    }

    #[test]
    fn payloads_are_padded_to_sizes_spread_between_the_bounds() {
        let config = WorldConfig { payload_bytes: Some([1_000, 40_000]), ..WorldConfig::default() };
        let mut sizes: Vec<usize> = Vec::new();
        for (_, _, payload) in payloads_of(3, &config).into_iter().take(3_000) {
            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&payload).expect("an object");
            sizes.push(payload.len());
        }
        sizes.sort_unstable();
        assert!(sizes[0] == 1_000 && sizes[sizes.len() - 1] == 40_000, "{} to {}", sizes[0], sizes[sizes.len() - 1]);
        let median = sizes[sizes.len() / 2] as f64;
        assert!((median / 40e6_f64.sqrt() - 1.0).abs() < 0.1, "the median is {median}");
    }
}
