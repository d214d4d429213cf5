//! Row 11: the disk under the lake is full, does not write, or does not sync. At the end the power is cut: what was
//! acknowledged must be there without anything that was only in memory.

use std::time::Duration;

use tokio::time::sleep;

use super::Run;
use super::figures::{Figures, count, seconds};
use super::stage::{KINESIS, Stage, steady};
use crate::torture::house::files::TortureFiles;
use crate::torture::plan::{Destination, HousePlan};

const BACK_WITHIN: Duration = Duration::from_secs(30);
/// What a disk that fills up still takes, bytes.
const ROOM: u64 = 50_000;

type Switch = fn(&TortureFiles, bool);

const FAULTS: [(&str, Switch); 3] = [
    ("disk full", |files, on| files.disk.set_room(on.then_some(ROOM))),
    ("writes fail", |files, on| files.disk.break_writes(on)),
    ("syncs hang", |files, on| files.disk.hold_syncs(on)),
];

pub(super) async fn full_and_failing(run: Run) -> Figures {
    let mut figures = Figures::default();
    let house = HousePlan { process: false, destination: Destination::Lake, deadline_ms: 1_000, ..KINESIS };
    let stage = Stage::open(run, house, &steady(), &[]).await;
    let healthy = stage.rate(run.time).await;
    for (name, switch) in FAULTS {
        Run::say(name);
        let files = stage.house.files();
        let before = stage.refusals();
        switch(&files, true);
        sleep(run.time).await;
        let refused = stage.refusals() - before;
        switch(&files, false);
        let back = stage.back_at(healthy).await;
        figures.must(refused > 0, format!("{name}: {} refusals", count(refused)));
        figures.must(back <= BACK_WITHIN, format!("back after {}", seconds(back)));
        let _ = stage.rate(Duration::from_secs(1)).await;
    }
    Run::say("the power is cut");
    stage.house.cut_power(&stage.oracle, 1, None).await;
    let _ = stage.back_at(healthy).await;
    figures.tell("then a power cut");
    stage.close_torn(&mut figures).await;
    figures
}
