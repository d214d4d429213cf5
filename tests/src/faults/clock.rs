//! Row 17: the wall clock jumps an hour ahead, back, an hour behind, and back, while applications are at their limits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Run;
use super::figures::{Figures, percent};
use super::stage::{KINESIS, Stage};
use crate::load::Shape;
use crate::torture::plan::{Destination, HousePlan};

const HOUR_MS: i64 = 3_600_000;
const JUMPS: [(&str, i64); 4] = [("ahead", HOUR_MS), ("back", 0), ("behind", -HOUR_MS), ("back", 0)];
/// Of each application, a second.
const LIMIT: u64 = 2_000;
const WITHIN: f64 = 0.10;
/// Its burst is used up by then.
const BURST_GONE: Duration = Duration::from_secs(3);

pub(super) async fn jumps(run: Run) -> Figures {
    let mut figures = Figures::default();
    let house = HousePlan { process: false, destination: Destination::Lake, events_per_second: Some(LIMIT), ..KINESIS };
    let shape = Shape { streams: 4, window: 8, unary: 2, batch: 20..=80, ..Shape::NONE };
    let stage = Stage::open(run, house, &shape, &[]).await;
    let _ = stage.rate(BURST_GONE).await;
    let before = stage.rate(run.time).await;
    figures.tell(format!("{before:.0} events a second at two limits of {LIMIT}"));
    for (name, offset_ms) in JUMPS {
        Run::say(&format!("the clock jumps {name}"));
        stage.house.wall_offset_ms.store(offset_ms, Ordering::Relaxed);
        let part = stage.rate(run.time).await / before;
        figures.must((part - 1.0).abs() <= WITHIN, format!("{name} {}", percent(part)));
    }
    let refused = stage.tally().refusals_like("ResourceExhausted with a hint");
    figures.must(refused > 0, format!("{refused} refusals at the limit"));
    stage.close(&mut figures).await;
    figures
}
