//! What the same events cost otherwise: each in a record of its own, or by the rules of the Kinesis Producer Library.

use std::time::Duration;

use headgate_proto::aggregate;

use super::{Arrival, SHARDS, Tally};

/// A partition key that spreads events evenly: a UUID for each.
const KEY: usize = 36;

/// KPL's defaults: `AggregationMaxSize` and `RecordMaxBufferedTime`.
const KPL_TARGET: usize = 51_200;
const KPL_LINGER: Duration = Duration::from_millis(100);
/// Magic and MD5 around the message; the record's own partition key is `a`.
const KPL_ENVELOPE: usize = 4 + 16;
const KPL_OUTER_KEY: usize = 1;

/// Payload over framed payload for records that never end: what no packing in this format can exceed.
#[allow(clippy::cast_precision_loss, reason = "below 2^52")]
pub(super) fn bound(arrivals: impl Iterator<Item = Arrival>) -> f64 {
    let (payload, framed) = arrivals.fold((0, 0), |(payload, framed), arrival| {
        (payload + arrival.len, framed + aggregate::user_record_len(arrival.len))
    });
    payload as f64 / framed as f64
}

/// A record for each event. Firehose has no keys.
pub(super) fn one_a_record(arrivals: impl Iterator<Item = Arrival>, to_firehose: bool) -> Tally {
    let key = if to_firehose { 0 } else { KEY };
    arrivals.fold(Tally::default(), |mut tally, arrival| {
        tally.add(arrival.len, arrival.len + key, 1);
        tally
    })
}

/// An open aggregate of one predicted shard.
#[derive(Clone, Copy, Default)]
struct Open {
    opened_at: Duration,
    events: usize,
    payload: usize,
    wire: usize,
}

/// KPL: aggregates of 51,200 bytes, 100 ms after the first event at the latest, one open for each shard that keys predict,
/// a partition key for each event in its table, a lone event raw under its own key. What was opened during the warm-up,
/// or is still open at the end, does not count.
pub(super) fn kpl(arrivals: impl Iterator<Item = Arrival>, warm_up: Duration) -> Tally {
    let mut tally = Tally::default();
    let mut shards = [Open::default(); SHARDS];
    let close = |open: &mut Open, at: Duration, tally: &mut Tally| {
        let Open { opened_at, events, payload, wire } = std::mem::take(open);
        if events == 0 || opened_at < warm_up {
            return;
        }
        let wire = if events == 1 { payload + KEY } else { KPL_ENVELOPE + wire + KPL_OUTER_KEY };
        tally.add(payload, wire, u32::try_from(events).unwrap_or(u32::MAX));
        tally.note_open(at.saturating_sub(opened_at));
    };
    for arrival in arrivals {
        for open in shards.iter_mut().filter(|open| open.events > 0 && open.opened_at + KPL_LINGER <= arrival.at) {
            close(open, open.opened_at + KPL_LINGER, &mut tally);
        }
        // The shards' ranges are equal parts of the hash space.
        let shard = ((arrival.hash_key >> 64) * SHARDS as u128) >> 64;
        let open = &mut shards[usize::try_from(shard).unwrap_or(0)];
        if open.events > 0 && KPL_ENVELOPE + open.wire + kpl_len(arrival.len, open.events) > KPL_TARGET {
            close(open, arrival.at, &mut tally);
        }
        if open.events == 0 {
            open.opened_at = arrival.at;
        }
        open.wire += kpl_len(arrival.len, open.events);
        open.payload += arrival.len;
        open.events += 1;
    }
    tally
}

/// What the `index`th event takes: its key in the table, and a record of the key's index and the data.
fn kpl_len(data: usize, index: usize) -> usize {
    let field = |len: usize| 1 + varint_len(len) + len;
    field(KEY) + field(1 + varint_len(index) + field(data))
}

fn varint_len(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::super::tally::Service;
    use super::super::{Arrivals, Flow};
    use super::*;

    #[test]
    fn kpls_aggregates_close_for_size_or_for_linger() {
        let tally = |flow| {
            let arrivals = Arrivals::new(flow).take_while(|arrival| arrival.at < Duration::from_secs(20));
            kpl(arrivals, Duration::ZERO)
        };
        let fast = tally(Flow { size: 300, rate: 20_000 });
        let mean = fast.wire / fast.records;
        assert!((50_500..=51_200).contains(&mean), "{mean} bytes a record");
        let slow = tally(Flow { size: 300, rate: 300 });
        // 30 events in 100 ms, over 4 shards, and the linger begins with the first.
        let events = slow.events / slow.records;
        assert!((7..=9).contains(&events), "{events} events a record");
        assert!(slow.mean_open() == KPL_LINGER);
    }

    #[test]
    fn one_event_a_record_pays_a_whole_unit_for_each() {
        let arrivals = || Arrivals::new(Flow { size: 300, rate: 300 }).take(10_000);
        let efficiency = one_a_record(arrivals(), false).efficiency(Service::Provisioned).total;
        assert!((0.011..0.012).contains(&efficiency), "{efficiency}");
        assert!((0.966..0.970).contains(&bound(arrivals())));
    }
}
