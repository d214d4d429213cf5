//! How buckets are packed for Kinesis and Firehose. Both services round each record up to whole units when they bill it,
//! so a bucket should end where a unit does.

use headgate_proto::aggregate;

use crate::config::{FirehoseSettings, KinesisSettings};
use crate::gather::{Format, Packing, Spread};

/// A PUT payload unit of a provisioned stream, bytes.
pub const PUT_UNIT: usize = 25_600;
/// An on-demand stream bills each record in these, bytes.
pub const ON_DEMAND_UNIT: usize = 1_024;
/// Firehose bills each record in these, bytes.
pub const FIREHOSE_UNIT: usize = 5_120;
/// The largest record that Firehose takes, bytes.
const FIREHOSE_MAX_RECORD: usize = 1_024_000;

/// Aggregated records of whole PUT payload units. Good for on-demand streams, too: their unit is a part of it, and what
/// rounding costs there, 2 % of a record of 25 KB, larger records would hardly save.
#[must_use]
pub fn kinesis_packing(settings: &KinesisSettings) -> Packing {
    Packing {
        format: Format::Aggregate,
        unit: PUT_UNIT,
        overhead: aggregate::ENVELOPE_MAX + aggregate::PARTITION_KEY.len(),
        max_units: settings.most_units(),
        max_events: u32::MAX,
        linger: settings.linger,
        spread: Spread::AsFilled,
    }
}

/// Lines, many to a record.
#[must_use]
pub fn firehose_packing(settings: &FirehoseSettings) -> Packing {
    let target = settings.target.as_usize().min(FIREHOSE_MAX_RECORD);
    Packing {
        format: Format::Lines,
        unit: FIREHOSE_UNIT,
        overhead: 0,
        max_units: u32::try_from(target / FIREHOSE_UNIT).unwrap_or(1).max(1),
        max_events: match settings.max_events_per_record {
            0 => u32::MAX,
            events => events,
        },
        linger: settings.linger,
        spread: Spread::AsFilled,
    }
}
