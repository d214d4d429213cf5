//! What was found: for people as tables, for programs as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::tally::{Efficiency, Service};
use super::{Cell, Flow, RATES, SHARDS, SIZES, Tally, Way};
use crate::plot::thousands;

/// A cell that is measured only to hold the project to it.
pub(super) const HELD_FIREHOSE: (Way, Flow) =
    (Way::Firehose { linger: Some(Duration::from_millis(500)) }, Flow { size: 300, rate: 5_000 });

/// What the project holds itself to: at least so much of a provisioned stream's or Firehose's bill is payload.
const HELD: [(&str, Service, Way, Flow, f64); 3] = [
    (
        "Kinesis, sticky, 300 B, 1,000 events/s",
        Service::Provisioned,
        Way::Sticky,
        Flow { size: 300, rate: 1_000 },
        0.95,
    ),
    (
        "Kinesis, keyed over 4 shards, 300 B, 5,000 events/s",
        Service::Provisioned,
        Way::Keyed,
        Flow { size: 300, rate: 5_000 },
        0.95,
    ),
    ("Firehose, linger 500 ms, 300 B, 5,000 events/s", Service::Firehose, HELD_FIREHOSE.0, HELD_FIREHOSE.1, 0.99),
];

/// With a larger share of events written too late, a flow is no longer the one that it should be.
const MOST_LATE: f64 = 0.01;

/// A table's way, service and title.
const TABLES: [(Way, Service, &str); 5] = [
    (Way::Sticky, Service::Provisioned, "Kinesis, provisioned (units of 25,600 bytes), sticky, linger 100 ms"),
    (
        Way::Keyed,
        Service::Provisioned,
        "Kinesis, provisioned (units of 25,600 bytes), keyed over 4 shards, linger 100 ms",
    ),
    (Way::Sticky, Service::OnDemand, "Kinesis, on demand (units of 1,024 bytes), sticky, linger 100 ms"),
    (Way::Keyed, Service::OnDemand, "Kinesis, on demand (units of 1,024 bytes), keyed over 4 shards, linger 100 ms"),
    (Way::Firehose { linger: None }, Service::Firehose, "Firehose (units of 5,120 bytes), linger 1 s"),
];

/// A whole run.
#[derive(Clone, Debug)]
pub struct Report {
    cells: Vec<Cell>,
    measured: Duration,
}

/// A cell for one service, for programs.
#[derive(Serialize)]
struct Row {
    service: Service,
    unit: usize,
    routing: &'static str,
    linger_ms: Option<u128>,
    record_bytes: usize,
    events_per_second: u32,
    bound: f64,
    headgate: Figures,
    one_event_a_record: Figures,
    kpl: Option<Figures>,
}

#[derive(Serialize)]
struct Figures {
    #[serde(flatten)]
    efficiency: Efficiency,
    records: u64,
    events_a_record: f64,
    mean_open_ms: f64,
}

#[derive(Serialize)]
struct HeldTo {
    what: &'static str,
    at_least: f64,
    measured: f64,
}

#[derive(Serialize)]
struct Json {
    seconds: f64,
    shards: usize,
    written_late: f64,
    cells: Vec<Row>,
    held_to: Vec<HeldTo>,
}

impl Report {
    pub(super) fn new(cells: Vec<Cell>, measured: Duration) -> Self {
        Self { cells, measured }
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never, for figures that were measured.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let rows = self.cells.iter().flat_map(|cell| {
            let services: &[Service] = match cell.way {
                Way::Firehose { .. } => &[Service::Firehose],
                Way::Sticky | Way::Keyed => &[Service::Provisioned, Service::OnDemand],
            };
            services.iter().map(|service| row(cell, *service))
        });
        serde_json::to_string_pretty(&Json {
            seconds: self.measured.as_secs_f64(),
            shards: SHARDS,
            written_late: self.written_late(),
            cells: rows.collect(),
            held_to: self.held().collect(),
        })
    }

    fn cell(&self, way: Way, flow: Flow) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.way == way && cell.flow == flow)
    }

    /// The largest share of events written too late, of all flows.
    fn written_late(&self) -> f64 {
        self.cells.iter().map(|cell| cell.late).fold(0.0, f64::max)
    }

    fn held(&self) -> impl Iterator<Item = HeldTo> {
        HELD.iter().filter_map(|(what, service, way, flow, at_least)| {
            let measured = self.cell(*way, *flow)?.ours.efficiency(*service).total;
            Some(HeldTo { what, at_least: *at_least, measured })
        })
    }
}

fn row(cell: &Cell, service: Service) -> Row {
    let (routing, linger) = match cell.way {
        Way::Sticky => ("sticky", None),
        Way::Keyed => ("keyed", None),
        Way::Firehose { linger } => ("sticky", linger),
    };
    Row {
        service,
        unit: service.unit(),
        routing,
        linger_ms: linger.map(|linger| linger.as_millis()),
        record_bytes: cell.flow.size,
        events_per_second: cell.flow.rate,
        bound: cell.bound,
        headgate: figures(&cell.ours, service),
        one_event_a_record: figures(&cell.one_a_record, service),
        kpl: cell.kpl.as_ref().map(|kpl| figures(kpl, service)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "below 2^52")]
fn figures(tally: &Tally, service: Service) -> Figures {
    Figures {
        efficiency: tally.efficiency(service),
        records: tally.records,
        events_a_record: tally.events as f64 / tally.records as f64,
        mean_open_ms: tally.mean_open().as_secs_f64() * 1e3,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "payload over billed bytes; 1 would be no envelope and no unit begun in vain")?;
        for (way, service, title) in TABLES {
            writeln!(f, "\n{title}")?;
            self.table(f, way, service)?;
        }
        writeln!(
            f,
            "\nbytes: mean size of a stream record. bound: user records of such sizes without an end to the record."
        )?;
        writeln!(
            f,
            "headgate: its own lanes and packing in real time, {} s a flow, single events.",
            self.measured.as_secs_f64()
        )?;
        writeln!(
            f,
            "KPL: its rules (51,200 bytes, 100 ms, an aggregate for each of {SHARDS} shards, a key for each event)."
        )?;
        let late = self.written_late();
        writeln!(f, "events written more than 20 ms late, in the worst flow: {:.1} %", late * 100.0)?;
        if late > MOST_LATE {
            writeln!(f, "that is too many: the machine is busy with something else, measure again")?;
        }
        writeln!(f)?;
        for HeldTo { what, at_least, measured } in self.held() {
            writeln!(f, "{what}: {measured:.3} (bar {at_least})")?;
        }
        Ok(())
    }
}

impl Report {
    fn table(&self, f: &mut fmt::Formatter<'_>, way: Way, service: Service) -> fmt::Result {
        let kpl = service != Service::Firehose;
        let rates = || RATES.into_iter().map(|rate| format!("{:>8}", thousands(rate))).collect::<String>();
        write!(f, "{:>6} {:>7}  headgate{} events/s", "bytes", "bound", rates())?;
        if kpl {
            write!(f, "   KPL{}", rates())?;
        }
        writeln!(f, "   one a record")?;
        for size in SIZES {
            let cells = || RATES.into_iter().filter_map(move |rate| self.cell(way, Flow { size, rate }));
            let Some(any_rate) = cells().next_back() else { continue };
            let total = |tally: &Tally| format!("{:>8.3}", tally.efficiency(service).total);
            let ours = cells().map(|cell| total(&cell.ours)).collect::<String>();
            write!(
                f,
                "{:>6} {:>7.3}  {:8}{ours}         ",
                thousands(u32::try_from(size).unwrap_or(0)),
                any_rate.bound,
                ""
            )?;
            if kpl {
                let kpl = cells().filter_map(|cell| cell.kpl.as_ref()).map(total).collect::<String>();
                write!(f, "   {:3}{kpl}", "")?;
            }
            writeln!(f, "   {:>12.4}", any_rate.one_a_record.efficiency(service).total)?;
        }
        Ok(())
    }
}
