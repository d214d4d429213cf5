//! What events cost at a service that rounds records up to units: the share of the bill that is payload, for the gateway's
//! own packing, for one event a record, and for the rules of the Kinesis Producer Library (KPL).
//!
//! The gateway's lanes are the real ones and run in real time, all cells side by side; the other two are computed from the
//! same arrivals. A machine that is too busy to write events when they are due makes figures doubtful, and the report says
//! how late it was.

mod arrivals;
mod baseline;
mod options;
mod ours;
mod report;
mod tally;

use std::time::Duration;

use tokio::task::JoinSet;

pub use self::arrivals::{Arrival, Arrivals};
pub use self::options::{Options, Output};
pub use self::report::Report;
pub use self::tally::{Efficiency, Tally};
use crate::Result;

/// Mean sizes of stream records, bytes.
const SIZES: [usize; 5] = [100, 300, 600, 1_200, 2_500];
/// Events a second.
const RATES: [u32; 4] = [300, 1_000, 5_000, 20_000];
/// Shards of the stream, for what depends on keys.
const SHARDS: usize = 4;
/// Nothing is counted before lanes have found their pace.
const WARM_UP: Duration = Duration::from_secs(3);

/// Where events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Kinesis, any shard.
    Sticky,
    /// Kinesis, the shard of the event's key.
    Keyed,
    /// Firehose.
    Firehose {
        /// Other than the default.
        linger: Option<Duration>,
    },
}

/// Events of one size at one rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Mean size of a stream record, bytes.
    pub size: usize,
    /// Events a second.
    pub rate: u32,
}

/// What was found for one flow on one way.
#[derive(Clone, Debug)]
pub struct Cell {
    way: Way,
    flow: Flow,
    ours: Tally,
    one_a_record: Tally,
    // KPL does not write to Firehose.
    kpl: Option<Tally>,
    // Payload over framed payload: a record without end.
    bound: f64,
    // The share of events that were written too late.
    late: f64,
}

/// Measures every cell.
///
/// # Errors
/// If a cell's task panics.
pub async fn run(options: &Options) -> Result<Report> {
    let measured = options.measured();
    let flows = SIZES.iter().flat_map(|size| RATES.iter().map(|rate| Flow { size: *size, rate: *rate }));
    let ways = [Way::Sticky, Way::Keyed, Way::Firehose { linger: None }];
    let mut plan: Vec<(Way, Flow)> = flows.flat_map(|flow| ways.map(|way| (way, flow))).collect();
    plan.push(report::HELD_FIREHOSE);

    let mut cells = JoinSet::new();
    for (number, (way, flow)) in plan.into_iter().enumerate() {
        cells.spawn(async move {
            let ours = ours::measure(way, flow, WARM_UP, measured).await;
            (number, cell(way, flow, ours, measured))
        });
    }
    let mut cells = cells.join_all().await;
    cells.sort_by_key(|(number, _)| *number);
    Ok(Report::new(cells.into_iter().map(|(_, cell)| cell).collect(), measured))
}

fn cell(way: Way, flow: Flow, ours: ours::Measured, measured: Duration) -> Cell {
    let arrivals = || Arrivals::new(flow).take_while(|arrival| arrival.at < WARM_UP + measured);
    let counted = || arrivals().filter(|arrival| arrival.at >= WARM_UP);
    let to_firehose = matches!(way, Way::Firehose { .. });
    Cell {
        way,
        flow,
        ours: ours.tally,
        one_a_record: baseline::one_a_record(counted(), to_firehose),
        kpl: (!to_firehose).then(|| baseline::kpl(arrivals(), WARM_UP)),
        bound: if to_firehose { 1.0 } else { baseline::bound(counted()) },
        late: ours.late,
    }
}
