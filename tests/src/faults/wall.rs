//! Row 18: handlers panic, one at a time, again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Run;
use super::figures::{Figures, percent};
use super::stage::{KINESIS, Stage, steady};
use crate::torture::plan::{Destination, HousePlan};

const EVERY: Duration = Duration::from_millis(200);

pub(super) async fn panics(run: Run) -> Figures {
    let mut figures = Figures::default();
    let house = HousePlan { process: false, destination: Destination::PanickyLake, ..KINESIS };
    let stage = Stage::open(run, house, &steady(), &[]).await;
    let healthy = stage.rate(run.time).await;
    Run::say("handlers panic");
    let panicky = stage.house.panicky().expect("the house has a wall");
    let panicking = async {
        let until = Instant::now() + run.time;
        while Instant::now() < until {
            panicky.panic_next(1);
            sleep(EVERY).await;
        }
        panicky.panic_next(0);
    };
    let (goodput, ()) = tokio::join!(stage.rate(run.time), panicking);
    let counted = stage.metrics().await.sum("headgate_panics_total", &[]) as u64;
    let (panics, tally) = (panicky.panics(), stage.tally());
    let internal = tally.refusals_like("Internal") + tally.stream_ends.get("Internal").copied().unwrap_or(0);
    figures.must(panics > 0 && counted == panics, format!("{panics} panics, {counted} counted"));
    figures.must(internal <= panics, format!("{internal} calls and streams ended by them"));
    figures.tell(format!("goodput {}", percent(goodput / healthy)));
    let known = ["Internal", "OK", "GOAWAY", "Unavailable with a hint"];
    let ends = tally.stream_ends.iter().chain(&tally.call_ends).chain(&tally.refusals);
    let others: u64 = ends.filter(|(label, _)| !known.contains(&label.as_str())).map(|(_, times)| times).sum();
    figures.must(others == 0, format!("{others} others that did not end well"));
    stage.close(&mut figures).await;
    if figures.held() {
        figures.tell("0 B held at the end");
    }
    figures
}
