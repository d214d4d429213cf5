//! What each event says: `event_data`, one JSON object of about 100 to 600 bytes.
//!
//! A function of the seed, the player's number, the step's number and the player's state, which itself follows from
//! these; so a payload can be computed again from its event's id.

use super::catalog::{self, Country, Device, Offer};
use super::json::Object;
use super::{Happening, Kind, Player, World};
use crate::engine::{Draw, Purpose, hash, hyphenated, uuid};
use crate::workload::player::State;

/// Who a player is; the same in every event.
struct Traits {
    device: Device,
    country: Country,
    login: &'static str,
    network: &'static str,
    hero: &'static str,
}

impl Traits {
    fn of(seed: u64, number: u32) -> Self {
        let mut draw = Draw::new(seed, number, 1, Purpose::Traits);
        Self {
            device: draw.pick(catalog::DEVICES),
            country: draw.pick(catalog::COUNTRIES),
            login: draw.pick(catalog::LOGINS),
            network: draw.pick(catalog::NETWORKS),
            hero: draw.pick(catalog::HEROES),
        }
    }
}

/// The version of the game that the player runs.
pub(crate) fn app_version(seed: u64, number: u32) -> &'static str {
    Draw::new(seed, number, 2, Purpose::Traits).pick(catalog::APP_VERSIONS)
}

/// The match that a player is in: the same for all who entered the same queue within 20 s of game time.
struct Match {
    id: [u8; 36],
    map: &'static str,
    mode: &'static str,
}

impl Match {
    fn of(seed: u64, number: u32, began: u32) -> Self {
        let mode = Draw::new(seed, number, began, Purpose::Thing).pick(catalog::MODES);
        let (window, lobby) = (began / 20_000, number % 64);
        let key = u64::from(window) << 32 | u64::from(lobby) << 8 | u64::from(mode.as_bytes()[0]);
        let map = Draw::new(seed, window, lobby, Purpose::Thing).pick(catalog::MAPS);
        Self { id: thing(seed, key), map, mode }
    }
}

/// The id of a thing of the game, as text.
fn thing(seed: u64, key: u64) -> [u8; 36] {
    let high = hash(seed, key, Purpose::Thing);
    hyphenated(uuid(high, hash(high, key, Purpose::Thing)))
}

fn player_id(number: u32) -> [u8; 11] {
    let mut text = *b"p0000000000";
    let mut rest = number;
    for digit in text[1..].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    text
}

impl World {
    /// Writes the event's payload; `player` is the player after the step.
    pub(crate) fn write_payload(&self, number: u32, player: &Player, happening: Happening, out: &mut Vec<u8>) {
        let mut draw = Draw::new(self.seed, number, happening.sequence, Purpose::Payload);
        let session = u64::from(number) << 32 | u64::from(player.session) | 1 << 31;
        let mut object = Object::open(out);
        object.text("player_id", player_id(number)).text("session_id", thing(self.seed, session));
        match happening.kind {
            Kind::SessionStart => self.session_start(number, player, &mut draw, &mut object),
            Kind::Login => self.login(number, player, &mut draw, &mut object),
            Kind::Heartbeat => self.heartbeat(number, player, &mut draw, &mut object),
            Kind::LobbyEnter => self.lobby(number, player, &mut draw, &mut object),
            Kind::MatchStart => self.match_start(number, player, &mut draw, &mut object),
            Kind::Knockout => self.knockout(number, player, happening, &mut draw, &mut object),
            Kind::MatchEnd => self.match_end(number, player, &mut draw, &mut object),
            Kind::LevelUp => level_up(player, &mut draw, &mut object),
            Kind::Purchase => self.purchase(number, happening, &mut draw, &mut object),
            Kind::Logout => logout(player, &mut draw, &mut object),
        }
        object.close();
    }

    fn session_start(&self, number: u32, player: &Player, draw: &mut Draw, object: &mut Object<'_>) {
        let Traits { device, country, network, .. } = Traits::of(self.seed, number);
        object
            .number("session_number", player.session)
            .text("platform", device.platform)
            .text("device_model", device.model)
            .text("os_version", device.os_version)
            .text("gpu", device.gpu)
            .number("memory_mb", device.memory_mb)
            .text("screen", device.screen)
            .text("store", device.store)
            .text("network", network)
            .text("country_id", country.code)
            .text("language", country.language)
            .text("time_zone", country.time_zone)
            .number("free_storage_mb", draw.between(800, 90_000))
            .number("battery_pct", draw.between(5, 100))
            .number("cold_start_ms", draw.between(1_100, 9_000))
            .text("graphics", draw.pick(&[(20, "low"), (45, "medium"), (35, "high")]))
            .flag("controller", draw.chance(0.14))
            .flag("analytics_consent", true);
    }

    fn login(&self, number: u32, player: &Player, draw: &mut Draw, object: &mut Object<'_>) {
        let traits = Traits::of(self.seed, number);
        object
            .text("platform", traits.device.platform)
            .text("country_id", traits.country.code)
            .text("auth_method", traits.login)
            .number("level", player.level)
            .number("friends_online", draw.below(24))
            .number("auth_ms", draw.between(40, 900))
            .flag("first_login_today", draw.chance(0.4));
    }

    fn heartbeat(&self, number: u32, player: &Player, draw: &mut Draw, object: &mut Object<'_>) {
        let Traits { device, country, .. } = Traits::of(self.seed, number);
        let slow = draw.below(device.fps / 3 + 1);
        object
            .text("screen", if player.state == State::Match { "match" } else { "lobby" })
            .text("region", country.region)
            .number("fps", device.fps - slow)
            .number("ping_ms", draw.between(12, 60) + draw.exponential(12.0) as u32)
            .hundredths("packet_loss_pct", draw.exponential(20.0) as u32)
            .number("memory_used_mb", draw.between(device.memory_mb / 8, device.memory_mb / 3));
    }

    fn lobby(&self, number: u32, player: &Player, draw: &mut Draw, object: &mut Object<'_>) {
        let traits = Traits::of(self.seed, number);
        object
            .text("region", traits.country.region)
            .number("level", player.level)
            .number("party_size", draw.pick(&[(60, 1_u32), (22, 2), (11, 3), (7, 4)]))
            .number("soft_balance", draw.below(40_000))
            .number("gems", draw.exponential(350.0) as u32);
    }

    fn match_start(&self, number: u32, player: &Player, draw: &mut Draw, object: &mut Object<'_>) {
        let traits = Traits::of(self.seed, number);
        in_match(self.seed, number, player, object)
            .text("region", traits.country.region)
            .text("hero", traits.hero)
            .number("level", player.level)
            .number("queue_ms", draw.between(900, 48_000))
            .number("skill_rating", draw.between(700, 2_600));
    }

    fn knockout(&self, number: u32, player: &Player, at: Happening, draw: &mut Draw, object: &mut Object<'_>) {
        let into_match_ms = (at.due as u32).wrapping_sub(player.match_began);
        in_match(self.seed, number, player, object)
            .text("spell_id", draw.pick(catalog::SPELLS))
            .text("victim_id", player_id(draw.below(number.max(1_000))))
            .number("match_second", into_match_ms / 1_000)
            .hundredths("distance_m", draw.between(150, 6_500))
            .number("damage", draw.between(40, 420))
            .number("exp_gained", draw.between(5, 25))
            .number("streak", draw.between(1, 4));
    }

    fn match_end(&self, number: u32, player: &Player, draw: &mut Draw, object: &mut Object<'_>) {
        let traits = Traits::of(self.seed, number);
        let knockouts = u32::from(player.knockouts);
        let duration_ms = player.match_ends.wrapping_sub(player.match_began);
        in_match(self.seed, number, player, object)
            .text("hero", traits.hero)
            .text("match_result_type", draw.pick(catalog::RESULTS))
            .number("score", knockouts * 100 + draw.below(900))
            .number("knockouts", knockouts)
            .number("defeats", draw.below(knockouts + 4))
            .number("duration_s", duration_ms / 1_000)
            .number("exp_gained", 50 + knockouts * 12 + draw.below(120))
            .number("damage_dealt", knockouts * 180 + draw.below(2_000))
            .hundredths("accuracy_pct", draw.between(1_500, 7_800))
            .number("average_ping_ms", draw.between(14, 110))
            .number("average_fps", traits.device.fps - draw.below(traits.device.fps / 4 + 1));
    }

    fn purchase(&self, number: u32, at: Happening, draw: &mut Draw, object: &mut Object<'_>) {
        let Traits { device, country, .. } = Traits::of(self.seed, number);
        let Offer { item, bundle, amount, price } = draw.pick(catalog::SHOP);
        let transaction = u64::from(number) << 32 | u64::from(at.sequence);
        object
            .text("transaction_id", thing(!self.seed, transaction))
            .text("item_id", item)
            .text("bundle_id", bundle)
            .number("item_amount", amount)
            .text("currency_type", country.currency.code)
            .hundredths("currency_amount", price * country.currency.per_cent)
            .text("country_id", country.code)
            .text("store", device.store)
            .flag("first_purchase", draw.chance(0.12));
    }
}

fn in_match<'a, 'b>(seed: u64, number: u32, player: &Player, object: &'a mut Object<'b>) -> &'a mut Object<'b> {
    let game = Match::of(seed, number, player.match_began);
    object.text("match_id", game.id).text("map_id", game.map).text("mode", game.mode)
}

fn level_up(player: &Player, draw: &mut Draw, object: &mut Object<'_>) {
    let level = u32::from(player.level);
    object
        .number("level_from", level - 1)
        .number("level_to", level)
        .number("exp_total", level * level * 180 + draw.below(400))
        .text("unlocked", draw.pick(catalog::SPELLS));
}

fn logout(player: &Player, draw: &mut Draw, object: &mut Object<'_>) {
    object
        .text("last_screen_seen", draw.pick(catalog::SCREENS))
        .number("level", player.level)
        .text("reason", draw.pick(&[(78, "player"), (15, "idle"), (7, "switched_device")]));
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::engine::Engine;

    fn payloads(seed: u64) -> Vec<(u32, Happening, Vec<u8>)> {
        let world = Arc::new(World::new(seed, 0.0));
        let mut engine = Engine::new(world.clone(), 0..2_000, 0);
        let mut seen = Vec::new();
        let mut out = Vec::new();
        engine.advance(900_000, |number, player, happening| {
            world.write_payload(number, player, happening, &mut out);
            seen.push((number, happening, out.clone()));
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
}
