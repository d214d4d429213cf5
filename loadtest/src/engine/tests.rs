//! What an engine promises: repeatable, in time, at the promised rate, with as many online as the curve says.

use super::*;
use crate::config::Profile;
use crate::workload::{Kind, Model, WorldConfig};

fn world(seed: u64) -> Arc<World> {
    Arc::new(World::new(seed, &WorldConfig::default()))
}

fn launch(server: u32, numbers: Range<u32>, online: f64) -> Seat {
    let run = std::time::Duration::from_secs(120);
    let curve = Curve::of(&Profile::named("launch", run).expect("built in"), run);
    Seat { curve, ..Seat::flat(server, numbers, online) }
}

fn events(world: &Arc<World>, seat: &Seat, ticks: impl Iterator<Item = u64>) -> Vec<(u64, u32, u32, Kind)> {
    let mut engine = Engine::new(world.clone(), seat.clone());
    let mut seen: Vec<(u64, u32, u32, Kind)> = Vec::new();
    let mut before = None;
    for to in ticks {
        engine.advance(to, |number, _, happening| {
            assert!(happening.due <= to, "an event came early");
            assert!(before.is_none_or(|before| happening.due > before), "{} came late: {before:?}", happening.due);
            seen.push((happening.due, number, happening.sequence, happening.kind));
        });
        before = Some(to);
    }
    assert!(seen.is_sorted_by_key(|event| event.0), "events come in the order in which they are due");
    seen
}

#[test]
fn a_seed_and_a_seat_repeat_the_run_whatever_the_ticks() {
    let end = 120_000;
    for seat in [Seat::flat(0, 0..1_000, 0.8), Seat::flat(3, 500..700, 1.0), launch(1, 1_000..3_000, 0.9)] {
        let once = events(&world(7), &seat, (0..=end).step_by(100));
        assert!(once.len() > 500, "{} events", once.len());
        for step in [1, 64, 480, 60_000] {
            assert_eq!(once, events(&world(7), &seat, (0..=end).step_by(step)), "in steps of {step} ms");
        }
        assert_ne!(once, events(&world(8), &seat, (0..=end).step_by(100)));
        let elsewhere = Seat { server: seat.server + 1, ..seat };
        assert_ne!(once, events(&world(7), &elsewhere, (0..=end).step_by(100)), "arrivals are the server's own");
    }
}

// The rate has to hold in the very first seconds, in which only short waits end, as it does a quarter of an hour later.
#[test]
fn the_rate_is_the_one_the_model_promises_from_the_first_second_on() {
    let players = 80_000;
    for (name, _) in Model::built_in() {
        for online in [0.3, 1.0] {
            let model = Model::named(name).expect("built in");
            let world = Arc::new(World::new(3, &WorldConfig { model, ..WorldConfig::default() }));
            let mut engine = Engine::new(world.clone(), Seat::flat(0, 0..players, online));
            let promised = world.events_per_online_second() * f64::from(players) * online;
            let mut before = 0;
            for seconds in [4, 20, 60] {
                let mut count = 0_u64;
                engine.advance(seconds * 1_000, |_, _, _| count += 1);
                let ratio = count as f64 / promised / (seconds - before) as f64;
                assert!((0.97..1.03).contains(&ratio), "{name}, {online} online: {ratio} by second {seconds}");
                before = seconds;
            }
            let mut late = 0_u64;
            engine.advance(480_000, |_, _, happening| late += u64::from(happening.due > 420_000));
            let ratio = late as f64 / promised / 60.0;
            assert!((0.97..1.03).contains(&ratio), "{name}, {online} online: {ratio} after eight minutes");
            let ratio = f64::from(engine.online()) / f64::from(players) / online;
            assert!((0.97..=1.001).contains(&ratio) || ratio < 1.03 && online < 1.0, "{name}: {ratio} of {online}");
        }
    }
}

#[test]
fn rate_and_number_online_hold_over_a_day() {
    let players = 16_000;
    let online = f64::from(players) * 0.5;
    let day = std::time::Duration::from_secs(4 * 3_600);
    let world = world(3);
    let curve = Curve::of(&Profile::named("diurnal", day).expect("built in"), day);
    let mut engine = Engine::new(world.clone(), Seat { curve: curve.clone(), ..Seat::flat(0, 0..players, 0.5) });
    let mut count = 0_u64;
    for second in (300..=day.as_secs()).step_by(300) {
        engine.advance(second * 1_000, |_, _, _| count += 1);
        let expected = online * curve.level(second as f64);
        let off = (f64::from(engine.online()) - expected).abs();
        assert!(
            off < 0.03 * expected + 4.0 * expected.sqrt(),
            "{} online at {second} s for {expected:.0}",
            engine.online()
        );
    }
    let ratio = count as f64 / (world.events_per_online_second() * online * day.as_secs_f64());
    assert!((0.97..1.03).contains(&ratio), "{ratio} of what was promised");
}

#[test]
fn the_number_online_follows_the_curve() {
    let players = 40_000;
    let run = std::time::Duration::from_secs(3_600);
    for (name, online) in [("launch", 0.8), ("spike", 0.15)] {
        let curve = Curve::of(&Profile::named(name, run).expect("built in"), run);
        let mut engine = Engine::new(world(5), Seat { curve: curve.clone(), ..Seat::flat(0, 0..players, online) });
        // A spike falls in 10 s, but sessions end when they end.
        let falls = if name == "spike" { 1_990.0..=3_600.0 } else { 0.0..=0.0 };
        let mut online_by_sessions = i64::from(engine.online());
        for second in (20..=3_600).step_by(20) {
            engine.advance(second * 1_000, |_, _, happening| match happening.kind {
                Kind::SessionStart => online_by_sessions += 1,
                Kind::Logout => online_by_sessions -= 1,
                _ => {}
            });
            let second = second as f64;
            if falls.contains(&second) {
                continue;
            }
            let expected = f64::from(players) * online * curve.level(second);
            let off = (f64::from(engine.online()) - expected).abs();
            // A few percent, and what a Poisson count varies by anyway.
            assert!(
                off < 0.03 * expected + 4.0 * expected.sqrt(),
                "{name} at {second} s: {} online for {expected:.0}",
                engine.online()
            );
        }
        if name == "spike" {
            let still = f64::from(engine.online()) / f64::from(players) / online;
            assert!((1.0..2.0).contains(&still), "{still} times the steady number half an hour after the spike");
        }
        // Sessions that crash end in silence, so the count by events may only be above the true one.
        assert!(online_by_sessions >= i64::from(engine.online()), "{name}");
    }
}

#[test]
fn everybody_is_online_or_in_the_pool() {
    for online in [0.0, 0.05, 0.6, 1.0] {
        let mut engine = Engine::new(world(2), launch(0, 0..2_000, online));
        for to in (0..=240_000).step_by(5_000) {
            engine.advance(to, |_, _, _| {});
            let away = engine.players.iter().filter(|player| player.is_offline()).count() as u32;
            // Who arrives later in the slot is no longer in the pool, but not yet online.
            let arriving = engine.steps[engine.taken..].len() as u32;
            assert!(engine.online() + engine.pool.len() == 2_000);
            assert!((engine.pool.len()..=engine.pool.len() + arriving).contains(&away));
        }
        assert_eq!(engine.online() == 0, online == 0.0);
    }
}

// Whether players are spread over few servers or many: as many are online, and as much happens.
#[test]
fn servers_of_few_players_follow_the_curve_as_large_ones_do() {
    let end_s = 600_u32;
    let world = world(2);
    for (servers, per_server, online, tolerance) in [(400, 1, 1.0, 0.01), (150, 7, 0.9, 0.04), (1, 3_000, 1.0, 0.01)] {
        let (mut events, mut online_s, mut looks) = (0_u64, 0_u64, 0_u64);
        for server in 0..servers {
            let numbers = server * per_server..(server + 1) * per_server;
            let mut engine = Engine::new(world.clone(), Seat::flat(server, numbers, online));
            for second in (20..=end_s).step_by(20) {
                engine.advance(u64::from(second) * 1_000, |_, _, _| events += 1);
                online_s += u64::from(engine.online());
                looks += 1;
            }
        }
        let share = online_s as f64 / looks as f64 / f64::from(per_server);
        assert!((share / online - 1.0).abs() < tolerance, "{per_server} a server: {share} online for {online}");
        let players = f64::from(servers * per_server);
        let promised = world.events_per_online_second() * players * online * f64::from(end_s);
        let ratio = events as f64 / promised;
        assert!((ratio - 1.0).abs() < tolerance + 0.02, "{per_server} a server: {ratio} of the promised events");
    }
}

// Superposed events of many independent players are nearly a Poisson process: counts vary as much as they are large.
#[test]
fn counts_of_superposed_events_vary_as_poisson_does() {
    let mut engine = Engine::new(world(6), Seat::flat(0, 0..60_000, 0.7));
    let mut counts = vec![0_f64; 3_000];
    engine.advance(300_000 - 1, |_, _, happening| counts[(happening.due / 100) as usize] += 1.0);
    // Differences of neighbours take a slow trend out; of independent counts they have twice the variance.
    let pairs = || counts.chunks_exact(2);
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    let variance = pairs().map(|pair| (pair[0] - pair[1]).powi(2)).sum::<f64>() / pairs().count() as f64 / 2.0;
    // The standard error of a variance from n independent squares is √(2 / n).
    let error = (2.0 / pairs().count() as f64).sqrt();
    let ratio = variance / mean;
    assert!((ratio - 1.0).abs() < 4.0 * error, "variance over mean is {ratio}, standard error {error}");
}

#[test]
fn game_time_passes_32_bits_without_a_gap() {
    let world = world(3);
    let wrap = 1_u64 << 32;
    let hour = 3_600_000;
    let mut engine = Engine::new(world.clone(), Seat { start_ms: wrap - hour, ..Seat::flat(0, 0..500, 0.7) });
    let (mut before, mut after) = (0_u32, 0_u32);
    engine.advance(wrap + hour, |_, _, happening| if happening.due < wrap { before += 1 } else { after += 1 });
    let expected = world.events_per_online_second() * 500.0 * 0.7 * 3_600.0;
    for count in [before, after] {
        assert!((0.9..1.1).contains(&(f64::from(count) / expected)), "{count} events, {expected:.0} expected");
    }
}
