//! Rows 3, 4 and 6: the destination as a whole is away, silent, or loses its connections.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Run;
use super::figures::{Figures, seconds};
use super::outage;
use super::stage::{KINESIS, Stage, steady};
use crate::aws::faults::{Fault, Rule};
use crate::aws::{CallError, StandIn};

const HEALS_WITHIN: Duration = Duration::from_secs(30);
/// From the gateway's deadline to its verdict's arrival at a client on a machine that has other things to do.
const ON_THE_WAY: Duration = Duration::from_millis(250);
/// How often a pooled connection goes stale. All of them do at first, as when the service's hosts are changed.
const STALE_PERIOD: Duration = Duration::from_secs(1);

fn stand_in(stage: &Stage) -> &StandIn {
    stage.house.stand_in.as_ref().expect("the house is on Kinesis")
}

/// A fault of every call, for so long.
async fn by_rule(stage: &Stage, fault: Fault, lasts: Duration) {
    let faults = stand_in(stage).faults();
    let rule = faults.set(Rule::new(fault));
    sleep(lasts).await;
    faults.unset(rule);
}

pub(super) async fn down(run: Run) -> Figures {
    let mut figures = Figures::default();
    let stage = Stage::open(run, KINESIS, &steady(), &[]).await;
    let refused = async {
        let stand_in = stand_in(&stage);
        stand_in.refuse_connections().await;
        let _ = stand_in.reset_connections();
        sleep(run.time).await;
        stand_in.accept_connections().await;
    };
    outage::happens(&stage, run, HEALS_WITHIN, "refused", refused, &mut figures).await;
    let unavailable = by_rule(&stage, Fault::CallFails(CallError::ServiceUnavailable), run.time);
    outage::happens(&stage, run, HEALS_WITHIN, "503", unavailable, &mut figures).await;
    let failing = by_rule(&stage, Fault::CallFails(CallError::InternalFailure), run.time);
    outage::happens(&stage, run, HEALS_WITHIN, "500", failing, &mut figures).await;
    let tally = stage.tally();
    figures.must(tally.refusals_like("Unavailable with a hint") > 0, "refused with a hint");
    stage.close(&mut figures).await;
    figures
}

pub(super) async fn connections(run: Run) -> Figures {
    let mut figures = Figures::default();
    let stage = Stage::open(run, KINESIS, &steady(), &[]).await;
    let reset = by_rule(&stage, Fault::ResetBeforeReading, run.time);
    outage::happens(&stage, run, HEALS_WITHIN, "every call reset", reset, &mut figures).await;
    let half_open = async {
        // Connections stay open and carry nothing back any more, until those who hold them give them up.
        by_rule(&stage, Fault::Hang, run.time).await;
        let _ = stand_in(&stage).reset_connections();
    };
    outage::happens(&stage, run, HEALS_WITHIN, "half-open", half_open, &mut figures).await;
    let stale = async {
        let began = Instant::now();
        let mut stale = stand_in(&stage).connections() as u64;
        while began.elapsed() < run.time {
            let rule = stand_in(&stage).faults().set(Rule::new(Fault::StaleConnection).times(stale));
            sleep(STALE_PERIOD).await;
            stand_in(&stage).faults().unset(rule);
            stale = 1;
        }
    };
    let name = "all pooled connections stale, then one a second";
    outage::happens(&stage, run, HEALS_WITHIN, name, stale, &mut figures).await;
    stage.close(&mut figures).await;
    figures
}

pub(super) async fn never_answers(run: Run) -> Figures {
    let mut figures = Figures::default();
    let stage = Stage::open(run, KINESIS, &steady(), &[]).await;
    let healthy = stage.rate(run.time).await;
    // Every event that was taken runs into its deadline.
    let deadline = Duration::from_millis(KINESIS.deadline_ms);
    Run::say("nothing is answered");
    by_rule(&stage, Fault::Hang, run.time + deadline).await;
    let back = stage.back_at(healthy).await;
    let metrics = stage.metrics().await;
    let verdicts = |verdict: &str| metrics.sum("headgate_events_settled_total", &[&format!("verdict=\"{verdict}\"")]);
    let unknown = verdicts("unknown");
    figures.must(unknown > 0.0, format!("{unknown} verdicts of unknown, {} of retry", verdicts("retry")));
    let slowest = stage.tally().slowest_answer;
    let words = format!("slowest answer {} of a deadline of {}", seconds(slowest), seconds(deadline));
    figures.must(slowest <= deadline + ON_THE_WAY, words);
    figures.must(back <= HEALS_WITHIN, format!("back after {}", seconds(back)));
    stage.close(&mut figures).await;
    if figures.held() {
        figures.tell("0 B held at the end");
    }
    figures
}
