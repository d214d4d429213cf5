//! What each station of the hot path costs by itself: CPU nanoseconds and instructions an event.
//!
//! On one core with everything in its caches, so figures add up to less than a server spends. A turn of a station is its
//! work for [`EVENTS`] events, so that what calling it costs does not show.

mod guard;
mod instructions;
mod options;
mod path;
mod report;
mod work;

use std::time::Duration;

pub use self::guard::{Guard, Judgement};
pub use self::options::Options;
pub use self::path::taking;
pub use self::report::Report;
use crate::Result;
use crate::cpu::thread_time;
use crate::measurement::Spread;

/// Events of a turn.
pub const EVENTS: u32 = 100;

const WARM_UP: Duration = Duration::from_millis(300);
const SAMPLE: Duration = Duration::from_millis(40);
const SAMPLES: usize = 25;

/// One turn of a station.
type Turn = Box<dyn FnMut()>;

/// A station.
pub struct Station {
    /// Its name.
    pub name: &'static str,
    /// Of what its figures are: an event, unless it is something else.
    pub unit: &'static str,
    /// Whether it is another's way to do the same, which is not guarded.
    pub compared: bool,
    /// Units of a turn.
    units: u32,
    prepare: fn() -> Turn,
}

/// Every station, in the order in which an event passes them.
pub const STATIONS: [Station; 24] = [
    Station::of("walk a batch's top level", work::head),
    Station::of("scan an event's fields", work::scan),
    Station::of("scan and validate, JSON included", work::scan_and_validate),
    Station::to_compare("prost: decode an event", work::decode_by_prost),
    Station::of("check event_data", work::check_json),
    Station::to_compare("serde_json: the same, IgnoredAny", work::check_by_serde),
    Station::to_compare("serde_json: into a Value", work::value_by_serde),
    Station::of("read an id", work::read_id),
    Station::of("write an id", work::write_id),
    Station::of("write a record into a bucket", work::write_record),
    Station::of("pack a record into a bucket for the lake", work::pack_record),
    Station::of("dedupe: claim a new id in a full window", work::claim),
    Station::of("count and merge what is shown live", path::show),
    Station::of("find a member of event_data", work::find_member),
    Station::each("seal a KiB of records, 32 together", "KiB", 32 * work::UNIT_KIB, work::seal_full_call),
    Station::each("seal a KiB of records, one alone", "KiB", work::UNIT_KIB, work::seal_one),
    Station::each("hash a key", "call", EVENTS, work::hash_key),
    Station::each("charge the rates", "batch", EVENTS, work::charge),
    Station::each("take and return a permit", "batch", EVENTS, path::permit),
    Station::of("frame a record for the lake's log", work::frame),
    Station::of("read a packed record back", work::unpack_record),
    Station::of("take a batch: read, check, dedupe, write, settle", path::take_batch),
    Station::of("the same, packed as for the lake", path::take_and_pack),
    Station::of("the same, sealed as for Kinesis", path::take_and_seal),
];

impl Station {
    const fn of(name: &'static str, prepare: fn() -> Turn) -> Self {
        Self::each(name, "event", EVENTS, prepare)
    }

    const fn to_compare(name: &'static str, prepare: fn() -> Turn) -> Self {
        Self { compared: true, ..Self::of(name, prepare) }
    }

    const fn each(name: &'static str, unit: &'static str, units: u32, prepare: fn() -> Turn) -> Self {
        Self { name, unit, compared: false, units, prepare }
    }

    /// CPU nanoseconds of this thread for a unit.
    fn nanoseconds(&self) -> Spread {
        let mut turn = (self.prepare)();
        let mut turns = 0_u32;
        let began = thread_time();
        while thread_time() - began < WARM_UP {
            turn();
            turns += 1;
        }
        let a_sample = (f64::from(turns) * SAMPLE.as_secs_f64() / WARM_UP.as_secs_f64()).ceil().max(1.0);
        let sample = |_| {
            let began = thread_time();
            let mut done = 0.0;
            while done < a_sample {
                turn();
                done += 1.0;
            }
            (thread_time() - began).as_secs_f64() * 1e9 / (done * f64::from(self.units))
        };
        Spread::of((0..SAMPLES).map(sample).collect())
    }
}

/// Measures what is asked for.
///
/// # Errors
/// If instructions can't be counted.
pub fn run(options: &Options) -> Result<Report> {
    let counter = if options.counts_instructions() { instructions::Counter::find() } else { None };
    let mut report = Report::new(counter.is_some());
    for station in STATIONS.iter().filter(|station| options.wants(station.name)) {
        eprintln!("{}", station.name);
        let nanoseconds = if options.times() { Some(station.nanoseconds()) } else { None };
        let instructions = counter.as_ref().map(|counter| counter.count(station)).transpose()?;
        report.add(station, nanoseconds, instructions);
    }
    Ok(report)
}

/// What runs under the counter of instructions: so many turns of a station.
///
/// # Errors
/// If there is no such station.
pub fn turns_of(name: &str, turns: u32) -> Result<()> {
    let station = STATIONS.iter().find(|station| station.name == name).ok_or("there is no such station")?;
    let mut turn = (station.prepare)();
    // What is done once, such as finding out what the machine can, is not counted.
    turn();
    instructions::counted(&mut turn, turns);
    Ok(())
}
