//! Where records go: the shards of a stream, each with what it may be sent and what is on its way to it. A delivery stream
//! of Firehose, and a Kinesis stream that spreads records itself, count as one place without hash keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::throttle::Throttle;
use super::trial::Evidence;
use crate::gather::ShardRange;

/// Evenly spaced hash keys of a shard that records are sent to in turn: after a split that nobody has noticed, both
/// children get their part.
const POINTS: u32 = 16;

/// Throttles of one shard within this time that make the shard map worth another look: it may have been split.
const LOOK_AGAIN_THROTTLES: u32 = 3;
const LOOK_AGAIN_WINDOW: Duration = Duration::from_secs(10);

/// One place that records go to.
pub(super) struct Shard {
    // `None`: the service chooses.
    range: Option<ShardRange>,
    throttle: Throttle,
    /// Records in calls.
    pub(super) in_flight: usize,
    /// Bytes of it in the call that is being packed.
    pub(super) in_call: usize,
    next_point: u32,
    throttles: (Instant, u32),
}

/// Every place.
pub(super) struct Shards {
    shards: Vec<Shard>,
    by_id: HashMap<Arc<str>, usize>,
    cursor: usize,
    evidence: Evidence,
}

/// What a shard may hold at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardLimits {
    pub(super) records_in_flight: usize,
    pub(super) bytes_a_call: usize,
}

impl Shards {
    /// One place without hash keys.
    pub(super) fn one(now: Instant) -> Self {
        let shard = Shard::new(None, Throttle::unbounded(now), now);
        Self { shards: vec![shard], by_id: HashMap::new(), cursor: 0, evidence: Evidence::new(now) }
    }

    /// The shards of a stream; those that were there before keep their state.
    pub(super) fn follow(&mut self, ranges: &[ShardRange], now: Instant) {
        let mut old: HashMap<ShardRange, Shard> =
            self.shards.drain(..).filter_map(|shard| Some((shard.range.clone()?, shard))).collect();
        self.shards = ranges
            .iter()
            .map(|range| {
                old.remove(range).unwrap_or_else(|| Shard::new(Some(range.clone()), Throttle::shard(now), now))
            })
            .collect();
        self.by_id = ranges.iter().enumerate().map(|(index, range)| (Arc::clone(&range.id), index)).collect();
    }

    pub(super) fn len(&self) -> usize {
        self.shards.len()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Shard> {
        self.shards.get_mut(index)
    }

    pub(super) fn index_of(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The shard that owns a hash key.
    pub(super) fn owner(&self, hash_key: u128) -> Option<usize> {
        // In order of their ranges.
        let starts_before = |shard: &Shard| shard.range.as_ref().is_some_and(|range| range.start <= hash_key);
        let index = self.shards.partition_point(starts_before).checked_sub(1)?;
        self.shards[index].range.as_ref().is_some_and(|range| range.owns(hash_key)).then_some(index)
    }

    /// Whether it is one place without hash keys.
    pub(super) fn is_one(&self) -> bool {
        matches!(self.shards.as_slice(), [shard] if shard.range.is_none())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter()
    }

    /// The next shard in turn that has room for a record of `len` bytes; or when one will, `None` if that takes an answer.
    pub(super) fn next_with_room(
        &mut self,
        len: usize,
        limits: ShardLimits,
        now: Instant,
    ) -> Result<usize, Option<Instant>> {
        let mut soonest: Option<Instant> = None;
        let count = self.shards.len();
        for offset in 0..count {
            let index = (self.cursor + offset) % count;
            match self.shards[index].room_at(len, limits, now) {
                Some(at) if at <= now => {
                    self.cursor = index + 1;
                    return Ok(index);
                }
                Some(at) => soonest = Some(soonest.map_or(at, |soonest| soonest.min(at))),
                None => {}
            }
        }
        Err(soonest)
    }

    /// One of them stored a record of so many bytes that was sent at `sent_at`.
    pub(super) fn stored(&mut self, index: usize, bytes: usize, sent_at: Instant, now: Instant) {
        if let Some(shard) = self.shards.get_mut(index) {
            shard.throttle.stored(bytes, sent_at, now, &mut self.evidence);
        }
    }

    /// One of them throttled a record that was sent at `sent_at`. Whether it did so often enough to look at the shard map
    /// again.
    pub(super) fn throttled(&mut self, index: usize, sent_at: Instant, now: Instant) -> bool {
        let Some(shard) = self.shards.get_mut(index) else { return false };
        shard.throttle.throttled(sent_at, now, &mut self.evidence);
        shard.count_throttle(now)
    }

    /// There is nothing to send.
    pub(super) fn idle(&mut self, now: Instant) {
        self.evidence.idle(now);
    }

    /// The service was out of reach until now.
    pub(super) fn back(&mut self, now: Instant) {
        self.evidence.back(now);
    }

    /// A call was packed.
    pub(super) fn end_call(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.in_call = 0);
    }

    /// The part of their limits that all shards together may be sent at.
    pub(super) fn fraction(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let count = self.shards.len().max(1) as f64;
        self.shards.iter().map(|shard| shard.throttle.fraction().min(1.0)).sum::<f64>() / count
    }
}

impl Shard {
    fn new(range: Option<ShardRange>, throttle: Throttle, now: Instant) -> Self {
        Self { range, throttle, in_flight: 0, in_call: 0, next_point: 0, throttles: (now, 0) }
    }

    pub(super) fn id(&self) -> Option<&Arc<str>> {
        self.range.as_ref().map(|range| &range.id)
    }

    pub(super) fn fraction(&self) -> f64 {
        self.throttle.fraction()
    }

    /// When it may be sent a record; `None`: not before an answer, or not in this call.
    pub(super) fn room_at(&mut self, len: usize, limits: ShardLimits, now: Instant) -> Option<Instant> {
        let full = self.in_flight >= limits.records_in_flight
            || (self.in_call > 0 && self.in_call + len > limits.bytes_a_call);
        if full { None } else { Some(self.throttle.ready_at(now)) }
    }

    /// Whether it has as much as it may have: calls are out, or its rate is spent.
    pub(super) fn is_full(&self, limits: ShardLimits, now: Instant) -> bool {
        self.in_flight >= limits.records_in_flight || self.throttle.is_spent(now)
    }

    /// A record goes out; one of the shard's hash keys to send it to, where there are any.
    pub(super) fn send(&mut self, len: usize) -> Option<u128> {
        self.throttle.spend(len);
        self.in_flight += 1;
        self.in_call += len;
        let range = self.range.as_ref()?;
        self.next_point = (self.next_point + 1) % POINTS;
        Some(range.point(self.next_point, POINTS))
    }

    pub(super) fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn count_throttle(&mut self, now: Instant) -> bool {
        let (since, count) = &mut self.throttles;
        if now.saturating_duration_since(*since) > LOOK_AGAIN_WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count == LOOK_AGAIN_THROTTLES
    }

    pub(super) fn was_throttled(&self, now: Instant, window: Duration) -> bool {
        self.throttle.was_throttled(now, window)
    }
}
