//! Bytes in flight: one budget for the gateway and a share of it for each application, so that memory is bounded and one
//! application can't take all of it.
//!
//! A permit is taken for a message's declared length before its bytes are read, and for a call once its headers are there.
//! It comes back when the permit drops,
//! which is when the verdict of its batch is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::refusal::{BudgetScope, Refusal};
use crate::metrics::GaugeHandle;

/// What a message costs beyond its bytes: the batch's own bookkeeping and its place in queues.
const BATCH_OVERHEAD: u64 = 1_024;

/// What a call that carries one batch costs beside it, until it is answered: its future, its headers, its stream of HTTP/2
/// or its connection's buffers. Measured with calls of one event that wait: 11 KiB each, all told.
const CALL_COST: u64 = 12 << 10;

/// Of that, what it costs before its message has come: measured with calls of which nothing but the headers is there, 5 KiB
/// each. Where the CPU is busy there are thousands of them.
const WAITING_CALL_COST: u64 = 5 << 10;

/// A message lives as received bytes for a moment and as stream records (about 1.5 times its size) until delivered, with
/// the destination's copy beside it at worst.
const RESIDENT_FACTOR: u64 = 3;

/// What an event costs at least, however few bytes it has: its record's envelope, or the verdict that says what is wrong
/// with it.
const EVENT_COST: u64 = 640;

/// When to try again after a full budget: about the time in which a healthy destination settles what is in flight.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The gateway's budget.
#[derive(Debug)]
pub struct Budget {
    held: AtomicU64,
    limit: u64,
    app_limit: u64,
    gauge: GaugeHandle,
}

/// An application's share of a budget.
#[derive(Debug, Default)]
pub struct Share {
    held: AtomicU64,
}

/// Bytes held for one message. Comes back on drop.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    share: Arc<Share>,
    bytes: u64,
    // Of these, for the call and not for its batch.
    call: u64,
}

impl Budget {
    /// A budget of `limit` bytes of which one application may hold `app_share` (0 to 1). `gauge` shows what is held.
    #[must_use]
    pub fn new(limit: u64, app_share: f64, gauge: GaugeHandle) -> Arc<Self> {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let app_limit = (limit as f64 * app_share) as u64;
        Arc::new(Self { held: AtomicU64::new(0), limit, app_limit, gauge })
    }

    /// What a message of `len` bytes is charged.
    #[must_use]
    pub fn cost(len: usize) -> u64 {
        BATCH_OVERHEAD + RESIDENT_FACTOR * len as u64
    }

    /// What a call that carries one message of `len` bytes is charged.
    #[must_use]
    pub fn cost_of_call(len: usize) -> u64 {
        CALL_COST + Self::cost(len)
    }

    /// What a batch of so many events in `len` bytes is charged at least.
    #[must_use]
    pub fn cost_of_events(events: u32, len: usize) -> u64 {
        BATCH_OVERHEAD + len as u64 + u64::from(events) * EVENT_COST
    }

    /// Takes a permit for a message of `len` bytes.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`] where the application's share or the gateway's budget is used up.
    pub fn take(self: &Arc<Self>, share: &Arc<Share>, len: usize) -> Result<Permit, Refusal> {
        let mut permit = Permit { budget: Arc::clone(self), share: Arc::clone(share), bytes: 0, call: 0 };
        permit.add(Self::cost(len))?;
        Ok(permit)
    }

    /// Takes a permit for a call that carries one message, before that has come.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub fn take_call(self: &Arc<Self>, share: &Arc<Share>) -> Result<Permit, Refusal> {
        let mut permit = Permit { budget: Arc::clone(self), share: Arc::clone(share), bytes: 0, call: 0 };
        permit.add(WAITING_CALL_COST)?;
        Ok(permit)
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

impl Permit {
    /// Charges `len` further bytes of the same message, as it grows by decompression.
    ///
    /// # Errors
    /// As [`Budget::take`]; what was held stays held.
    pub fn grow(&mut self, len: usize) -> Result<(), Refusal> {
        self.add(RESIDENT_FACTOR * len as u64)
    }

    /// Takes over the permit of the call that carries the message, and charges the rest of the call's cost.
    ///
    /// # Errors
    /// As [`Budget::take`]; what was held of both stays held.
    pub fn join_call(&mut self, mut call: Self) -> Result<(), Refusal> {
        debug_assert!(Arc::ptr_eq(&self.share, &call.share), "a call and its message are one application's");
        self.bytes += std::mem::take(&mut call.bytes);
        self.add(CALL_COST - WAITING_CALL_COST)?;
        self.call = CALL_COST;
        Ok(())
    }

    /// Charges what a batch of so many events costs at least, now that they are counted.
    ///
    /// # Errors
    /// As [`Budget::take`]; what was held stays held.
    pub fn cover_events(&mut self, events: u32, len: usize) -> Result<(), Refusal> {
        self.add((self.call + Budget::cost_of_events(events, len)).saturating_sub(self.bytes))
    }

    fn add(&mut self, bytes: u64) -> Result<(), Refusal> {
        if !reserve(&self.share.held, bytes, self.budget.app_limit) {
            return Err(Refusal::OverBudget { scope: BudgetScope::Application, retry_after: RETRY_AFTER });
        }
        if !reserve(&self.budget.held, bytes, self.budget.limit) {
            self.share.held.fetch_sub(bytes, Ordering::AcqRel);
            return Err(Refusal::OverBudget { scope: BudgetScope::Gateway, retry_after: RETRY_AFTER });
        }
        self.bytes += bytes;
        self.budget.gauge.inc_by(bytes.cast_signed());
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        self.share.held.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.held.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.gauge.dec_by(self.bytes.cast_signed());
    }
}

fn reserve(held: &AtomicU64, bytes: u64, limit: u64) -> bool {
    held.try_update(Ordering::AcqRel, Ordering::Acquire, |now| now.checked_add(bytes).filter(|total| *total <= limit))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limit: u64, app_share: f64) -> Arc<Budget> {
        Budget::new(limit, app_share, GaugeHandle::default())
    }

    #[test]
    fn a_permit_comes_back_whole_after_growing() {
        let budget = budget(1 << 20, 1.0);
        let share = Arc::new(Share::default());
        let mut permit = budget.take(&share, 1_000).expect("fits");
        permit.grow(2_000).expect("fits");
        assert_eq!(budget.held(), Budget::cost(3_000));
        assert_eq!(budget.gauge.get().cast_unsigned(), budget.held());
        drop(permit);
        assert_eq!((budget.held(), share.held.load(Ordering::Relaxed), budget.gauge.get()), (0, 0, 0));
    }

    #[test]
    fn many_tiny_events_are_charged_for_what_becomes_of_them() {
        let budget = budget(1 << 30, 1.0);
        let share = Arc::new(Share::default());
        let mut permit = budget.take(&share, 2_000).expect("fits");
        permit.cover_events(1_000, 2_000).expect("fits");
        assert_eq!(budget.held(), Budget::cost_of_events(1_000, 2_000));
        let before = budget.held();
        permit.cover_events(2, 2_000).expect("ordinary events cost their bytes");
        assert_eq!(budget.held(), before);
    }

    #[test]
    fn a_call_is_charged_beside_the_events_that_it_carries() {
        let budget = budget(1 << 30, 1.0);
        let share = Arc::new(Share::default());
        let mut permit = budget.take(&share, 400).expect("fits");
        permit.join_call(budget.take_call(&share).expect("fits")).expect("fits");
        assert_eq!(budget.held(), Budget::cost_of_call(400));
        permit.cover_events(1_000, 2_000).expect("fits");
        assert_eq!(budget.held(), CALL_COST + Budget::cost_of_events(1_000, 2_000));
        drop(permit);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn one_application_leaves_room_for_another() {
        let budget = budget(Budget::cost(1_000) * 4, 0.5);
        let (greedy, other) = (Arc::new(Share::default()), Arc::new(Share::default()));
        let _held: Vec<_> = (0..2).map(|_| budget.take(&greedy, 1_000).expect("within its share")).collect();
        let refused = budget.take(&greedy, 1_000).expect_err("its share is used up");
        assert!(matches!(refused, Refusal::OverBudget { scope: BudgetScope::Application, .. }));
        let _neighbour = budget.take(&other, 1_000).expect("the neighbour has a share of its own");
    }

    #[test]
    fn a_refused_growth_holds_nothing_more() {
        let budget = budget(Budget::cost(1_000), 1.0);
        let share = Arc::new(Share::default());
        let mut permit = budget.take(&share, 1_000).expect("fits");
        let held = budget.held();
        assert!(permit.grow(1).is_err());
        assert_eq!(budget.held(), held);
    }
}
