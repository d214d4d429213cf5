//! What can't be delivered: buckets whose time is over, buckets that have somewhere else to go, and when to take no more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Dispatcher, LaneQueue, Leave, NotNow, Parcel, ParcelId, RETRY_BASE, Step, earlier};
use crate::gather::{ClosedBucket, FailureReason};

/// When to try again what was refused because too much is on its way.
const OVERLOAD_PAUSE: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// There is no time left: everything runs out of time now.
    pub(in crate::delivery::sender) fn abandon(&mut self, now: Instant) -> Step {
        let mut step = Step::default();
        for id in self.parcels.keys().copied().collect::<Vec<_>>() {
            self.expire_one(id, now, &mut step);
        }
        step
    }

    /// Why the last call failed, though one may be out or let out to find out whether the service is well again.
    pub(in crate::delivery::sender) fn trouble(&self) -> Option<String> {
        self.breaker.reason().map(str::to_owned)
    }

    /// Why nothing is taken, and when to try again.
    pub(in crate::delivery::sender) fn not_now(&self, now: Instant) -> Option<NotNow> {
        let down = |reason: &str, retry_after| NotNow { reason: reason.to_owned(), retry_after, overload: false };
        if let Some((reason, retry_after)) = self.breaker.down(now) {
            return Some(down(reason, retry_after));
        }
        // One batch has to come in to find out whether the service is well again; the queue does as well.
        if self.breaker.is_open() && !self.is_empty() {
            return Some(down("finding out whether it is well again", RETRY_BASE * 4));
        }
        self.kept_first().or_else(|| self.overload(now))
    }

    /// In every lane kept buckets go first, and there may be many of them: what comes now would wait for all of them, be
    /// kept, too, and have those wait that come next. Nothing would ever be well again.
    fn kept_first(&self) -> Option<NotNow> {
        let blocked = self.kept_lanes.values().filter(|order| order.has_kept()).count();
        let all = self.keyed && blocked >= self.shards.iter().count();
        let reason = || "what was kept for later goes first".to_owned();
        all.then(|| NotNow { reason: reason(), retry_after: OVERLOAD_PAUSE, overload: true })
    }

    /// No more can go out, to any shard, half of the buckets have waited for a quarter of their time, and at the rate at
    /// which they are stored the queue takes as long: what comes now would find little time left when its turn comes. Of
    /// the oldest bucket nothing can be told: where records fail by chance, a few have no luck again and again. Nor are old
    /// buckets alone a reason: they may be the last of a short queue, and refusing would leave the shards idle. Kept buckets
    /// don't count: they come after the others, and their time begins anew whenever it is over.
    fn overload(&self, now: Instant) -> Option<NotNow> {
        let window = Duration::from_secs(2);
        let limits = self.shard_limits();
        let reason = if self.queued_bytes == 0 {
            return None;
        } else if self.shards.iter().all(|shard| shard.was_throttled(now, window)) {
            "every shard is throttled"
        } else if self.calls.len() >= self.limits.calls_in_flight
            || self.shards.iter().all(|shard| shard.is_full(limits, now))
        {
            "it can't keep up"
        } else {
            return None;
        };
        let fresh = self.deadlines.len() - self.kept.len();
        let (_, median) = self.deadlines.iter().filter(|(_, id)| !self.kept.contains(id)).nth(fresh / 2)?;
        let parcel = self.parcels.get(median)?;
        let kept_bytes =
            self.kept.iter().filter_map(|id| self.parcels.get(id)).map(|kept| kept.missing_bytes).sum::<usize>();
        let waited = now.saturating_duration_since(parcel.bucket.opened_at);
        let left = parcel.deadline().saturating_duration_since(now);
        let quarter = (waited + left) / 4;
        let takes_long = waited > quarter && self.stored.time_for(self.queued_bytes - kept_bytes, now) > quarter;
        takes_long.then(|| NotNow { reason: reason.to_owned(), retry_after: OVERLOAD_PAUSE, overload: true })
    }

    pub(super) fn expire(&mut self, now: Instant, step: &mut Step) {
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.out_of_time(id, now, step);
        }
        let due = |id: &&ParcelId| self.parcels.get(id).is_some_and(|parcel| parcel.in_flight == 0);
        let late = self.deadlines.iter().map(|(_, id)| id).take_while(|id| self.is_too_late(**id, now));
        for id in late.filter(due).copied().collect::<Vec<_>>() {
            self.out_of_time(id, now, step);
        }
    }

    fn out_of_time(&mut self, id: ParcelId, now: Instant, step: &mut Step) {
        match self.parcels.get_mut(&id) {
            Some(parcel) if parcel.goes_on(self.closing) => {
                self.deadlines.remove(&(parcel.deadline(), id));
                parcel.begin_anew(now);
                self.deadlines.insert((parcel.deadline(), id));
            }
            _ => self.expire_one(id, now, step),
        }
    }

    /// Whether nothing of it is sent any more.
    pub(super) fn is_too_late(&self, id: ParcelId, now: Instant) -> bool {
        self.parcels.get(&id).is_none_or(|parcel| parcel.is_too_late(now, self.closing))
    }

    /// When the next bucket's time is over, or too short to send it.
    pub(super) fn next_expiry(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for (deadline, id) in &self.deadlines {
            match self.parcels.get(id).map(Parcel::last_start).filter(|last_start| *last_start > now) {
                Some(last_start) => return earlier(next, Some(last_start)),
                // It is in flight.
                None => next = earlier(next, Some(*deadline)),
            }
        }
        next
    }

    fn expire_one(&mut self, id: ParcelId, now: Instant, step: &mut Step) {
        let Some(parcel) = self.remove(id) else { return };
        let reason = match self.breaker.is_open() {
            true => FailureReason::DestinationUnavailable,
            false => FailureReason::Deadline,
        };
        let outcome = parcel.given_up(reason, self.retry_after(now));
        if let Some(lane) = parcel.bucket.lane.as_ref().filter(|_| self.keeps && !parcel.bucket.kept) {
            // Before anything else of the lane can go out.
            lane.order().keep();
            self.kept_lanes.insert(lane.order().number(), Arc::clone(lane.order()));
        }
        step.expired.push((parcel.into_bucket(), outcome));
    }

    /// Buckets that have somewhere else to go go there while nothing goes out here, or when half their time is over.
    /// When the next one's half is over.
    pub(super) fn overflow(&mut self, now: Instant, step: &mut Step) -> Option<Instant> {
        if self.may_overflow == 0 {
            return None;
        }
        let open = self.breaker.is_open();
        // One that can be sent stays where a probe is due: or nothing would ever be tried again.
        let mut probe = open && self.breaker.leave(now) == Leave::Probe;
        let half_of =
            |bucket: &ClosedBucket| bucket.opened_at + bucket.deadline.saturating_duration_since(bucket.opened_at) / 2;
        let (mut gone, mut next) = (Vec::new(), None);
        for (_, id) in &self.deadlines {
            let Some(parcel) = self.parcels.get(id) else { continue };
            if parcel.bucket.overflow.is_none() || parcel.in_flight > 0 {
                continue;
            }
            let half = half_of(&parcel.bucket);
            if !open && now < half {
                next = Some(half);
                break;
            }
            if std::mem::take(&mut probe) {
                continue;
            }
            gone.push(*id);
        }
        for id in gone {
            if let Some(parcel) = self.remove(id) {
                step.overflowed.push(parcel.into_bucket());
            }
        }
        next
    }

    /// While the service fails, what waits behind a kept bucket of its lane is kept, too: it can't go out before that one,
    /// and as long as it is here, nothing says that the kept one may be tried.
    pub(super) fn expire_behind_kept(&mut self, now: Instant, step: &mut Step) {
        if !self.keeps || !self.breaker.is_open() {
            return;
        }
        let blocked = |lane: &&LaneQueue| !lane.in_flight && (lane.order.has_kept() || lane.order.waits_for_kept());
        let waiting: BTreeSet<ParcelId> =
            self.lanes.values().filter(blocked).flat_map(|lane| &lane.waiting).map(|piece| piece.parcel).collect();
        for id in waiting {
            if self.parcels.get(&id).is_some_and(|parcel| !parcel.bucket.kept && parcel.in_flight == 0) {
                self.expire_one(id, now, step);
            }
        }
    }

    pub(super) fn retry_after(&self, now: Instant) -> Duration {
        self.breaker.down(now).map_or(Duration::from_secs(1), |(_, retry_after)| retry_after)
    }

    /// Trying again can't help.
    pub(super) fn give_up(&mut self, id: ParcelId, now: Instant, step: &mut Step) {
        let Some(parcel) = self.remove(id) else { return };
        if parcel.bucket.overflow.is_some() {
            step.overflowed.push(parcel.into_bucket());
            return;
        }
        let outcome = parcel.given_up(FailureReason::DestinationUnavailable, self.retry_after(now));
        step.settled.push((parcel.bucket.ticket, outcome));
    }
}
