//! What must hold of a gateway when the faults are over, beside what the oracle says.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::breach::Breach;
use super::house::House;
use super::plan::Plan;
use crate::client::{Connection, Failure};
use crate::load::Tally;
use crate::metrics::Scrape;
use crate::oracle::Oracle;

/// Promise 7 of reliability: well again within this time, without a restart.
pub(crate) const HEALS_WITHIN: Duration = Duration::from_secs(30);
/// From the end of the faults until every event is settled.
pub(super) const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// One try of a fresh event; its gateway may be in the middle of finding out.
const TRY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// What holds events on their way: all of it is back at zero once every event is settled.
const HELD: [&str; 6] = [
    "headgate_in_flight_bytes",
    "headgate_in_flight_buckets",
    "headgate_delivery_queued_bytes",
    "headgate_delivery_calls_in_flight",
    "headgate_spill_buckets",
    "headgate_streams",
];

/// A fresh event of each application goes through; how long that took.
pub(crate) async fn heals(house: &House, oracle: &Arc<Oracle>) -> Result<Duration, Breach> {
    let began = Instant::now();
    for (application, target) in house.targets.iter().enumerate() {
        loop {
            let batch = oracle.batch(application, 4);
            let sent = async {
                let mut connection = Connection::open(target).await.map_err(|failure| failure.label())?;
                let answer = connection.publish(oracle.send(&batch)).await;
                answer.map_err(|status| {
                    let failure = connection.failure(&status);
                    if matches!(failure, Failure::Refused { .. }) {
                        oracle.refused(&batch);
                    }
                    failure.label()
                })
            };
            let said = match timeout(TRY, sent).await {
                Ok(Ok(verdict)) => {
                    let _ = oracle.verdict(&batch, &verdict);
                    if verdict.accepted > 0 {
                        break;
                    }
                    format!("{verdict:?}")
                }
                Ok(Err(failure)) => failure,
                Err(_) => format!("no answer within {TRY:?}"),
            };
            if began.elapsed() > HEALS_WITHIN {
                let what = format!("no fresh event went through within {HEALS_WITHIN:?}; it said last: {said}");
                return Err(Breach::new("not-well", what));
            }
            sleep(PAUSE).await;
        }
    }
    Ok(began.elapsed())
}

/// Nothing is held any more, and the gateway's own books add up.
pub(crate) async fn quiet(house: &House) -> Vec<Breach> {
    let until = Instant::now() + HEALS_WITHIN;
    let scrape = loop {
        let scrape = house.metrics().await;
        match scrape {
            Some(scrape) if HELD.iter().all(|gauge| scrape.sum(gauge, &[]) == 0.0) => break scrape,
            Some(scrape) if Instant::now() > until => {
                let held = HELD.iter().map(|gauge| (gauge, scrape.sum(gauge, &[]))).filter(|(_, held)| *held != 0.0);
                return vec![Breach::new("held", format!("{:?}", held.collect::<Vec<_>>()))];
            }
            None if Instant::now() > until => return vec![Breach::new("held", "the gateway shows no metrics")],
            _ => sleep(PAUSE).await,
        }
    };
    books(&scrape, house)
}

/// Events that have no verdict: what the gateway says that it holds, and the histories of some.
pub(super) async fn unsettled(house: &House, oracle: &Oracle) -> Breach {
    const TOLD: usize = 3;
    let open = oracle.open();
    let what = format!("{} events have no verdict after {SETTLED_WITHIN:?}: {:?}", open.len(), open.first());
    let mut breach = Breach::new("unsettled", what);
    match house.metrics().await {
        Some(scrape) => {
            let gauges =
                HELD.iter().chain(&["headgate_connections"]).map(|gauge| format!("{gauge} {}", scrape.sum(gauge, &[])));
            breach.history.push(gauges.collect::<Vec<_>>().join(", "));
        }
        None => breach.history.push("the gateway shows no metrics".to_owned()),
    }
    for serial in open.into_iter().take(TOLD) {
        breach.history.push(format!("event {serial}"));
        breach.history.extend(oracle.history(serial));
    }
    breach
}

fn books(scrape: &Scrape, house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut add = |what: String| breaches.push(Breach::new("books", what));
    let received = scrape.sum("headgate_events_received_total", &[]);
    let settled = scrape.sum("headgate_events_settled_total", &[]);
    if received != settled {
        add(format!("{received} events were received and {settled} settled"));
    }
    let violations = scrape.sum("headgate_accounting_violations_total", &[]);
    if violations != 0.0 {
        add(format!("the verdicts of {violations} batches do not add up"));
    }
    let caught = scrape.sum("headgate_panics_total", &[]);
    let panics = house.panics();
    // A lake behind a wall counts for itself.
    let counts_all = house.panicky().is_none();
    if caught > panics as f64 || (panics > 0 && caught == 0.0 && counts_all) {
        add(format!("{caught} panics were counted, the plan has brought about {panics}"));
    }
    breaches
}

/// Every answer is one that the plan explains.
pub(crate) fn statuses(plan: &Plan, tally: &Tally) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut add = |what: String| breaches.push(Breach::new("status", what));
    if tally.without_hint > 0 {
        add(format!("{} refusals say later without saying when", tally.without_hint));
    }
    if tally.forgotten > 0 && !plan.has("network_cut") {
        add(format!("{} streams ended well and owed answers", tally.forgotten));
    }
    let breaks = ["power_cut", "kill", "network_cut"].iter().any(|fault| plan.has(fault));
    if tally.broken_off > 0 && !breaks {
        add(format!(
            "{} calls broke off without a status: {:?} {:?}",
            tally.broken_off, tally.stream_ends, tally.call_ends
        ));
    }
    let known = ["Unavailable with a hint", "ResourceExhausted with a hint", "GOAWAY", "unreachable", "OK"];
    let ends = tally.refusals.keys().chain(tally.stream_ends.keys()).chain(tally.call_ends.keys());
    for label in ends.filter(|label| !known.contains(&label.as_str()) && !label.starts_with("broken off")) {
        if label != "Internal" || !plan.has("handler_panics") {
            add(format!("nothing explains the status {label}"));
        }
    }
    breaches
}
