//! The promise, minute by minute: what all gateways accept together stays within 10 % of the rate, the burst that the
//! application has anyway (2 s of its rate here, 3.3 % of a minute) included.

mod board;
mod outage;

use super::simulation::World;

/// In each minute that begins with a second from `from` on.
fn assert_within_ten_percent(world: &World, from: usize) {
    let (least, most) = world.minutes(from);
    println!("accepted over the rate, by minute: {least:.3} to {most:.3}");
    assert!(least >= 0.9 && most <= 1.1, "{least} to {most}");
}

fn even(of: usize) -> impl Fn(f64, usize) -> f64 {
    move |_, _| 3.0 / of as f64
}

#[test]
fn an_even_load_is_held_to_the_rate_by_any_number_of_gateways() {
    for gateways in [1, 2, 3, 8, 20] {
        for batch in [1, 20, 100] {
            let mut world = World::new(batch);
            world.start_gateways(gateways);
            world.run(120, even(gateways));
            println!("{gateways} gateways, batches of {batch}");
            assert_within_ten_percent(&world, 0);
            assert!((world.portions() - 1.0).abs() < 0.03, "{}", world.portions());
        }
    }
}

#[test]
fn a_lopsided_load_is_held_to_the_rate() {
    for (much, little) in [(2.85, 0.15), (2.7, 0.3), (1.0, 0.05), (100.0, 0.5)] {
        let mut world = World::new(20);
        world.start_gateways(2);
        world.run(180, |_, gateway| if gateway == 0 { much } else { little });
        println!("{much} : {little}");
        assert_within_ten_percent(&world, 0);
    }
}

#[test]
fn the_whole_rate_is_there_for_whichever_gateway_is_asked() {
    let mut world = World::new(20);
    world.start_gateways(4);
    world.run(120, |_, gateway| if gateway == 2 { 3.0 } else { 0.0 });
    assert_within_ten_percent(&world, 0);
}

#[test]
fn a_load_under_the_rate_is_not_refused_however_it_is_spread() {
    for parts in [[0.9, 0.0], [0.45, 0.45], [0.8, 0.1], [0.88, 0.02]] {
        let mut world = World::new(20);
        world.start_gateways(2);
        world.run(120, |_, gateway| parts[gateway]);
        assert_eq!(world.refused(0), 0, "{parts:?}");
    }
}

/// All of the load moves from one gateway to the other and back. Shares are a second or two behind, so that a load that
/// moves faster gets less than the rate; never more.
#[test]
fn a_load_that_swings_between_gateways_never_gets_more_than_the_rate_and_all_of_it_if_it_stays_20_seconds() {
    for period in [1.0, 2.0, 3.0, 5.0, 10.0, 14.0, 20.0, 45.0] {
        for (much, little) in [(2.85, 0.15), (3.0, 0.0)] {
            let mut world = World::new(20);
            world.start_gateways(2);
            world.run(300, |second, gateway| {
                let heavy = (second / period) as usize % 2;
                if heavy == gateway { much } else { little }
            });
            let (least, most) = world.minutes(0);
            println!("every {period} s, {much} : {little}: {least:.3} to {most:.3}");
            assert!(most <= 1.1, "{most}");
            assert!(least >= if period < 20.0 { 0.5 } else { 0.9 }, "{least}");
        }
    }
}

#[test]
fn two_that_rise_from_idle_at_once_do_not_both_take_everything() {
    let mut world = World::new(20);
    world.start_gateways(2);
    world.run(240, |second, _| if (second as u64 / 30).is_multiple_of(2) { 0.05 } else { 3.0 });
    let (_, most) = world.minutes(0);
    assert!(most <= 1.1, "{most}");
}

#[test]
fn a_gateway_that_joins_takes_its_part_from_the_others() {
    let mut world = World::new(20);
    world.start_gateways(2);
    world.run(90, |_, _| 1.5);
    world.start_gateways(1);
    world.run(90, |_, _| 1.0);
    assert_within_ten_percent(&world, 0);
    assert!((world.portions() - 1.0).abs() < 0.03, "{}", world.portions());
}

#[test]
fn a_fleet_that_starts_at_one_moment_does_not_start_with_a_rate_each() {
    for gateways in [10, 50] {
        let mut world = World::new(5);
        world.start_gateways(gateways);
        world.run(90, even(gateways));
        assert_within_ten_percent(&world, 0);
    }
}

#[test]
fn what_a_gateway_leaves_goes_to_the_others() {
    for drained in [true, false] {
        let mut world = World::new(20);
        world.start_gateways(3);
        world.run(90, |_, _| 1.0);
        world.end_gateway(0, drained);
        world.run(90, |_, _| 1.5);
        // Of one that vanishes a third of the rate lies idle until the timeout: 3 % of that minute.
        assert_within_ten_percent(&world, 0);
        assert!((world.portions() - 1.0).abs() < 0.03, "{}", world.portions());
    }
}

#[test]
fn a_rolling_restart_is_held_to_the_rate() {
    let mut world = World::new(20);
    world.start_gateways(4);
    world.run(60, |_, _| 0.75);
    for place in 0..4 {
        world.start_gateways(1);
        world.run(5, |_, _| 0.6);
        world.end_gateway(place, true);
        world.run(25, |_, _| 0.75);
    }
    world.run(60, |_, _| 0.75);
    assert_within_ten_percent(&world, 0);
}

/// Batches larger than a gateway's part of the burst, though not than the burst: they pass, and are paid back.
#[test]
fn batches_larger_than_a_share_pass_and_are_held_to_the_rate() {
    let mut world = World::new(1_000);
    world.start_gateways(6);
    world.run(240, even(6));
    let (least, most) = world.minutes(60);
    println!("accepted over the rate, by minute: {least:.3} to {most:.3}");
    assert!(least >= 0.9 && most <= 1.1, "{least} to {most}");
}

#[test]
fn an_application_far_below_its_rate_costs_fewer_exchanges() {
    let exchanges = |load: f64| {
        let mut world = World::new(20);
        world.start_gateways(2);
        world.run(120, |_, _| load);
        world.exchanges
    };
    let (quiet, busy) = (exchanges(0.05), exchanges(1.5));
    println!("two gateways, two minutes: {quiet} exchanges far below the rate, {busy} above it");
    assert!(quiet * 3 < busy * 2, "{quiet} and {busy}");
}
