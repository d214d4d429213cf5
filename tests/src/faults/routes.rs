//! Row 15: of two destinations one is down. Two applications, each on one of them; and a route with a fallback.

use std::time::Duration;

use tokio::time::sleep;

use super::Run;
use super::figures::{Figures, count, percent};
use super::stage::{KINESIS, Stage, steady};
use crate::aws::CallError;
use crate::aws::Service;
use crate::aws::faults::{Fault, Rule};
use crate::torture::plan::{Destination, HousePlan};

const GOODPUT: f64 = 0.95;
/// After an outage, until the one that was down is at its old pace.
const PAUSE: Duration = Duration::from_secs(5);

/// Who is on what, by the order of applications.
const SERVICES: [(Service, &str); 2] = [(Service::Kinesis, "Kinesis"), (Service::Firehose, "Firehose")];

pub(super) async fn one_down(run: Run) -> Figures {
    let mut figures = Figures::default();
    let house = HousePlan { second_route: Some("firehose"), ..KINESIS };
    let stage = Stage::open(run, house, &steady(), &[]).await;
    let faults = stage.house.stand_in.as_ref().expect("the house has both").faults();
    for (down, (service, name)) in SERVICES.into_iter().enumerate() {
        let up = 1 - down;
        // One that is silent holds more than one that refuses.
        for (how, fault) in [("silent", Fault::Hang), ("refusing", Fault::CallFails(CallError::ServiceUnavailable))] {
            Run::say(&format!("{name} is down: {how}"));
            let healthy = stage.rate_of(up, run.time).await;
            let rule = faults.set(Rule::new(fault).service(service));
            let (goodput, of_down) = tokio::join!(stage.rate_of(up, run.time), stage.rate_of(down, run.time));
            faults.unset(rule);
            Run::say(&format!("{of_down:.0} events a second on the one that is down"));
            sleep(PAUSE).await;
            // Before and after, since a machine is not the same all the time.
            let healthy = f64::midpoint(healthy, stage.rate_of(up, run.time).await);
            let words = format!("{name} {how}: {} {}", SERVICES[up].1, percent(goodput / healthy));
            figures.must(goodput / healthy >= GOODPUT, words);
        }
    }
    stage.close(&mut figures).await;
    fallback(run, &mut figures).await;
    figures
}

async fn fallback(run: Run, figures: &mut Figures) {
    Run::say("Kinesis is down, with Firehose as its fallback");
    let house = HousePlan { destination: Destination::Fallback, ..KINESIS };
    let stage = Stage::open(run, house, &steady(), &[]).await;
    let healthy = stage.rate(run.time).await;
    let stand_in = stage.house.stand_in.as_ref().expect("the house has both");
    let before = stand_in.tally().firehose.stored_records;
    let down = Rule::new(Fault::CallFails(CallError::ServiceUnavailable)).service(Service::Kinesis);
    let rule = stand_in.faults().set(down);
    let goodput = stage.rate(run.time).await;
    stand_in.faults().unset(rule);
    let took = stand_in.tally().firehose.stored_records - before;
    let refused = stage.refusals();
    figures.must(took > 0, format!("fallback took {} records", count(took)));
    figures.must(refused == 0, format!("{refused} refusals"));
    figures.tell(format!("goodput {}", percent(goodput / healthy)));
    let mut judged = Figures::default();
    stage.close(&mut judged).await;
    figures.add(judged);
}
