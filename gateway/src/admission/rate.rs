//! An application's rates: events and bytes a second, as token buckets, charged once a batch.
//!
//! Where several gateways share an application's rates, this is one gateway's portion of them; what a client is told
//! when to come back follows the portion. A new portion or rate changes how fast the buckets fill and how much they can
//! hold, never what is in them: a change a second must not be a full bucket a second.

mod bucket;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::bucket::{Bucket, Flow};
use super::refusal::{RateUnit, Refusal};
use crate::clock::Clock;

/// What an application may send, with the gateway's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Events a second.
    pub events_per_second: u32,
    /// Events at once.
    pub events_burst: u32,
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Bytes at once.
    pub bytes_burst: u64,
}

/// This gateway's part of an application's rates and bursts, each above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Portion {
    /// Of the events.
    pub events: f64,
    /// Of the bytes.
    pub bytes: f64,
}

impl Portion {
    /// Everything.
    pub const WHOLE: Self = Self { events: 1.0, bytes: 1.0 };

    /// The same part of both.
    #[must_use]
    pub fn of_both(part: f64) -> Self {
        Self { events: part, bytes: part }
    }
}

/// What was asked for since the start, refused or not. Batches that can never pass don't count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Events.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Two token buckets behind one lock, held for a few nanoseconds: a batch is charged to both or to neither.
#[derive(Debug)]
pub struct RateLimit {
    state: Mutex<State>,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    rates: Rates,
    portion: Portion,
    events: Bucket,
    bytes: Bucket,
    offered: Offered,
}

impl RateLimit {
    /// Full buckets at these rates; a rate of 0 counts as 1.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        Self::with_portion(rates, Portion::WHOLE)
    }

    /// Full buckets at a portion of these rates.
    #[must_use]
    pub fn with_portion(rates: Rates, portion: Portion) -> Self {
        let clock = Clock::system();
        let state = State::new(rates, portion, clock.now());
        Self { state: Mutex::new(state), clock }
    }

    /// The rates it holds to, of which it has its portion.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.lock().rates
    }

    /// Its portion.
    #[must_use]
    pub fn portion(&self) -> Portion {
        self.lock().portion
    }

    /// What was asked for so far.
    #[must_use]
    pub fn offered(&self) -> Offered {
        self.lock().offered
    }

    /// Goes on at other rates. What was used stays used; a higher burst adds its difference.
    pub fn set_rates(&self, rates: Rates) {
        let now = self.clock.now();
        self.lock().set_rates(rates, now);
    }

    /// Goes on with another portion. Nothing is added to the buckets.
    pub fn set_portion(&self, portion: Portion) {
        let now = self.clock.now();
        self.lock().set_portion(portion, now);
    }

    /// Charges a batch, or nothing of it. One that is larger than half of the portion's burst, but not than the
    /// application's, passes when its bucket is half full, and is paid back before the next one passes.
    ///
    /// # Errors
    /// [`Refusal::OverBurst`] for a batch that can never pass, [`Refusal::OverRate`] with the time until it can.
    pub fn charge(&self, events: u32, bytes: usize) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.lock().charge(events, bytes as u64, now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(rates: Rates, portion: Portion, now: Instant) -> Self {
        let (events, bytes) =
            (Bucket::full(of_events(rates, portion), now), Bucket::full(of_bytes(rates, portion), now));
        Self { rates, portion, events, bytes, offered: Offered::default() }
    }

    fn charge(&mut self, events: u32, bytes: u64, now: Instant) -> Result<(), Refusal> {
        let Rates { events_per_second, events_burst, bytes_per_second, bytes_burst } = self.rates;
        let over_burst = |unit, amount, burst| Err(Refusal::OverBurst { unit, amount, burst });
        if events > events_burst.max(1) {
            return over_burst(RateUnit::Events, u64::from(events), u64::from(events_burst));
        }
        if bytes > bytes_burst.max(1) {
            return over_burst(RateUnit::Bytes, bytes, bytes_burst);
        }
        let events = events.max(1);
        self.offered.events = self.offered.events.wrapping_add(u64::from(events));
        self.offered.bytes = self.offered.bytes.wrapping_add(bytes);
        self.events.fill(now);
        self.bytes.fill(now);
        let (event_tokens, byte_tokens) = (f64::from(events), tokens(bytes));
        let waits = (self.bytes.wait(byte_tokens), self.events.wait(event_tokens));
        let (unit, limit, retry_after) = match waits {
            (None, None) => {
                self.bytes.take(byte_tokens);
                self.events.take(event_tokens);
                return Ok(());
            }
            // Named is what is waited for longest.
            (Some(bytes), events) if events.is_none_or(|events| events <= bytes) => {
                (RateUnit::Bytes, bytes_per_second, bytes)
            }
            (bytes, events) => (RateUnit::Events, u64::from(events_per_second), events.or(bytes).unwrap_or_default()),
        };
        Err(Refusal::OverRate { unit, limit, retry_after })
    }

    fn set_rates(&mut self, rates: Rates, now: Instant) {
        let more_events = f64::from(rates.events_burst) - f64::from(self.rates.events_burst);
        let more_bytes = tokens(rates.bytes_burst) - tokens(self.rates.bytes_burst);
        self.rates = rates;
        let Portion { events, bytes } = self.portion;
        self.apply((more_events * events).max(0.0), (more_bytes * bytes).max(0.0), now);
    }

    fn set_portion(&mut self, portion: Portion, now: Instant) {
        self.portion = portion;
        self.apply(0.0, 0.0, now);
    }

    fn apply(&mut self, more_events: f64, more_bytes: f64, now: Instant) {
        self.events.change(of_events(self.rates, self.portion), more_events, now);
        self.bytes.change(of_bytes(self.rates, self.portion), more_bytes, now);
    }
}

fn of_events(rates: Rates, portion: Portion) -> Flow {
    flow(f64::from(rates.events_per_second), f64::from(rates.events_burst), portion.events)
}

fn of_bytes(rates: Rates, portion: Portion) -> Flow {
    flow(tokens(rates.bytes_per_second), tokens(rates.bytes_burst), portion.bytes)
}

fn flow(per_second: f64, burst: f64, portion: f64) -> Flow {
    let depth = burst.max(1.0) * portion;
    // In a part of a bucket a large batch would find it full, and the rate wasted, each time before it comes; so it
    // needs only half of it.
    let enough = if portion < 1.0 { depth / 2.0 } else { depth };
    Flow { per_second: per_second.max(1.0) * portion, depth, enough }
}

#[allow(clippy::cast_precision_loss, reason = "beyond 2^53 bytes a second a byte does not matter")]
fn tokens(count: u64) -> f64 {
    count as f64
}

/// A limit in virtual time.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Timed(State);

#[cfg(test)]
impl Timed {
    pub(super) fn new(rates: Rates, portion: Portion, now: Instant) -> Self {
        Self(State::new(rates, portion, now))
    }

    pub(super) fn charge(&mut self, events: u32, bytes: u64, now: Instant) -> Result<(), Refusal> {
        self.0.charge(events, bytes, now)
    }

    pub(super) fn set_portion(&mut self, portion: Portion, now: Instant) {
        self.0.set_portion(portion, now);
    }

    pub(super) fn offered(&self) -> Offered {
        self.0.offered
    }
}

#[cfg(test)]
mod tests;
