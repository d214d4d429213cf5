//! What goes out next: records that wait become calls, within the limits of calls, shards and lanes.

use std::time::Instant;

use bytes::Bytes;

use super::{
    CALL_LINGER, Call, CallRecord, Dispatcher, EAGER_CALLS, Leave, ORDER_PAUSE, OutCall, Piece, Sent, ShardLimits,
    Step, earlier,
};

/// Records that go before one of a kept bucket.
const BEFORE_ONE_KEPT: u32 = 4;

impl Dispatcher {
    /// What one shard may have. Records that are single events are small: their number says nothing of the load.
    pub(super) fn shard_limits(&self) -> ShardLimits {
        let records_in_flight = if self.aggregates { self.limits.shard.records_in_flight } else { usize::MAX };
        ShardLimits { records_in_flight, ..self.limits.shard }
    }

    /// Packs what may go out into calls; when more may, if nothing happens before.
    pub(super) fn pack_calls(&mut self, now: Instant, step: &mut Step) -> Option<Instant> {
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
            let Some(piece) = self.next_ready() else { break };
            let len = piece.wire_len();
            if self.is_too_late(piece.parcel, now) {
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
                    let none_waits = self.ready_kept.is_empty() || self.kept.contains(&piece.parcel);
                    self.came_before_kept = if none_waits { 0 } else { self.came_before_kept + 1 };
                    self.send(piece, shard, None, sent);
                }
                Err(until) => {
                    self.ready_of(&piece).push_front(piece);
                    return until;
                }
            }
        }
        if self.ready.is_empty() && self.ready_kept.is_empty() {
            self.ready_since = None;
        }
        None
    }

    /// Whose turn it is. Where there is no room for all, kept buckets, which may be many, come after those whose clients
    /// wait, but for one record now and then: a client that sends its events again hears nothing certain before they are
    /// delivered.
    fn next_ready(&mut self) -> Option<Piece> {
        if self.came_before_kept < BEFORE_ONE_KEPT || self.ready_kept.is_empty() {
            self.ready.pop_front().or_else(|| self.ready_kept.pop_front())
        } else {
            self.ready_kept.pop_front()
        }
    }

    /// Sends the records that an aggregated record holds one by one.
    fn unpack(&mut self, piece: &Piece) {
        let Some(parcel) = self.parcels.get_mut(&piece.parcel) else { return };
        let pieces = parcel.unpacked(piece);
        parcel.open = parcel.open + pieces.len() - 1;
        for piece in pieces.into_iter().rev() {
            self.ready_bytes += piece.wire_len();
            self.ready_of(&piece).push_front(piece);
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
            let parcel_of = |piece: &Piece| self.parcels.get(&piece.parcel);
            let is_gone = |piece: &Piece| parcel_of(piece).is_none_or(|parcel| parcel.is_too_late(now, self.closing));
            while lane.waiting.front().is_some_and(is_gone) {
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
        // An answer after all deadlines is for nobody.
        let parcels = sent.iter().filter_map(|(sent, _)| self.parcels.get(&sent.piece.parcel));
        let due = parcels.map(|parcel| parcel.deadline().saturating_duration_since(now)).max();
        let timeout = due.map_or(self.limits.attempt_timeout, |due| due.min(self.limits.attempt_timeout));
        self.calls.insert(id, OutCall { sent: sent.into_iter().map(|(sent, _)| sent).collect(), sent_at: now });
        Call { id, records, timeout }
    }
}
