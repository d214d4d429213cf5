//! More than can be taken. What holds on any machine is asserted here: memory, hints, and that everything comes back. How
//! fast refusals are and what is still stored is for `--bin overload`, on a machine that does nothing else.

use std::time::Duration;

use headgate_tests::overload::SLACK;
use headgate_tests::overload::case::{self, Times};
use headgate_tests::overload::charge::{self, LOADS};
use headgate_tests::overload::house::{Destination, House};

/// The least that holds a body of the REST door's twice: there are two applications.
const BUDGET: u64 = 64 << 20;
const DESTINATION: Destination = Destination::Kinesis { shards: 16 };
const TIMES: Times = Times { step: Duration::from_secs(1), overload: Duration::from_secs(5) };
const LEAVE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn twice_the_capacity_is_refused_with_hints_and_takes_no_more_memory_than_the_budget() {
    let house = House::start(DESTINATION, BUDGET, &[]).await;
    let fleets = case::well_behaved(&house, 8).await;
    let peak = case::find_capacity(&fleets, 5_000.0, &TIMES).await;
    house.settle().await;
    let twice = case::overload("throttled", &house, &fleets, &[], peak, 2.0 * peak, &TIMES).await;
    println!("{twice:?}");
    assert_eq!(twice.breaches(), Vec::<String>::new());
    assert!(twice.refused > 0 && twice.goodput > 0.0, "{twice:?}");
    // The same once more, with a destination that is slow and clients that read nothing.
    house.slow_down(Duration::from_millis(500));
    let slow = case::slow_readers(&house, 200, 10).await;
    let both = case::overload("slow readers", &house, &fleets, &slow, peak, 2.0 * peak, &TIMES).await;
    println!("{both:?}");
    assert_eq!(both.breaches(), Vec::<String>::new());
    for fleet in fleets.into_iter().chain(slow) {
        fleet.leave(LEAVE).await;
    }
    house.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_takes_no_more_memory_than_it_is_charged() {
    let held = async |name: &str| {
        let load = LOADS.iter().find(|load| load.name == name).expect("one of them");
        let house = House::start(DESTINATION, BUDGET, &[]).await;
        let charge = charge::measure(&house, load).await;
        println!("{name}: {charge:?}");
        assert!(charge.held > 0.25 * BUDGET as f64, "{name}: little was in flight: {charge:?}");
        assert!(charge.grown <= charge.held as u64 + SLACK, "{name}: {charge:?}");
        house.emptied().await;
    };
    tokio::join!(held("calls, 1 event"), held("streams, 100 events"));
}
