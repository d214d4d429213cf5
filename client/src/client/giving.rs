//! Giving an event: measured and checked first, then written under the lock, or not, as the overflow policy says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Client, Receipt, Standing};
use crate::clock;
use crate::error::{EventError, SendError};
use crate::event::{Event, timestamp};
use crate::failure::{Cause, Failure};
use crate::limits::Overflow;
use crate::store::{Ends, Offer, Store};
use crate::wire::{self, Measured};

/// Of an event in a message. As stored it takes no less.
const EVENT_MAX: usize = 900 << 10;

/// Which events may be dropped at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Where the overflow policy says so.
    Ordinary,
    /// None: whoever is to hear that it is on the disk hears of it when it is not.
    Durable,
}

/// What an attempt to give an event came to.
enum Given {
    Taken {
        receipt: Receipt,
        number: u64,
    },
    /// There is no room, and the caller has time to wait for it.
    Wait(Duration),
}

impl Client {
    /// Gives an event, and the number of its batch.
    pub(super) fn give_blocking(&self, event: &Event<'_>, kind: Kind) -> Result<(Receipt, u64), SendError> {
        let wall = clock::wall();
        let measured = measure(event, wall)?;
        match self.give(&measured, wall, kind)? {
            Given::Taken { receipt, number } => Ok((receipt, number)),
            Given::Wait(within) => {
                let until = clock::deadline(within);
                loop {
                    let room = self.shared().block(until, |store| has_room(store, measured.len()));
                    room.ok_or(SendError::NoRoomInTime(within))?;
                    // Another thread may have been faster.
                    if let Given::Taken { receipt, number } = self.give(&measured, wall, kind)? {
                        return Ok((receipt, number));
                    }
                }
            }
        }
    }

    /// The same for tasks.
    pub(super) async fn give_waiting(&self, event: &Event<'_>, kind: Kind) -> Result<(Receipt, u64), SendError> {
        let wall = clock::wall();
        let measured = measure(event, wall)?;
        match self.give(&measured, wall, kind)? {
            Given::Taken { receipt, number } => Ok((receipt, number)),
            Given::Wait(within) => {
                let until = clock::deadline(within);
                loop {
                    let room = self.shared().wait(until, |store| has_room(store, measured.len())).await;
                    room.ok_or(SendError::NoRoomInTime(within))?;
                    if let Given::Taken { receipt, number } = self.give(&measured, wall, kind)? {
                        return Ok((receipt, number));
                    }
                }
            }
        }
    }

    fn give(&self, event: &Measured<'_>, wall: SystemTime, kind: Kind) -> Result<Given, SendError> {
        let wall_ms = milliseconds(wall);
        let mut store = self.shared().store();
        let mut offer = store.offer(event, wall_ms, clock::now);
        let mut dropped = Vec::new();
        if matches!(offer, Offer::Full) {
            match self.handle.overflow {
                Overflow::Error => return Err(full(&store)),
                Overflow::Wait(within) => return Ok(Given::Wait(within)),
                Overflow::DropNewest => {}
                Overflow::DropOldest => {
                    dropped = store.drop_oldest(event.len());
                    offer = store.offer(event, wall_ms, clock::now);
                }
            }
        }
        let given = match offer {
            Offer::Taken { id, number, wake } => {
                if wake {
                    self.shared().work.notify_one();
                }
                let receipt = Receipt { id, standing: Standing::Queued };
                Ok(Given::Taken { receipt, number })
            }
            Offer::Full if kind == Kind::Durable => Err(full(&store)),
            Offer::Full => {
                store.drop_newest();
                let id = event.id().unwrap_or_default();
                Ok(Given::Taken { receipt: Receipt { id, standing: Standing::Dropped }, number: 0 })
            }
            Offer::Closed => Err(SendError::Closed),
            Offer::NoId(error) => Err(SendError::Random(error)),
        };
        drop(store);
        if !dropped.is_empty() {
            let events = dropped.iter().flat_map(wire::events);
            let cause = || Cause::DroppedOldest;
            let failures = events.map(|framed| Failure { event: framed.event, cause: cause() }).collect();
            self.shared().report(Ends { stored: None, failures });
            self.shared().progress();
        }
        given
    }
}

fn full(store: &Store) -> SendError {
    let (events, bytes) = store.held();
    SendError::Full { events, bytes }
}

fn measure<'a>(event: &'a Event<'a>, wall: SystemTime) -> Result<Measured<'a>, EventError> {
    event.check()?;
    let measured = Measured::new(event, timestamp(event.at.unwrap_or(wall))?);
    let bytes = measured.len();
    if bytes > EVENT_MAX { Err(EventError::TooLarge { bytes, max: EVENT_MAX }) } else { Ok(measured) }
}

/// Since 1970.
fn milliseconds(wall: SystemTime) -> u64 {
    let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// Room, or a reason not to wait for it.
fn has_room(store: &mut Store, len: usize) -> Option<()> {
    (store.closed || store.has_room(len)).then_some(())
}
