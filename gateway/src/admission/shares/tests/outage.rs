//! The board can't be reached.

use super::super::simulation::World;
use super::{assert_within_ten_percent, even};

#[test]
fn shares_stay_as_they_are_while_the_board_is_away() {
    for (much, little) in [(1.5, 1.5), (2.85, 0.15)] {
        let load = |_: f64, gateway: usize| if gateway == 0 { much } else { little };
        let mut world = World::new(20);
        world.start_gateways(2);
        world.run(60, load);
        world.board_is_up = false;
        world.run(600, load);
        assert!((world.portions() - 1.0).abs() < 0.03, "{}", world.portions());
        // All come back at once; nobody takes the others for dead.
        world.board_is_up = true;
        world.run(120, load);
        assert_within_ten_percent(&world, 0);
    }
}

#[test]
fn while_the_board_is_away_a_load_that_moves_is_never_given_more_than_the_rate() {
    let mut world = World::new(20);
    world.start_gateways(2);
    world.run(60, |_, gateway| [2.7, 0.3][gateway]);
    world.board_is_up = false;
    world.run(120, |_, gateway| [0.3, 2.7][gateway]);
    let (_, most) = world.minutes(0);
    assert!(most <= 1.1, "{most}");
    world.board_is_up = true;
    world.run(90, |_, gateway| [0.3, 2.7][gateway]);
    let (least, most) = world.minutes(190);
    assert!(least >= 0.9 && most <= 1.1, "{least} to {most}");
}

#[test]
fn gateways_that_never_reached_the_board_go_by_the_expected_number() {
    let mut world = World::new(20).expecting(4);
    world.board_is_up = false;
    world.start_gateways(4);
    world.run(120, even(4));
    assert_within_ten_percent(&world, 0);
}

/// One call in three fails.
#[test]
fn a_board_that_fails_now_and_then_changes_nothing() {
    let mut world = World::new(20);
    world.start_gateways(3);
    for second in 0..180 {
        world.board_is_up = second % 3 != 0;
        world.run(1, |_, gateway| [1.5, 1.0, 0.5][gateway]);
    }
    assert_within_ten_percent(&world, 0);
}
