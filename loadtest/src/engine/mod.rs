//! The players of one game server, moved through game time.
//!
//! [`Engine::advance`] takes every step that is due up to an instant and none that is due later, in the order in which
//! they are due. It does no I/O and reads no clock, so a run can be repeated and tested in virtual time: what happens
//! depends on the seed, the server and its seat, never on how far each call advances.

mod arrivals;
mod batch;
mod calendar;
mod dry;
mod encode;
mod pool;
mod rng;
mod slab;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use arrivals::Arrivals;
pub(crate) use batch::{Batch, Mark};
use calendar::{Calendar, END, LANES, SLOT_MS, SLOT_SHIFT};
pub use dry::{Dry, DryPlan, dry_run};
pub(crate) use encode::{Encoder, Framing};
use pool::Pool;
#[cfg(test)]
pub(crate) use rng::event_id;
pub(crate) use rng::{Dice, Draw, Purpose, hyphenated, uuid};
pub(crate) use slab::Arena;
use slab::Slab;

use crate::workload::{Curve, Happening, Player, World};

/// Whose players a server has, and how many of them are online when.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// The server's number among all servers of a run, whatever shard it is in.
    pub(crate) server: u32,
    /// Its players' numbers.
    pub(crate) numbers: Range<u32>,
    /// The share of them that is online where the curve is at 1. More than all are never online.
    pub(crate) online: f64,
    /// The level over game time, in seconds from its beginning.
    pub(crate) curve: Curve,
    /// The game time at which the players are placed, in milliseconds.
    pub(crate) start_ms: u64,
}

#[cfg(test)]
impl Seat {
    /// A seat with always the same share online, from the beginning of game time.
    pub(crate) fn flat(server: u32, numbers: Range<u32>, online: f64) -> Self {
        Self { server, numbers, online, curve: Curve::flat(1.0), start_ms: 0 }
    }
}

/// The players of one game server.
///
/// Of a slot of the calendar, the steps are sorted when it begins; its arrivals are drawn then, among those who are
/// offline at that moment.
pub(crate) struct Engine {
    world: Arc<World>,
    /// The number of the first player; the others follow.
    first: u32,
    players: Slab,
    calendar: Calendar,
    pool: Pool,
    arrivals: Arrivals,
    /// The slot that is being taken.
    slot: u64,
    open: bool,
    /// The slot's steps in order, as (milliseconds into the slot, player), and how many of them were taken.
    steps: Vec<u64>,
    taken: usize,
    /// Further steps that came up while the slot was taken.
    more: BinaryHeap<Reverse<u64>>,
    /// A player of each of the next slot's lists, which are fetched in passing.
    ahead: [u32; LANES],
}

impl Engine {
    /// Places the players as one would find them in the middle of things, with as many online as the seat says.
    pub(crate) fn new(world: Arc<World>, seat: Seat) -> Self {
        let Seat { server, numbers, online, curve, start_ms } = seat;
        let inflow = world.inflow(&curve, online, start_ms);
        let (first, len) = (numbers.start, numbers.len());
        let mut players = world.arena().take(len);
        let mut calendar = Calendar::new(len);
        let mut pool = Pool::new(len as u32);
        for (index, place) in (0..).zip(players.iter_mut()) {
            let mut player = world.place(first + index, start_ms, &inflow.start);
            if player.is_offline() {
                pool.put(index);
            } else {
                let due = player.due();
                calendar.insert(&mut player, index, due);
            }
            *place = player;
        }
        let arrivals = Arrivals::new(&world, inflow, server, start_ms);
        Self {
            world,
            first,
            players,
            calendar,
            pool,
            arrivals,
            slot: start_ms >> SLOT_SHIFT,
            open: false,
            steps: Vec::new(),
            taken: 0,
            more: BinaryHeap::new(),
            ahead: [END; LANES],
        }
    }

    /// The players online, up to a slot early or late.
    pub(crate) fn online(&self) -> u32 {
        self.players.len() as u32 - self.pool.len()
    }

    /// Takes every step that is due up to `to`, in milliseconds of game time, and hands over what
    /// happened: the player's number, the player after the step, and the step.
    pub(crate) fn advance(&mut self, to: u64, mut sink: impl FnMut(u32, &Player, Happening)) {
        loop {
            let begin = self.slot << SLOT_SHIFT;
            if begin > to {
                return;
            }
            if !self.open {
                self.open_slot(begin);
            }
            self.take_steps(begin, to, &mut sink);
            if begin + u64::from(SLOT_MS) > to + 1 {
                return;
            }
            self.slot += 1;
            self.open = false;
        }
    }

    /// Collects and sorts the steps of the current slot.
    fn open_slot(&mut self, begin: u64) {
        self.open = true;
        self.steps.clear();
        self.taken = 0;
        let mut lanes = self.calendar.take(self.slot);
        while lanes != [END; LANES] {
            for lane in &mut lanes {
                let index = *lane;
                if index == END {
                    continue;
                }
                let player = &mut self.players[index as usize];
                *lane = player.next;
                let due = player.due();
                // Players keep the low 32 bits of game time; whatever is due lies within 24 days of now.
                let into_slot = due.wrapping_sub(begin as u32);
                if into_slot < SLOT_MS {
                    self.steps.push(key(into_slot, index));
                } else {
                    self.calendar.insert(player, index, due);
                }
                self.players.prefetch(*lane);
            }
        }
        self.admit(begin);
        self.steps.sort_unstable();
        self.ahead = self.calendar.heads(self.slot + 1);
        for lane in self.ahead {
            self.players.prefetch(lane);
        }
    }

    /// Draws the players whose sessions begin in this slot.
    fn admit(&mut self, begin: u64) {
        let Self { world, players, pool, arrivals, steps, .. } = self;
        arrivals.between(world, begin, begin + u64::from(SLOT_MS), pool.len(), |at, mut who| {
            // One too many where all that were offline come in the same slot.
            if let Some(index) = pool.draw(&mut who) {
                players[index as usize].arrive(at as u32);
                steps.push(key((at - begin) as u32, index));
            }
        });
    }

    fn take_steps(&mut self, begin: u64, to: u64, sink: &mut impl FnMut(u32, &Player, Happening)) {
        loop {
            let next = self.steps.get(self.taken).copied().unwrap_or(u64::MAX);
            let key = match self.more.peek() {
                Some(&Reverse(more)) if more < next => more,
                _ => next,
            };
            let (into_slot, index) = ((key >> 32) as u32, key as u32);
            if begin + u64::from(into_slot) > to || key == u64::MAX {
                return;
            }
            if key == next {
                self.taken += 1;
            } else {
                self.more.pop();
            }
            self.take_step(begin, into_slot, index, sink);
        }
    }

    #[inline]
    fn take_step(&mut self, begin: u64, into_slot: u32, index: u32, sink: &mut impl FnMut(u32, &Player, Happening)) {
        let ahead = &mut self.ahead[self.taken % LANES];
        if let Some(player) = self.players.get(*ahead as usize) {
            *ahead = player.next;
            self.players.prefetch(*ahead);
        }
        let number = self.first + index;
        let player = &mut self.players[index as usize];
        if let Some(happening) = self.world.step(number, player, begin + u64::from(into_slot)) {
            sink(number, player, happening);
        }
        if player.is_offline() {
            return self.pool.put(index);
        }
        let due = player.due();
        let later = due.wrapping_sub(begin as u32);
        if later < SLOT_MS {
            self.more.push(Reverse(key(later, index)));
        } else {
            self.calendar.insert(player, index, due);
        }
    }
}

/// Sorts steps by time, and those of one millisecond by player.
fn key(into_slot: u32, index: u32) -> u64 {
    u64::from(into_slot) << 32 | u64::from(index)
}

#[cfg(test)]
mod tests;
