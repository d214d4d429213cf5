//! The sender's books: what waits, what is on its way, and what is to be done next. No I/O and no locks here: the sender
//! tells it what happened and does what it says.
//!
//! A record is sent again only if it failed itself. It is sent as the same user records, after a pause with full jitter;
//! with sticky routing to whichever shard has room, with keyed routing at the head of its lane, which waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::backoff::full_jitter;
use super::breaker::{Breaker, Leave};
use super::parcel::{Parcel, ParcelId, Piece};
use super::shards::{ShardLimits, Shards};
use super::wire::{CallError, CallFailure, EntryResult, StreamDescription};
use crate::gather::{ClosedBucket, FailureReason, LaneOrder, Outcome, Ticket};

/// Pauses before a record is sent again begin with these bounds (a throttled one needs its shard to recover).
const RETRY_BASE: Duration = Duration::from_millis(50);
const THROTTLED_BASE: Duration = Duration::from_millis(200);
const RETRY_CAP: Duration = Duration::from_secs(5);
/// In a drain there is no time to wait.
const DRAIN_BASE: Duration = Duration::from_millis(20);

/// Records wait this long for others to share their call while two calls are out: signing and sending a call costs as
/// much as some ten thousand bytes of records.
const CALL_LINGER: Duration = Duration::from_millis(10);
const EAGER_CALLS: usize = 2;

/// How often a lane that waits for another lane is looked at.
const ORDER_PAUSE: Duration = Duration::from_millis(5);

/// What a sender keeps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Records in a call.
    pub(super) records_a_call: usize,
    /// Bytes in a call, keys included.
    pub(super) bytes_a_call: usize,
    /// Calls at once.
    pub(super) calls_in_flight: usize,
    /// What one shard may have.
    pub(super) shard: ShardLimits,
    /// How long an attempt may take.
    pub(super) attempt_timeout: Duration,
    /// Whether events of one key stay in order.
    pub(super) keyed: bool,
    /// Whether lines are one record as they are (Firehose), and not one each.
    pub(super) lines_together: bool,
}

/// A call to be made.
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) records: Vec<CallRecord>,
    pub(super) timeout: Duration,
}

/// A record of a call; the call puts it in its envelope.
pub(super) struct CallRecord {
    pub(super) payload: Bytes,
    pub(super) sealed: bool,
    pub(super) hash_key: Option<u128>,
}

/// What a step wants done.
#[derive(Default)]
pub(super) struct Step {
    /// Calls to be made.
    pub(super) calls: Vec<Call>,
    /// Tickets to be settled.
    pub(super) settled: Vec<(Ticket, Outcome)>,
    /// Buckets that ran out of time, with what is to be said of them unless someone keeps them.
    pub(super) expired: Vec<(ClosedBucket, Outcome)>,
    /// Buckets for another destination.
    pub(super) overflowed: Vec<ClosedBucket>,
    /// When to take the next step if nothing happens.
    pub(super) wake_at: Option<Instant>,
    /// What was learned.
    pub(super) notes: Vec<Note>,
}

/// Something to be counted.
#[derive(Debug)]
pub(super) enum Note {
    /// A record was stored, with what it took on the wire and how long it was on its way since its bucket was opened.
    Stored { wire: usize, record_bytes: usize, events: u32, waited: Duration },
    /// A record was not, for this reason.
    Failed { code: Arc<str> },
    /// A record may have been.
    Ambiguous,
    /// A record is sent once more.
    Retried,
    /// A record landed in another shard than the map says.
    WrongShard,
    /// The breaker opened.
    Opened(String),
    /// The breaker closed.
    Closed,
    /// The shard map is worth another look.
    LookAgain,
}

struct Sent {
    piece: Piece,
    shard: usize,
    shard_id: Option<Arc<str>>,
    lane: Option<u64>,
    wire: usize,
}

struct OutCall {
    sent: Vec<Sent>,
    sent_at: Instant,
}

struct LaneQueue {
    order: Arc<LaneOrder>,
    waiting: VecDeque<Piece>,
    in_flight: bool,
    not_before: Option<Instant>,
}

/// The books.
pub(super) struct Dispatcher {
    limits: Limits,
    aggregates: bool,
    // As set, unless the stream keeps no order.
    keyed: bool,
    shards: Shards,
    parcels: HashMap<ParcelId, Parcel>,
    deadlines: BTreeSet<(Instant, ParcelId)>,
    next_parcel: ParcelId,
    ready: VecDeque<Piece>,
    ready_bytes: usize,
    ready_since: Option<Instant>,
    delayed: BTreeMap<(Instant, u64), Piece>,
    next_delayed: u64,
    lanes: HashMap<u64, LaneQueue>,
    calls: HashMap<u64, OutCall>,
    next_call: u64,
    breaker: Breaker,
    queued_bytes: usize,
    // Parcels that have somewhere else to go.
    may_overflow: usize,
    // What expires is offered to a keeper.
    keeps: bool,
    closing: bool,
}

impl Dispatcher {
    /// For Firehose: one place, no aggregates.
    pub(super) fn single(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            aggregates: false,
            keyed: limits.keyed,
            shards: Shards::one(now),
            parcels: HashMap::new(),
            deadlines: BTreeSet::new(),
            next_parcel: 0,
            ready: VecDeque::new(),
            ready_bytes: 0,
            ready_since: None,
            delayed: BTreeMap::new(),
            next_delayed: 0,
            lanes: HashMap::new(),
            calls: HashMap::new(),
            next_call: 0,
            breaker: Breaker::new(),
            queued_bytes: 0,
            may_overflow: 0,
            keeps: false,
            closing: false,
        }
    }

    /// For a Kinesis stream; `aggregates`: whether records may be aggregated.
    pub(super) fn stream(limits: Limits, stream: &StreamDescription, aggregates: bool, now: Instant) -> Self {
        let mut dispatcher = Self::single(limits, now);
        dispatcher.follow(stream, aggregates, now);
        dispatcher
    }

    /// The stream has changed.
    pub(super) fn follow(&mut self, stream: &StreamDescription, aggregates: bool, now: Instant) {
        self.aggregates = aggregates && !stream.auto_distribution;
        // There is no order in a stream that spreads records itself.
        self.keyed = self.limits.keyed && !stream.auto_distribution;
        if !self.keyed {
            for piece in self.lanes.values_mut().flat_map(|lane| std::mem::take(&mut lane.waiting)).collect::<Vec<_>>()
            {
                self.make_ready(piece, now);
            }
        }
        if stream.auto_distribution {
            if !self.shards.is_one() {
                self.shards = Shards::one(now);
            }
        } else if !stream.shards.is_empty() {
            self.shards.follow(&stream.shards, now);
        }
    }

    /// What one shard may have. Records that are single events are small: their number says nothing of the load.
    fn shard_limits(&self) -> ShardLimits {
        let records_in_flight = if self.aggregates { self.limits.shard.records_in_flight } else { usize::MAX };
        ShardLimits { records_in_flight, ..self.limits.shard }
    }

    /// From now on what expires is offered to a keeper: a lane of which a bucket is kept stands still until it is
    /// delivered.
    pub(super) fn offer_expired(&mut self) {
        self.keeps = true;
    }

    /// Takes a bucket.
    pub(super) fn submit(&mut self, bucket: ClosedBucket, now: Instant) {
        let id = self.next_parcel;
        self.next_parcel += 1;
        let lane = bucket.lane.as_ref().filter(|_| self.keyed).map(|hold| Arc::clone(hold.order()));
        let kept = bucket.kept;
        let (parcel, pieces) = Parcel::open(bucket, id, self.aggregates, self.limits.lines_together);
        self.queued_bytes += parcel.payload.len();
        self.may_overflow += usize::from(parcel.bucket.overflow.is_some());
        self.deadlines.insert((parcel.deadline(), id));
        self.parcels.insert(id, parcel);
        match lane {
            Some(order) => {
                let queue = self.lanes.entry(order.number()).or_insert_with(|| LaneQueue {
                    order,
                    waiting: VecDeque::new(),
                    in_flight: false,
                    not_before: None,
                });
                if kept {
                    pieces.into_iter().rev().for_each(|piece| queue.waiting.push_front(piece));
                } else {
                    queue.waiting.extend(pieces);
                }
            }
            None => pieces.into_iter().for_each(|piece| self.make_ready(piece, now)),
        }
    }

    /// What to do now.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        let mut step = Step::default();
        let half_time = self.overflow(now, &mut step);
        self.expire(now, &mut step);
        self.expire_behind_kept(now, &mut step);
        while let Some((&(at, _), _)) = self.delayed.first_key_value()
            && at <= now
        {
            if let Some((_, piece)) = self.delayed.pop_first() {
                self.make_ready(piece, now);
            }
        }
        step.wake_at = self.pack_calls(now, &mut step);
        for at in [half_time, self.deadlines.first().map(|(at, _)| *at), self.delayed.keys().next().map(|(at, _)| *at)]
        {
            step.wake_at = earlier(step.wake_at, at);
        }
        step
    }

    /// A call was answered, or failed. `results` is in the order of its records.
    pub(super) fn answered(&mut self, id: u64, results: Result<Vec<EntryResult>, CallError>, now: Instant) -> Step {
        let mut step = Step::default();
        let Some(OutCall { sent, sent_at }) = self.calls.remove(&id) else { return step };
        for record in &sent {
            if let Some(shard) = self.current_shard(record) {
                shard.answered();
            }
            if let Some(parcel) = self.parcels.get_mut(&record.piece.parcel) {
                parcel.in_flight -= 1;
            }
            if let Some(lane) = record.lane.and_then(|lane| self.lanes.get_mut(&lane)) {
                lane.in_flight = false;
            }
        }
        match results {
            Ok(results) if results.len() == sent.len() => self.take_results(sent, results, sent_at, now, &mut step),
            Ok(results) => {
                let message = format!("{} results for {} records", results.len(), sent.len());
                let error = CallError { failure: CallFailure::Ambiguous, code: "length_mismatch".into(), message };
                self.take_failure(sent, &error, sent_at, now, &mut step);
            }
            Err(error) => self.take_failure(sent, &error, sent_at, now, &mut step),
        }
        step
    }

    /// Nothing may wait any longer than it must, and nothing more is taken.
    pub(super) fn close(&mut self, now: Instant) {
        self.closing = true;
        self.stop_waiting(now);
    }

    /// Whether it takes buckets.
    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// There is no time left: everything runs out of time now.
    pub(super) fn abandon(&mut self, now: Instant) -> Step {
        let mut step = Step::default();
        for id in self.parcels.keys().copied().collect::<Vec<_>>() {
            self.expire_one(id, now, &mut step);
        }
        step
    }

    fn stop_waiting(&mut self, now: Instant) {
        for (_, piece) in std::mem::take(&mut self.delayed) {
            self.make_ready(piece, now);
        }
        self.lanes.values_mut().for_each(|lane| lane.not_before = None);
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Payload bytes that wait or are on their way.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub(super) fn calls_in_flight(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn shards(&self) -> &Shards {
        &self.shards
    }

    /// Why nothing is taken, and when to try again.
    pub(super) fn down(&self, now: Instant) -> Option<(String, Duration)> {
        if let Some((reason, retry_after)) = self.breaker.down(now) {
            return Some((reason.to_owned(), retry_after));
        }
        // One batch has to come in to find out whether the service is well again; the queue does as well.
        if self.breaker.is_open() && !self.is_empty() {
            return Some(("finding out whether it is well again".to_owned(), RETRY_BASE * 4));
        }
        self.overload(now)
    }

    /// Every shard is throttled, and what waits will take longer than half of what it may.
    fn overload(&self, now: Instant) -> Option<(String, Duration)> {
        let window = Duration::from_secs(2);
        if self.queued_bytes == 0 || self.shards.iter().any(|shard| !shard.was_throttled(now, window)) {
            return None;
        }
        let oldest = self.deadlines.first().map(|(deadline, _)| *deadline)?;
        let youngest = self.deadlines.last().map(|(deadline, _)| *deadline)?;
        // Buckets are due in the order of their closing: that span is how long the oldest has waited.
        let waited = youngest.saturating_duration_since(oldest);
        let left = oldest.saturating_duration_since(now);
        (waited > left).then(|| ("every shard is throttled".to_owned(), Duration::from_secs(1)))
    }

    fn make_ready(&mut self, piece: Piece, now: Instant) {
        self.ready_bytes += piece.wire_len();
        self.ready_since.get_or_insert(now);
        self.ready.push_back(piece);
    }

    fn remove(&mut self, id: ParcelId) -> Option<Parcel> {
        let parcel = self.parcels.remove(&id)?;
        self.deadlines.remove(&(parcel.deadline(), id));
        self.queued_bytes -= parcel.payload.len();
        self.may_overflow -= usize::from(parcel.bucket.overflow.is_some());
        Some(parcel)
    }

    fn expire(&mut self, now: Instant, step: &mut Step) {
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.expire_one(id, now, step);
        }
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
        }
        step.expired.push((parcel.into_bucket(), outcome));
    }

    /// Buckets that have somewhere else to go go there while nothing goes out here, or when half their time is over.
    /// When the next one's half is over.
    fn overflow(&mut self, now: Instant, step: &mut Step) -> Option<Instant> {
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
    fn expire_behind_kept(&mut self, now: Instant, step: &mut Step) {
        if !self.keeps || !self.breaker.is_open() {
            return;
        }
        let blocked = |lane: &&LaneQueue| !lane.in_flight && lane.order.has_kept();
        let waiting: BTreeSet<ParcelId> =
            self.lanes.values().filter(blocked).flat_map(|lane| &lane.waiting).map(|piece| piece.parcel).collect();
        for id in waiting {
            if self.parcels.get(&id).is_some_and(|parcel| !parcel.bucket.kept && parcel.in_flight == 0) {
                self.expire_one(id, now, step);
            }
        }
    }

    fn retry_after(&self, now: Instant) -> Duration {
        self.breaker.down(now).map_or(Duration::from_secs(1), |(_, retry_after)| retry_after)
    }

    /// Packs what may go out into calls; when more may, if nothing happens before.
    fn pack_calls(&mut self, now: Instant, step: &mut Step) -> Option<Instant> {
        let mut wake_at = None;
        while self.calls.len() < self.limits.calls_in_flight {
            let probe = match self.breaker.leave(now) {
                Leave::Free => false,
                Leave::Probe => true,
                Leave::Wait(until) => return earlier(wake_at, Some(until)),
                Leave::WaitForProbe => return wake_at,
            };
            if self.lanes.is_empty()
                && !probe
                && self.calls.len() >= EAGER_CALLS
                && !self.closing
                && self.ready_bytes < self.limits.bytes_a_call / 2
                && let Some(since) = self.ready_since
                && now < since + CALL_LINGER
            {
                return earlier(wake_at, Some(since + CALL_LINGER));
            }
            let mut sent = Vec::new();
            for blocked_until in [self.pack_lanes(&mut sent, now), self.pack_ready(&mut sent, now)] {
                wake_at = earlier(wake_at, blocked_until);
            }
            self.shards.end_call();
            if sent.is_empty() {
                break;
            }
            step.calls.push(self.start_call(sent, now));
            if probe {
                self.breaker.called();
            }
        }
        wake_at
    }

    fn pack_ready(&mut self, sent: &mut Vec<(Sent, Option<u128>)>, now: Instant) -> Option<Instant> {
        let mut bytes: usize = sent.iter().map(|(sent, _)| sent.wire).sum();
        while sent.len() < self.limits.records_a_call {
            let Some(piece) = self.ready.pop_front() else { break };
            let len = piece.wire_len();
            if !self.parcels.contains_key(&piece.parcel) {
                self.ready_bytes -= len;
                continue;
            }
            if piece.sealed && !self.aggregates {
                // The stream has come to take no aggregates since it was packed.
                self.ready_bytes -= len;
                self.unpack(&piece);
                continue;
            }
            let full = !sent.is_empty() && bytes + len > self.limits.bytes_a_call;
            let room = if full { Err(None) } else { self.shards.next_with_room(len, self.shard_limits(), now) };
            match room {
                Ok(shard) => {
                    self.ready_bytes -= len;
                    bytes += len;
                    self.send(piece, shard, None, sent);
                }
                Err(until) => {
                    self.ready.push_front(piece);
                    return until;
                }
            }
        }
        if self.ready.is_empty() {
            self.ready_since = None;
        }
        None
    }

    /// Sends the records that an aggregated record holds one by one.
    fn unpack(&mut self, piece: &Piece) {
        let Some(parcel) = self.parcels.get_mut(&piece.parcel) else { return };
        let pieces = parcel.unpacked(piece);
        parcel.open = parcel.open + pieces.len() - 1;
        for piece in pieces.into_iter().rev() {
            self.ready_bytes += piece.wire_len();
            self.ready.push_front(piece);
        }
    }

    fn pack_lanes(&mut self, sent: &mut Vec<(Sent, Option<u128>)>, now: Instant) -> Option<Instant> {
        let (mut bytes, mut wake_at) = (0, None);
        self.lanes.retain(|_, lane| lane.in_flight || !lane.waiting.is_empty());
        let mut numbers: Vec<u64> = self.lanes.keys().copied().collect();
        // Where not all of them find room in a call, it is another one's turn each time.
        let turn = usize::try_from(self.next_call).unwrap_or(0) % numbers.len().max(1);
        numbers.rotate_left(turn);
        for number in numbers {
            if sent.len() >= self.limits.records_a_call {
                break;
            }
            let Some(lane) = self.lanes.get_mut(&number) else { continue };
            while lane.waiting.front().is_some_and(|piece| !self.parcels.contains_key(&piece.parcel)) {
                lane.waiting.pop_front();
            }
            let Some(len) = lane.waiting.front().map(Piece::wire_len) else { continue };
            if lane.in_flight || (bytes > 0 && bytes + len > self.limits.bytes_a_call) {
                continue;
            }
            if let Some(until) = lane.not_before.filter(|until| *until > now) {
                wake_at = earlier(wake_at, Some(until));
                continue;
            }
            let front = lane.waiting.front().and_then(|piece| self.parcels.get(&piece.parcel));
            let kept = front.is_some_and(|parcel| parcel.bucket.kept);
            if !lane.order.may_go() || (lane.order.has_kept() && !kept) {
                wake_at = earlier(wake_at, Some(now + ORDER_PAUSE));
                continue;
            }
            // A lane whose shard was split or merged meanwhile still sends to a hash key that its shard had.
            let key = lane.order.shard().point(0, 1);
            let Some(shard) = self.shards.owner(key) else { continue };
            let limits = ShardLimits { records_in_flight: usize::MAX, ..self.limits.shard };
            match self.shards.get_mut(shard).and_then(|shard| shard.room_at(len, limits, now)) {
                Some(at) if at <= now => {}
                at => {
                    wake_at = earlier(wake_at, at);
                    continue;
                }
            }
            if let Some(piece) = lane.waiting.pop_front() {
                lane.in_flight = true;
                bytes += len;
                self.send(piece, shard, Some((number, key)), sent);
            }
        }
        wake_at
    }

    fn send(
        &mut self,
        mut piece: Piece,
        index: usize,
        lane: Option<(u64, u128)>,
        sent: &mut Vec<(Sent, Option<u128>)>,
    ) {
        let Some(shard) = self.shards.get_mut(index) else { return };
        let turning = shard.send(piece.wire_len());
        let hash_key = lane.map(|(_, key)| key).or(turning);
        let wire = piece.wire_len_for(hash_key);
        let shard_id = shard.id().cloned();
        piece.tries += 1;
        if let Some(parcel) = self.parcels.get_mut(&piece.parcel) {
            parcel.in_flight += 1;
        }
        sent.push((Sent { piece, shard: index, shard_id, lane: lane.map(|(number, _)| number), wire }, hash_key));
    }

    fn start_call(&mut self, sent: Vec<(Sent, Option<u128>)>, now: Instant) -> Call {
        let id = self.next_call;
        self.next_call += 1;
        let record = |(sent, hash_key): &(Sent, Option<u128>)| {
            let parcel = self.parcels.get(&sent.piece.parcel);
            let payload = parcel.map_or_else(Bytes::new, |parcel| parcel.payload.slice(sent.piece.range.clone()));
            CallRecord { payload, sealed: sent.piece.sealed, hash_key: *hash_key }
        };
        let records = sent.iter().map(record).collect();
        self.calls.insert(id, OutCall { sent: sent.into_iter().map(|(sent, _)| sent).collect(), sent_at: now });
        Call { id, records, timeout: self.limits.attempt_timeout }
    }

    // A shard that was split or merged since has its successor in its place, or nothing.
    fn current_shard(&mut self, record: &Sent) -> Option<&mut super::shards::Shard> {
        let index = match &record.shard_id {
            Some(id) => self.shards.index_of(id)?,
            None => record.shard,
        };
        self.shards.get_mut(index)
    }

    fn take_results(
        &mut self,
        sent: Vec<Sent>,
        results: Vec<EntryResult>,
        sent_at: Instant,
        now: Instant,
        step: &mut Step,
    ) {
        // Records that fail in a call that is answered say nothing of the service as a whole.
        if self.breaker.succeeded() {
            step.notes.push(Note::Closed);
            // Pauses were for a service that failed.
            self.stop_waiting(now);
        }
        let mut look_again = false;
        // From the back, so that what has to go to the front of a lane comes to lie there in order.
        for (record, result) in sent.into_iter().zip(results).rev() {
            match result {
                EntryResult::Stored { shard } => {
                    if let (Some(expected), Some(actual)) = (&record.shard_id, &shard)
                        && expected != actual
                    {
                        step.notes.push(Note::WrongShard);
                        look_again |= self.shards.index_of(actual).is_none();
                    }
                    self.stored(&record, now, step);
                }
                EntryResult::Throttled => {
                    look_again |= self.current_shard(&record).is_some_and(|shard| shard.throttled(sent_at, now));
                    step.notes.push(Note::Failed { code: "throttled".into() });
                    // Another shard may well have room: its first other try is at once.
                    let base = if self.shards.len() > 1 && record.piece.tries == 1 && !self.keyed {
                        Duration::ZERO
                    } else {
                        THROTTLED_BASE
                    };
                    self.again(record, base, now, step);
                }
                EntryResult::Failed { code } => {
                    step.notes.push(Note::Failed { code });
                    self.again(record, RETRY_BASE, now, step);
                }
            }
        }
        if look_again {
            step.notes.push(Note::LookAgain);
        }
    }

    fn take_failure(&mut self, sent: Vec<Sent>, error: &CallError, sent_at: Instant, now: Instant, step: &mut Step) {
        let permanent = error.failure == CallFailure::Permanent;
        if self.breaker.failed(permanent, error, now) {
            step.notes.push(Note::Opened(error.to_string()));
        }
        // Where there is one place, the call's throttling is that place's.
        if error.failure == CallFailure::Throttled
            && let Some(shard) = self.shards.get_mut(0).filter(|shard| shard.id().is_none())
        {
            let _ = shard.throttled(sent_at, now);
        }
        for record in sent.into_iter().rev() {
            step.notes.push(Note::Failed { code: Arc::clone(&error.code) });
            let base = match error.failure {
                CallFailure::Throttled => THROTTLED_BASE,
                CallFailure::Unreachable | CallFailure::Credentials => RETRY_BASE,
                CallFailure::Ambiguous => {
                    step.notes.push(Note::Ambiguous);
                    if let Some(parcel) = self.parcels.get_mut(&record.piece.parcel) {
                        parcel.ambiguous = true;
                    }
                    RETRY_BASE
                }
                CallFailure::Permanent => {
                    self.give_up(record.piece.parcel, now, step);
                    continue;
                }
            };
            self.again(record, base, now, step);
        }
    }

    /// Trying again can't help.
    fn give_up(&mut self, id: ParcelId, now: Instant, step: &mut Step) {
        let Some(parcel) = self.remove(id) else { return };
        if parcel.bucket.overflow.is_some() {
            step.overflowed.push(parcel.into_bucket());
            return;
        }
        let outcome = parcel.given_up(FailureReason::DestinationUnavailable, self.retry_after(now));
        step.settled.push((parcel.bucket.ticket, outcome));
    }

    fn stored(&mut self, record: &Sent, now: Instant, step: &mut Step) {
        let id = record.piece.parcel;
        let Some(parcel) = self.parcels.get_mut(&id) else { return };
        parcel.open -= 1;
        parcel.stored += 1;
        let whole = record.piece.range.len() == parcel.payload.len();
        step.notes.push(Note::Stored {
            wire: record.wire,
            record_bytes: if whole { parcel.record_bytes } else { record.piece.range.len() },
            events: if whole { parcel.bucket.events } else { 1 },
            waited: now.saturating_duration_since(parcel.bucket.opened_at),
        });
        if let Some(lane) = record.lane.and_then(|lane| self.lanes.get_mut(&lane)) {
            lane.not_before = None;
        }
        if parcel.open == 0
            && let Some(parcel) = self.remove(id)
        {
            step.settled.push((parcel.bucket.ticket, Outcome::Stored));
        }
    }

    /// Sends a record once more, after a pause.
    fn again(&mut self, record: Sent, base: Duration, now: Instant, step: &mut Step) {
        if !self.parcels.contains_key(&record.piece.parcel) {
            return;
        }
        step.notes.push(Note::Retried);
        let base = if self.closing { base.min(DRAIN_BASE) } else { base };
        let at = now + full_jitter(base, record.piece.tries - 1, RETRY_CAP);
        match record.lane.filter(|_| self.keyed) {
            Some(number) => {
                if let Some(lane) = self.lanes.get_mut(&number) {
                    lane.waiting.push_front(record.piece);
                    lane.not_before = Some(at);
                }
            }
            None => {
                self.delayed.insert((at, self.next_delayed), record.piece);
                self.next_delayed += 1;
            }
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (at, None) | (None, at) => at,
    }
}
