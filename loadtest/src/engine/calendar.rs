//! A calendar queue of players by the time of their next step.
//!
//! Slots of 64 ms of game time in a ring of about 65 s; the players of a slot form a singly linked list through
//! [`Player::next`], so that the queue costs 4 KiB and no memory for a player. A player who is due in a later lap of the
//! ring is put back when his slot comes by.

use crate::workload::Player;

/// Game time of a slot: 2⁶ ms.
pub(super) const SLOT_SHIFT: u32 = 6;
const SLOTS: usize = 1024;
/// The end of a list.
pub(super) const END: u32 = u32::MAX;

pub(super) struct Calendar {
    heads: Box<[u32]>,
}

impl Calendar {
    pub(super) fn new() -> Self {
        Self { heads: vec![END; SLOTS].into_boxed_slice() }
    }

    /// Takes the list of a slot, counted from the beginning of game time.
    pub(super) fn take(&mut self, slot: u64) -> u32 {
        std::mem::replace(&mut self.heads[slot as usize % SLOTS], END)
    }

    /// Puts a player where his next step is due.
    pub(super) fn insert(&mut self, players: &mut [Player], index: u32) {
        let player = &mut players[index as usize];
        let head = &mut self.heads[(player.due() >> SLOT_SHIFT) as usize % SLOTS];
        player.next = *head;
        *head = index;
    }
}
