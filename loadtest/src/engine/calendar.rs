//! A calendar queue of players by the time of their next step.
//!
//! Slots of 64 ms of game time in a ring; the players of a slot form singly linked lists through [`Player::next`], so
//! that the queue costs no memory for a player. There are four lists to a slot: walking one means to wait for memory at
//! each player, walking four side by side to wait a quarter as often. A player who is due in a later lap of the ring is
//! put back when the slot comes by; with a lap of 33 s that is rare where heartbeats come every 30 s.

use crate::workload::Player;

/// Game time of a slot: 2⁶ ms.
pub(super) const SLOT_SHIFT: u32 = 6;
/// The milliseconds of a slot.
pub(super) const SLOT_MS: u32 = 1 << SLOT_SHIFT;
const MOST_SLOTS: usize = 512;
const LEAST_SLOTS: usize = 64;
/// Lists of a slot.
pub(super) const LANES: usize = 4;
/// The end of a list.
pub(super) const END: u32 = u32::MAX;

pub(super) struct Calendar {
    heads: Box<[[u32; LANES]]>,
    /// The slots are a power of two.
    mask: u32,
}

impl Calendar {
    /// A calendar for so many players: few need a shorter ring, whose memory would count more than going round twice.
    pub(super) fn new(players: usize) -> Self {
        let slots = (players / 16).next_power_of_two().clamp(LEAST_SLOTS, MOST_SLOTS);
        Self { heads: vec![[END; LANES]; slots].into_boxed_slice(), mask: slots as u32 - 1 }
    }

    /// The first players of a slot's lists; slots are counted from the beginning of game time.
    #[inline]
    pub(super) fn heads(&self, slot: u64) -> [u32; LANES] {
        self.heads[(slot as u32 & self.mask) as usize]
    }

    /// Takes the lists of a slot.
    pub(super) fn take(&mut self, slot: u64) -> [u32; LANES] {
        std::mem::replace(&mut self.heads[(slot as u32 & self.mask) as usize], [END; LANES])
    }

    /// Puts a player where the next step is due.
    #[inline]
    pub(super) fn insert(&mut self, player: &mut Player, index: u32, due: u32) {
        let head = &mut self.heads[(due >> SLOT_SHIFT & self.mask) as usize][index as usize % LANES];
        player.next = *head;
        *head = index;
    }
}
