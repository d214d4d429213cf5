//! Game servers against an application's token bucket, in virtual time.

use std::collections::BTreeMap;

use super::*;
use crate::engine::{Draw, Purpose};

const STEP: Duration = Duration::from_millis(1);
const ANSWERED_AFTER: Duration = Duration::from_millis(3);

/// Servers that offer three times a quota, and the gateway's bucket.
#[derive(Clone, Copy, Debug)]
struct Setting {
    servers: u32,
    quota: f64,
    /// In seconds of the quota.
    burst_s: f64,
    linger: Duration,
    offered_of_quota: f64,
}

#[derive(Debug, Default)]
struct Seen {
    /// Events a second of the quota, from the tenth second on.
    goodput_of_quota: f64,
    amplification: f64,
    refusals: u32,
    held: u64,
    early: u32,
}

struct Batch {
    events: usize,
    sent: Option<Instant>,
}

struct Server {
    pace: Option<Pace>,
    held: BTreeMap<(Instant, u64), Batch>,
    on_the_way: Vec<(Instant, (Instant, u64), Batch)>,
    hint_over: Instant,
}

/// As the gateway has it: a batch passes as a whole, or the hint says when it would.
struct Bucket {
    level: f64,
    filled_at: Instant,
}

impl Bucket {
    fn charge(&mut self, events: f64, setting: Setting, now: Instant) -> Result<(), Duration> {
        let filled = setting.quota * (now - self.filled_at).as_secs_f64();
        self.level = (self.level + filled).min(setting.quota * setting.burst_s);
        self.filled_at = now;
        if self.level < events {
            return Err(Duration::from_secs_f64((events - self.level) / setting.quota).max(STEP));
        }
        self.level -= events;
        Ok(())
    }
}

fn simulate(setting: Setting, seconds: u32) -> Seen {
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds.into());
    let judged_from = start + Duration::from_secs(10);
    let mut draw = Draw::new(7, 0, 0, Purpose::Backoff);
    let mut bucket = Bucket { level: setting.quota * setting.burst_s, filled_at: start };
    let server = |_| Server { pace: None, held: BTreeMap::new(), on_the_way: Vec::new(), hint_over: start };
    let mut servers: Vec<_> = (0..setting.servers).map(server).collect();
    let mut due: Vec<_> = (0..setting.servers)
        .map(|n| start + setting.linger.mul_f64(f64::from(n) / f64::from(setting.servers)))
        .collect();
    let mean = setting.offered_of_quota * setting.quota * setting.linger.as_secs_f64() / f64::from(setting.servers);
    let (mut sent, mut resent, mut accepted, mut number) = (0, 0, 0, 0);
    let mut seen = Seen::default();
    let mut now = start;
    while now < end {
        for (server, due) in servers.iter_mut().zip(&mut due) {
            while let Some(place) = server.on_the_way.iter().position(|(answered, ..)| *answered <= now) {
                let (_, key, batch) = server.on_the_way.remove(place);
                let left = batch.sent.expect("it left");
                match bucket.charge(batch.events as f64, setting, left.max(bucket.filled_at)) {
                    Ok(()) if now >= judged_from => accepted += batch.events,
                    Ok(()) => {}
                    Err(hint) => {
                        seen.refusals += 1;
                        let rate = batch.events as f64 / setting.linger.as_secs_f64();
                        let pace = server.pace.get_or_insert_with(|| Pace::new(rate, batch.events, now));
                        pace.refused(batch.events, left, now);
                        pace.pause_until(now + hint.mul_f64(1.0 + 0.2 * draw.unit()));
                        server.hint_over = server.hint_over.max(now + hint);
                        server.held.insert(key, batch);
                    }
                }
            }
            if *due <= now {
                let events = (mean * (0.5 + draw.unit())).round().max(1.0) as usize;
                server.held.insert((*due, number), Batch { events, sent: None });
                number += 1;
                *due += setting.linger;
            }
            while server.pace.as_mut().is_none_or(|pace| pace.allows(now)) {
                let Some((key, mut batch)) = server.held.pop_first() else { break };
                seen.early += u32::from(now < server.hint_over);
                if let Some(pace) = &mut server.pace {
                    pace.sent(batch.events, now);
                }
                let sum = if batch.sent.replace(now).is_none() { &mut sent } else { &mut resent };
                *sum += batch.events;
                server.on_the_way.push((now + ANSWERED_AFTER, key, batch));
            }
        }
        now += STEP;
    }
    seen.goodput_of_quota = accepted as f64 / (end - judged_from).as_secs_f64() / setting.quota;
    seen.amplification = (sent + resent) as f64 / sent as f64;
    seen.held = servers.iter().flat_map(|server| server.held.values()).map(|batch| batch.events as u64).sum();
    seen
}

const THRICE: Setting =
    Setting { servers: 16, quota: 5_000.0, burst_s: 2.0, linger: Duration::from_millis(100), offered_of_quota: 3.0 };

#[test]
fn servers_that_offer_thrice_their_quota_use_it_and_are_seldom_refused() {
    for setting in [
        THRICE,
        Setting { servers: 8, ..THRICE },
        Setting { servers: 20, ..THRICE },
        Setting { servers: 1, ..THRICE },
        Setting { servers: 100, ..THRICE },
        Setting { burst_s: 1.0, ..THRICE },
        Setting { burst_s: 10.0, ..THRICE },
        Setting { quota: 500_000.0, ..THRICE },
        Setting { linger: Duration::from_millis(20), ..THRICE },
        Setting { linger: Duration::from_millis(500), ..THRICE },
        Setting { offered_of_quota: 1.3, ..THRICE },
        Setting { offered_of_quota: 6.0, ..THRICE },
    ] {
        let seen = simulate(setting, 60);
        assert_eq!(seen.early, 0, "{setting:?}: {seen:?}");
        assert!(seen.goodput_of_quota >= 0.95, "{setting:?}: {seen:?}");
        assert!(seen.amplification <= 1.2, "{setting:?}: {seen:?}");
    }
}

#[test]
fn nothing_is_held_while_nothing_is_refused() {
    let seen = simulate(Setting { offered_of_quota: 0.9, ..THRICE }, 20);
    assert_eq!((seen.refusals, seen.held), (0, 0), "{seen:?}");
    assert_eq!(seen.amplification, 1.0);
}

#[test]
fn the_rate_falls_at_a_refusal_and_climbs_to_and_past_what_was_refused() {
    let start = Instant::now();
    let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let mut pace = Pace::new(1_000.0, 100, start);
    let rates = [0.0, 2.5, 5.0, 7.5, 10.0].map(|seconds| pace.rate(after(seconds)).round());
    assert_eq!(rates, [700.0, 963.0, 1_000.0, 1_038.0, 1_300.0]);
    pace.refused(100, start - STEP, after(1.0));
    assert_eq!(pace.rate(after(5.0)), 1_000.0, "what was on the way at the cut is no news");
    let mut now = after(5.0);
    for _ in 0..100 {
        pace.refused(100, now, now);
        now += STEP;
    }
    let lowest = pace.rate(now - STEP);
    assert!((lowest - LEAST_RATE).abs() < 1e-9, "{lowest} events a second");
}

#[test]
fn a_rate_that_was_not_used_up_is_cut_from_what_was_sent() {
    let start = Instant::now();
    let mut pace = Pace::new(1_000.0, 10, start);
    for tenth in 1..=200 {
        pace.sent(10, start + Duration::from_millis(100) * tenth);
    }
    let now = start + Duration::from_secs(20);
    assert!(pace.rate(now) > 2_000.0, "{}", pace.rate(now));
    pace.refused(10, now, now);
    assert!((65.0..80.0).contains(&pace.rate(now)), "{}", pace.rate(now));
}

#[test]
fn a_batch_is_paid_for_before_the_next_one_and_waits_for_the_hint() {
    let start = Instant::now();
    let after = |millis: u64| start + Duration::from_millis(millis);
    let mut pace = Pace::new(1_000.0, 100, start);
    assert!(!pace.allows(start));
    assert!((130..145).contains(&(pace.next() - start).as_millis()), "100 at 700 a second, and more by and by");
    assert!(pace.allows(pace.next()));
    pace.pause_until(after(400));
    pace.pause_until(after(300));
    assert_eq!(pace.next(), after(400));
    assert!(!pace.allows(after(399)));
    assert!(pace.allows(after(400)));
    pace.sent(700, after(400));
    assert!(pace.next() > after(1_000), "however long it was paused, a tenth of a second was saved up");
}
