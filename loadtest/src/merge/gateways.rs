//! The gateways that shards looked at: each once, however many shards looked at it.

use crate::result::{Gateway, MOST_LOOKS};

/// Those of the shards added so far.
#[derive(Default)]
pub(super) struct Gateways(Vec<Gateway>);

impl Gateways {
    /// Adds what a shard saw that began `offset` seconds after the earliest. Of one process that several shards looked at,
    /// the row with the most looks stays.
    pub(super) fn add(&mut self, seen: Vec<Gateway>, offset: f64) {
        for mut gateway in seen {
            for look in &mut gateway.looks {
                look.at_s = (f64::from(look.at_s) + offset).round() as u32;
            }
            match self.0.iter_mut().find(|there| there.is_same_as(&gateway)) {
                Some(there) if there.looks.len() >= gateway.looks.len() => {}
                Some(there) => *there = gateway,
                None => self.0.push(gateway),
            }
        }
    }

    /// All of them, with no more looks together than one gateway may have.
    pub(super) fn finish(mut self) -> Vec<Gateway> {
        let each = MOST_LOOKS / self.0.len().max(1);
        self.0.iter_mut().for_each(|gateway| gateway.thin(each));
        self.0
    }
}
