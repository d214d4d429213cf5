//! What a run promises, against a stand-in for the gateway that misbehaves on purpose.

mod stand_in;

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use headgate_loadtest::{Load, Report, RunConfig, Secrets, Transport};
use stand_in::{Deed, KEY, Running};
use tokio::time::{Instant, sleep, timeout};

fn config(running: &Running, seconds: f64) -> RunConfig {
    RunConfig {
        servers: 4,
        players: 2_000,
        run_time: Duration::from_secs_f64(seconds),
        linger: Duration::from_millis(20),
        bad_share: 0.02,
        drain: Duration::from_secs(20),
        ..RunConfig::new(running.endpoint.as_str())
    }
    .at_rate(4_000.0)
}

fn key(key: &str) -> Secrets {
    Secrets { api_keys: vec![key.to_owned()], tls_ca: None }
}

fn start(config: &RunConfig) -> Load {
    Load::start(config, &key(KEY), true).expect("a valid configuration")
}

async fn finish(mut load: Load) -> Report {
    timeout(Duration::from_secs(60), load.finished()).await.expect("a run ends").expect("no server panics")
}

async fn run(config: &RunConfig) -> Report {
    finish(start(config)).await
}

/// The ledger balances, nothing is open, and what was said of each id holds at the stand-in.
fn check(report: &Report, running: &Running) {
    let ledger = &report.ledger;
    assert!(ledger.balances(), "{ledger:?}");
    assert_eq!(ledger.in_flight, 0, "{ledger:?}");
    let seen = running.seen();
    let acknowledged: HashSet<u128> = report.ids.acknowledged.iter().copied().collect();
    assert_eq!(acknowledged.len() as u64, ledger.accepted, "each acknowledged id once");
    assert_eq!(report.ids.rejected.len() as u64, ledger.rejected_total());
    let lost = acknowledged.difference(&seen.stored).count();
    assert_eq!(lost, 0, "{lost} acknowledged events are not there");
    assert!(report.ids.rejected.iter().all(|id| !seen.stored.contains(id)), "a rejected event is there");
    let undecided: HashSet<u128> = report.ids.undecided.iter().copied().collect();
    let foreign = seen.stored.iter().filter(|id| !acknowledged.contains(id) && !undecided.contains(id)).count();
    assert_eq!(foreign, 0, "{foreign} events are there of which nothing is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_has_one_end_and_the_rate_is_the_one_asked_for() {
    let running = Running::start(|_| Deed::Answer).await;
    let config = config(&running, 3.0);
    let report = run(&config).await;
    check(&report, &running);
    let rate = report.ledger.due as f64 / 3.0;
    assert!((3_600.0..4_400.0).contains(&rate), "{rate} events a second");
    assert_eq!(report.ledger.accepted + report.ledger.rejected_total(), report.ledger.due);
    let bad = report.ledger.rejected_total() as f64 / report.ledger.due as f64;
    assert!((0.01..0.03).contains(&bad), "{bad} of the events rejected");
    assert!(report.ledger.rejected.len() >= 4, "{:?}", report.ledger.rejected);
    assert_eq!(report.ack.count(), report.ledger.due);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_repeats_the_ids() {
    let running = Running::start(|_| Deed::Answer).await;
    let first = run(&config(&running, 1.0)).await;
    let again = run(&config(&running, 1.0)).await;
    let other = run(&RunConfig { seed: 2, ..config(&running, 1.0) }).await;
    let ids = |report: &Report| report.ids.acknowledged.iter().copied().collect::<HashSet<_>>();
    assert_eq!(ids(&first), ids(&again));
    assert!(ids(&first).is_disjoint(&ids(&other)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_batches_and_retry_verdicts_are_sent_again_with_the_same_ids() {
    for transport in [Transport::Stream, Transport::Unary] {
        let running = Running::start(|batch| match batch % 5 {
            1 => Deed::Refuse,
            3 => Deed::Sort,
            _ => Deed::Answer,
        })
        .await;
        let report = run(&RunConfig { transport, ..config(&running, 2.0) }).await;
        check(&report, &running);
        assert!(report.ledger.retry > 500, "{:?}", report.ledger);
        assert!(report.ledger.unknown > 50, "{:?}", report.ledger);
        assert_eq!(report.ledger.resent, report.ledger.retry);
        assert_eq!(report.ledger.failed, 0);
        assert_eq!(report.ids.undecided.len() as u64, report.ledger.unknown);
        assert!(running.seen().times.values().any(|times| *times > 1), "a retried event came again");
        assert_eq!(running.seen().early, 0, "events came again before their hint was over");
    }
}

// A quarter of what is offered is allowed, as a token bucket of batches. Whoever sent at full rate all the same would have
// three of four batches refused; a client that paces itself has few refused, and still uses what it is allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttled_clients_honour_hints_and_hold_back() {
    const ALLOWED_PER_S: f64 = 50.0;
    const SECONDS: f64 = 5.0;
    for transport in [Transport::Stream, Transport::Unary] {
        let bucket = Mutex::new((0.0, Instant::now()));
        let running = Running::start(move |_| {
            let (level, filled_at) = &mut *bucket.lock().expect("nobody panics here");
            *level = (*level + ALLOWED_PER_S * filled_at.elapsed().as_secs_f64()).min(ALLOWED_PER_S / 4.0);
            *filled_at = Instant::now();
            if *level < 1.0 {
                return Deed::Throttle;
            }
            *level -= 1.0;
            Deed::Answer
        })
        .await;
        let config = RunConfig { transport, drain: Duration::from_millis(200), ..config(&running, SECONDS) };
        let report = run(&config).await;
        check(&report, &running);
        let seen = running.seen();
        assert_eq!(seen.early, 0, "events came again before their hint was over");
        let of_allowed = seen.batches as f64 / (SECONDS * ALLOWED_PER_S);
        assert!((0.75..1.2).contains(&of_allowed), "{} batches were stored, {of_allowed} of the quota", seen.batches);
        assert!(seen.refused * 3 < seen.batches, "{} refused, {} stored", seen.refused, seen.batches);
        assert!(report.ledger.sent * 2 < report.ledger.due, "held back: {:?}", report.ledger);
        assert!(report.problems.contains_key("no answer before the end of the run"), "{:?}", report.problems);
    }
}

// Streams end without answers, and connections are cut while batches are on the way: unanswered batches come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_streams_and_connections_lose_nothing() {
    let running = Running::start(|batch| if batch % 97 == 96 { Deed::BreakStream } else { Deed::Answer }).await;
    let load = start(&config(&running, 3.0));
    for _ in 0..4 {
        sleep(Duration::from_millis(600)).await;
        running.cut();
    }
    let report = finish(load).await;
    check(&report, &running);
    assert!(report.reconnects >= 8, "{} reconnects", report.reconnects);
    assert!(report.ledger.resent > 0);
    assert_eq!(report.ledger.failed, 0, "{:?}", report.problems);
    assert!(running.seen().times.values().any(|times| *times > 1), "an unanswered event came again");
}

// The client batches and sends again by itself; every event has one end all the same, under the id that it was given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_through_the_client_has_one_end_whatever_the_gateway_does() {
    let running = Running::start(|batch| match batch {
        _ if batch % 97 == 96 => Deed::BreakStream,
        _ if batch % 40 == 39 => Deed::AskToMove,
        _ => match batch % 5 {
            1 => Deed::Refuse,
            3 => Deed::Sort,
            _ => Deed::Answer,
        },
    })
    .await;
    let config = RunConfig { transport: Transport::Client, duplicate_share: 0.02, ..config(&running, 3.0) };
    let load = start(&config);
    for _ in 0..2 {
        sleep(Duration::from_millis(900)).await;
        running.cut();
    }
    let report = finish(load).await;
    let Report { ledger, ids, .. } = &report;
    assert!(ledger.balances() && ledger.in_flight == 0, "{ledger:?}");
    assert_eq!((ledger.accepted + ledger.rejected_total(), ledger.overflow), (ledger.due, 0), "{:?}", report.problems);
    let seen = running.seen();
    assert!(ids.acknowledged.iter().all(|id| seen.stored.contains(id)), "acknowledged and not there");
    assert!(ids.rejected.iter().all(|id| !seen.stored.contains(id)), "rejected and there");
    assert_eq!(ids.acknowledged.len(), seen.stored.len());
    assert_eq!(ids.acknowledged.len() as u64 + ids.rejected.len() as u64, ledger.due - ledger.duplicates);
    assert!(ledger.duplicates > 50 && ledger.rejected.len() >= 4, "{ledger:?}");
    assert!(ledger.resent > 0 && report.reconnects > 0, "{ledger:?}, {} reconnects", report.reconnects);
    assert_eq!(report.ack.count(), ledger.due);
    assert!(report.problems.keys().any(|problem| problem.contains("refused")), "{:?}", report.problems);
}

// Without duplicates: on purpose they come in the next batch, whatever became of the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_client_sends_again_waits_for_its_hint() {
    let running = Running::start(|batch| if batch % 3 == 1 { Deed::Refuse } else { Deed::Answer }).await;
    let config = RunConfig { transport: Transport::Client, ..config(&running, 1.5) };
    let report = run(&config).await;
    let seen = running.seen();
    assert!(seen.refused >= 3 && report.ledger.resent > 0, "{} refused, {:?}", seen.refused, report.ledger);
    assert_eq!((seen.early, report.ledger.duplicates), (0, 0), "events came again before their hint was over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_through_the_client_counts_from_when_events_were_due() {
    let running = Running::start(|_| Deed::Answer).await;
    let config =
        RunConfig { transport: Transport::Client, linger: Duration::from_millis(200), ..config(&running, 3.0) };
    let report = run(&config).await;
    let p50 = report.ack.quantile(0.5);
    // What a batch begins with waits for the whole linger, what it ends with for nothing.
    assert!((Duration::from_millis(60)..Duration::from_millis(180)).contains(&p50), "p50 of {p50:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_no_unary_call() {
    let running = Running::start(|_| Deed::Answer).await;
    let config = RunConfig { transport: Transport::Unary, ..config(&running, 2.0) };
    let load = start(&config);
    for _ in 0..3 {
        sleep(Duration::from_millis(500)).await;
        running.stall(Duration::from_millis(30));
        sleep(Duration::from_millis(25)).await;
        running.cut();
    }
    let report = finish(load).await;
    check(&report, &running);
    assert!(report.ledger.resent > 0, "{:?}", report.ledger);
    assert_eq!(report.ledger.failed, 0, "{:?}", report.problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_asked_to_move_moves_without_losing_or_repeating_anything() {
    let running = Running::start(|batch| if batch % 40 == 39 { Deed::AskToMove } else { Deed::Answer }).await;
    let report = run(&config(&running, 2.0)).await;
    check(&report, &running);
    assert!(report.reconnects >= 4, "{} reconnects", report.reconnects);
    assert_eq!(running.seen().streams, 4 + report.reconnects);
    assert_eq!(report.ledger.resent, 0, "the old streams were read to their end");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

// Answers are held back for 1 s of a 3 s run. An event that was due t into the stall waits 1 - t, so a share of
// (1 - x) / 3 of all events waits longer than x: a tenth longer than 0.7 s. A closed loop would hardly see the stall.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_shows_in_the_latency_of_every_event_that_was_due() {
    let running = Running::start(|_| Deed::Answer).await;
    let load = start(&config(&running, 3.0));
    sleep(Duration::from_millis(1_200)).await;
    running.stall(Duration::from_secs(1));
    let report = finish(load).await;
    check(&report, &running);
    let p90 = report.ack.quantile(0.9).as_secs_f64();
    assert!((0.62..0.78).contains(&p90), "p90 of {p90} s");
    assert!(report.ack.quantile(0.5).as_secs_f64() < 0.2, "p50 of {:?}", report.ack.quantile(0.5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_window_is_counted_and_does_not_slow_the_schedule() {
    let running = Running::start(|_| Deed::Silence).await;
    let config = RunConfig { max_in_flight: 10, drain: Duration::from_millis(200), ..config(&running, 1.0) };
    let report = run(&config).await;
    check(&report, &running);
    let rate = report.ledger.due as f64;
    assert!((3_400.0..4_600.0).contains(&rate), "{rate} events due in a second");
    assert_eq!(report.ledger.overflow + report.ledger.failed, report.ledger.due);
    assert!(report.ledger.overflow > report.ledger.failed && report.ledger.failed > 0, "{:?}", report.ledger);
    assert_eq!(report.ids.undecided.len() as u64, report.ledger.failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_does_not_add_up_is_not_believed() {
    let running = Running::start(|batch| if batch == 3 { Deed::Miscount } else { Deed::Answer }).await;
    let report = run(&config(&running, 1.0)).await;
    check(&report, &running);
    assert!(report.ledger.failed > 0);
    assert!(report.problems.contains_key("a verdict that does not add up"), "{:?}", report.problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_gateway_or_a_wrong_key_fails_events_and_says_why() {
    let running = Running::start(|_| Deed::Answer).await;
    let short = RunConfig { drain: Duration::from_millis(100), ..config(&running, 0.5) };
    let unreachable = RunConfig { endpoint: "http://127.0.0.1:1".to_owned(), ..short.clone() };
    for (config, key, says) in [(unreachable, key(KEY), "refused"), (short, key("hg_other"), "wrong key")] {
        let report = finish(Load::start(&config, &key, true).expect("a valid configuration")).await;
        assert!(report.ledger.balances() && report.ledger.in_flight == 0, "{:?}", report.ledger);
        assert_eq!(report.ledger.failed, report.ledger.due);
        assert!(report.ledger.due > 0);
        assert!(report.problems.keys().any(|problem| problem.contains(says)), "{:?}", report.problems);
        assert!(report.ids.undecided.is_empty(), "nothing was sent");
    }
    assert!(running.seen().stored.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_end_stops_when_told_and_waits_for_its_answers() {
    let running = Running::start(|_| Deed::Answer).await;
    let mut load = start(&RunConfig { run_time: Duration::from_secs(100 * 3_600), ..config(&running, 1.0) });
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut accepted_in_windows = 0;
    let snapshot = loop {
        let snapshot = load.snapshot();
        assert!(snapshot.ledger.balances(), "{:?}", snapshot.ledger);
        accepted_in_windows += snapshot.recent.accepted;
        if snapshot.ledger.accepted > 2_000 {
            break snapshot;
        }
        assert!(Instant::now() < deadline, "{snapshot:?}");
        assert!(timeout(Duration::from_millis(100), load.finished()).await.is_err(), "it goes on until told");
    };
    assert_eq!(accepted_in_windows, snapshot.ledger.accepted);
    assert_eq!(snapshot.connections, 4);
    load.stop();
    let report = finish(load).await;
    check(&report, &running);
    assert!(report.elapsed >= snapshot.elapsed);
    assert_eq!(report.ledger.failed, 0);
}

#[tokio::test]
async fn settings_out_of_range_are_refused_with_what_to_do() {
    let good = RunConfig { players: 2_000, ..RunConfig::new("http://127.0.0.1:50051") }.resolved();
    let refused =
        |config: &RunConfig, key: &Secrets| Load::start(config, key, false).err().expect("refused").to_string();
    let bad = [
        (RunConfig { servers: 0, ..good.clone() }, "give each server a player"),
        (RunConfig { players: 3, ..good.clone() }, "give each server a player"),
        (RunConfig { players: 100, ..good.clone() }.at_rate(20_000.0), "give 400"),
        (RunConfig { speed: 0.0, ..good.clone() }, "above 0"),
        (RunConfig { linger: Duration::ZERO, ..good.clone() }, "1 ms"),
        (RunConfig { bad_share: 1.5, ..good.clone() }, "0 to 1"),
        (RunConfig { run_time: Duration::from_secs(120 * 3_600), ..good.clone() }, "119 h"),
        (RunConfig { endpoint: "not an address".to_owned(), ..good.clone() }, "http://HOST:PORT"),
    ];
    for (config, says) in bad {
        let error = refused(&config, &key(KEY));
        assert!(error.contains(says), "{error}");
    }
    assert!(refused(&good, &key("two\nlines")).contains("header"));
    assert!(refused(&good, &Secrets::default()).contains("a key for each"));
}
