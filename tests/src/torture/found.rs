//! What a house's destinations hold: rows for the oracle, how often each may be there because a call was not answered for
//! or a gateway found it in the spill when it started, and, for an event that something is wrong with, where it lies.

use std::collections::HashMap;

use bytes::Bytes;
use uuid::Uuid;

use super::breach::Breach;
use super::house::{DELIVERY_STREAM, House, STREAM};
use super::plan::Destination;
use crate::aws::{Service, kcl};
use crate::lake::{self, Row};
use crate::oracle::{Judgement, Oracle, Violation};
use crate::stream;

/// Answers that were sent and, by the gateway's own count, heard too late, of which so many are excused for each event: the
/// gateway's clock and the stand-in's can't agree on the last moment of an attempt, and on a busy machine it lasts.
const HEARD_TOO_LATE: u64 = 2;
/// Violations whose events' histories are told.
const TOLD: usize = 5;

/// Rows by where they are, and records of doubt.
pub(crate) struct Found {
    kinesis: Vec<Row>,
    firehose: Vec<Row>,
    lake: Vec<Row>,
    doubts: Vec<(Service, Uuid)>,
    too_late: u16,
}

impl Found {
    /// Reads everything, of a gateway that has ended. What consumers would drop is a breach.
    pub(crate) fn in_house(house: &House) -> (Self, Option<Breach>) {
        let mut found =
            Self { kinesis: Vec::new(), firehose: Vec::new(), lake: Vec::new(), doubts: Vec::new(), too_late: 0 };
        let mut breach = None;
        if !house.plan.streams() {
            found.lake = lake::rows(&house.data_dir().join("lake"));
        } else if let (Some(stand_in), Some(of_house)) = (&house.stand_in, &house.stream) {
            let reading = kcl::read(&of_house.shards());
            if reading.discarded_aggregates + reading.broken_aggregates > 0 {
                let (discarded, broken) = (reading.discarded_aggregates, reading.broken_aggregates);
                breach =
                    Some(Breach::new("dropped", format!("consumers drop {discarded} aggregates, fail on {broken}")));
            }
            found.kinesis = reading.records().map(|record| stream::row(&record.data)).collect();
            let delivered = stand_in.delivered(DELIVERY_STREAM);
            found.firehose = delivered.iter().flat_map(|record| stream::rows(record)).collect();
            let in_doubt = stand_in.stored_in_doubt();
            let too_late = house.unanswered().saturating_sub(in_doubt.len() as u64).min(HEARD_TOO_LATE);
            found.too_late = u16::try_from(too_late).unwrap_or_default();
            for (service, data) in in_doubt {
                let ids =
                    kcl::data_of(&data).into_iter().flat_map(|data| stream::rows(&data)).filter_map(|row| id(&row));
                found.doubts.extend(ids.map(|id| (service, id)));
            }
        }
        (found, breach)
    }

    /// The oracle's word on it.
    pub(crate) fn judge(&self, house: &House, oracle: &Oracle) -> Vec<Judgement> {
        let copies = |of: &[Service]| {
            let mut copies: HashMap<u64, u16> = HashMap::new();
            for (_, id) in self.doubts.iter().filter(|(service, _)| of.contains(service)) {
                if let Some(serial) = oracle.events().serial(*id) {
                    *copies.entry(serial).or_default() += 1;
                }
            }
            move |serial| {
                let left = house.spilled(oracle.events().id(serial));
                copies.get(&serial).copied().unwrap_or(0) + left + self.too_late
            }
        };
        match house.plan.destination {
            Destination::Both => vec![
                oracle.judge_allowing(&self.kinesis, copies(&[Service::Kinesis])),
                oracle.judge_allowing(&self.firehose, copies(&[Service::Firehose])),
            ],
            _ => {
                let all = self.kinesis.iter().chain(&self.firehose).chain(&self.lake);
                vec![oracle.judge_allowing(all, copies(&[Service::Kinesis, Service::Firehose]))]
            }
        }
    }
}

/// The violations of a judgement as breaches, the first of them with their histories.
pub(crate) fn breaches(house: &House, oracle: &Oracle, judgement: &Judgement) -> Vec<Breach> {
    let breach = |(place, violation): (usize, &Violation)| {
        let mut breach = Breach::new(violation.kind(), format!("{violation:?}"));
        if let Some(serial) = violation.serial().filter(|_| place < TOLD) {
            let id = oracle.events().id(serial);
            breach.history.push(format!("event {serial} has the id {id}"));
            breach.history.extend(oracle.history(serial));
            breach.history.extend(places(house, id));
        }
        breach
    };
    judgement.violations.iter().enumerate().map(breach).collect()
}

/// Where an event's rows are.
fn places(house: &House, wanted: Uuid) -> Vec<String> {
    let mut places = Vec::new();
    if let (Some(stand_in), Some(of_house)) = (&house.stand_in, &house.stream) {
        let in_doubt = stand_in.stored_in_doubt();
        // The same piece of memory, not only the same bytes.
        let told = |data: &Bytes| match in_doubt.iter().any(|(_, doubtful)| doubtful.as_ptr() == data.as_ptr()) {
            true => "maybe not told",
            false => "told",
        };
        let holds = |data: &Bytes| {
            kcl::data_of(data).iter().flat_map(|data| stream::rows(data)).any(|row| id(&row) == Some(wanted))
        };
        let mut stored: Vec<_> = of_house.shards().into_iter().flat_map(|shard| shard.records).collect();
        stored.sort_by_key(|record| record.arrived);
        let first = stored.first().map(|record| record.arrived);
        for record in stored.iter().filter(|record| holds(&record.data)) {
            let ms = first.map_or(0, |first| (record.arrived - first).as_millis());
            let (shard, sequence, told) = (record.shard, record.sequence_number(), told(&record.data));
            places.push(format!("in {STREAM}, shard {shard}, record {sequence}, {ms} ms after the first one, {told}"));
        }
        for (number, record) in stand_in.delivered(DELIVERY_STREAM).iter().enumerate().filter(|(_, data)| holds(data)) {
            places.push(format!("in {DELIVERY_STREAM}, record {number}, {}", told(record)));
        }
    }
    if !house.plan.streams() {
        let rows = lake::rows(&house.data_dir().join("lake"));
        places.extend(rows.iter().filter(|row| id(row) == Some(wanted)).map(|row| format!("in {}", row.partition)));
    }
    if places.is_empty() {
        places.push("nowhere to be found".to_owned());
    }
    places
}

fn id(row: &Row) -> Option<Uuid> {
    Uuid::try_parse_ascii(row.event_id.data()).ok()
}
