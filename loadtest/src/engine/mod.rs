//! The players of one game server, moved through game time.
//!
//! [`Engine::advance`] takes every step that is due up to an instant and none that is due later, each player's steps in
//! order. It does no I/O and reads no clock, so a run can be repeated and tested in virtual time.

mod calendar;
mod encode;
mod rng;

use std::ops::Range;
use std::sync::Arc;

use calendar::{Calendar, END, SLOT_SHIFT};
#[cfg(test)]
pub(crate) use encode::Mark;
pub(crate) use encode::{Batch, Encoder, Framing};
pub use rng::event_id;
pub(crate) use rng::{Draw, Purpose, hash, hyphenated, uuid};

use crate::workload::{Happening, Player, World};

/// The players of one game server.
pub(crate) struct Engine {
    world: Arc<World>,
    /// The number of the first player; the others follow.
    first: u32,
    players: Box<[Player]>,
    calendar: Calendar,
    /// The slot up to which every step was taken.
    slot: u64,
}

impl Engine {
    /// Places the players as one would find them in the middle of an ordinary evening, at `start` in milliseconds of
    /// game time.
    pub(crate) fn new(world: Arc<World>, numbers: Range<u32>, start: u64) -> Self {
        let first = numbers.start;
        let mut players: Box<[Player]> = numbers.map(|number| world.place(number, start)).collect();
        let mut calendar = Calendar::new();
        for index in 0..players.len() as u32 {
            calendar.insert(&mut players, index);
        }
        Self { world, first, players, calendar, slot: start >> SLOT_SHIFT }
    }

    /// Takes every step that is due up to `to`, in milliseconds of game time, and hands over what
    /// happened: the player's number, the player after the step, and the step.
    pub(crate) fn advance(&mut self, to: u64, mut sink: impl FnMut(u32, &Player, Happening)) {
        loop {
            let slot_end = ((self.slot + 1) << SLOT_SHIFT) - 1;
            let limit = to.min(slot_end);
            let mut next = self.calendar.take(self.slot);
            while next != END {
                let index = next;
                let player = &mut self.players[index as usize];
                next = player.next;
                let number = self.first + index;
                // Players keep the low 32 bits of game time; whatever is due lies within 24 days of now, so the full
                // time follows from them.
                while let Some(overdue) = player.overdue(limit as u32) {
                    if let Some(happening) = self.world.step(number, player, limit - u64::from(overdue)) {
                        sink(number, player, happening);
                    }
                }
                self.calendar.insert(&mut self.players, index);
            }
            if slot_end >= to {
                return;
            }
            self.slot += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Kind;

    fn world(seed: u64) -> Arc<World> {
        Arc::new(World::new(seed, 0.0))
    }

    fn events(world: &Arc<World>, numbers: Range<u32>, ticks: impl Iterator<Item = u64>) -> Vec<(u64, u32, u32, Kind)> {
        let mut engine = Engine::new(world.clone(), numbers, 0);
        let mut seen = Vec::new();
        let mut before = 0;
        for to in ticks {
            engine.advance(to, |number, _, happening| {
                assert!(happening.due <= to, "an event came early");
                assert!(before == 0 || happening.due > before, "{} came only after {before}", happening.due);
                seen.push((happening.due, number, happening.sequence, happening.kind));
            });
            before = to;
        }
        seen.sort();
        seen
    }

    #[test]
    fn a_seed_repeats_the_run_whatever_the_ticks_and_the_servers() {
        let end = 120_000;
        let world_7 = world(7);
        let one = events(&world_7, 0..1_000, (0..=end).step_by(100));
        let mut two = events(&world_7, 0..400, (0..=end).step_by(480));
        two.extend(events(&world_7, 400..1_000, (0..=end).step_by(60_000)));
        two.sort();
        assert!(one.len() > 3_000, "{} events", one.len());
        assert_eq!(one, two);
        assert_ne!(one, events(&world(8), 0..1_000, (0..=end).step_by(100)));
    }

    // The rate has to hold in the very first seconds, in which only short waits end, as it does a quarter of an hour later.
    #[test]
    fn the_rate_is_the_one_the_model_promises_from_the_first_second_on() {
        let players = 200_000;
        let world = world(3);
        let mut engine = Engine::new(world.clone(), 0..players, 0);
        let mut before = 0;
        for seconds in [2, 10, 60, 120] {
            let to = seconds * 1_000;
            let mut count = 0_u64;
            engine.advance(to, |_, _, _| count += 1);
            let promised = world.events_per_player_second() * f64::from(players) * (to - before) as f64 / 1e3;
            let ratio = count as f64 / promised;
            assert!((0.97..1.03).contains(&ratio), "{count} events by second {seconds}, {promised:.0} promised");
            before = to;
        }
        let mut late = 0_u64;
        engine.advance(900_000, |_, _, happening| late += u64::from(happening.due > 840_000));
        let ratio = late as f64 / (world.events_per_player_second() * f64::from(players) * 60.0);
        assert!((0.97..1.03).contains(&ratio), "a rate of {ratio} of the promised one after a quarter of an hour");
    }

    #[test]
    fn game_time_passes_32_bits_without_a_gap() {
        let world = world(3);
        let wrap = 1_u64 << 32;
        let hour = 3_600_000;
        let mut engine = Engine::new(world.clone(), 0..500, wrap - hour);
        let (mut before, mut after) = (0_u32, 0_u32);
        engine.advance(wrap + hour, |_, _, happening| if happening.due < wrap { before += 1 } else { after += 1 });
        let expected = world.events_per_player_second() * 500.0 * 3_600.0;
        for count in [before, after] {
            assert!((0.9..1.1).contains(&(f64::from(count) / expected)), "{count} events, {expected:.0} expected");
        }
    }
}
