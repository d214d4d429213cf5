//! Memory, while the gateway is away or slow.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use headgate_client::{Cause, Client, Event, Key, Log, Overflow, SendError, Standing};

use crate::stand_in::{StandIn, nobody};
use crate::{PATIENCE, assert_balanced, client, sorted};

const DATA: &[u8] = &[b' '; 300];

fn event() -> Event<'static> {
    Event::new("test", "event").data(DATA)
}

/// What this process takes of memory now, bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a process shows its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("and its memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("in kB") << 10
}

/// A thousand events a second for ten minutes, as fast as they can be given. The gateway is never there.
#[test]
#[cfg(target_os = "linux")]
fn memory_is_bounded_while_the_gateway_is_away_for_ten_minutes() {
    const EVENTS: u64 = 1_000 * 600;
    const LIMIT: u64 = 8 << 20;
    let lost = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lost);
    let builder = Client::builder(format!("http://{}", nobody()), Key::value("hg_key")).memory_bytes(LIMIT as usize);
    let builder = builder.overflow(Overflow::DropOldest).on_failure(move |failure| {
        assert_eq!(*failure.cause(), Cause::DroppedOldest);
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let client = builder.build().expect("it starts");
    let before = resident();
    let mut most = 0;
    for n in 0..EVENTS {
        client.send(event()).expect("the oldest make room");
        if n % 1_000 == 0 {
            most = most.max(client.counters().bytes_in_memory);
        }
    }
    assert!((LIMIT / 2..=LIMIT).contains(&most), "{most}");
    // Other tests of this process take memory, too; without a bound it would be 250 MB.
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "the process has grown by {grown} bytes");
    let counters = client.counters();
    assert_eq!((counters.accepted, counters.dropped), (EVENTS, lost.load(Ordering::Relaxed)));
    assert_balanced(&counters);
    let left = client.close(Duration::ZERO);
    assert_eq!(left.in_memory(), EVENTS - counters.dropped);
}

/// The same in ten real minutes, in which there is time for backoff, timers and whatever else may grow; without a log and
/// with one that is full after a third of it. By itself, so that the process's memory is the clients'.
///
/// `cargo test --workspace -p headgate-client --test behaviour -- --ignored ten_real_minutes --nocapture`
#[test]
#[ignore = "takes ten minutes"]
#[cfg(target_os = "linux")]
fn memory_is_bounded_in_ten_real_minutes_without_a_gateway() {
    const SECONDS: u64 = 600;
    const EACH_SECOND: u64 = 1_000;
    const LIMIT: u64 = 8 << 20;
    const LOG: u64 = 100 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let builder = || Client::builder(format!("http://{}", nobody()), Key::value("hg_key")).memory_bytes(LIMIT as usize);
    let without = builder().overflow(Overflow::DropOldest).build().expect("it starts");
    let log = Log::new(folder.path()).max_bytes(LOG);
    let with = builder().overflow(Overflow::DropOldest).log(log).build().expect("it starts");
    let before = resident();
    let started = Instant::now();
    for second in 1..=SECONDS {
        for client in [&without, &with] {
            for _ in 0..EACH_SECOND {
                client.send(event()).expect("the oldest make room");
            }
            let counters = client.counters();
            assert!(counters.bytes_in_memory <= LIMIT && counters.bytes_in_log <= LOG, "{counters:?}");
            assert_balanced(&counters);
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 48 << 20, "two clients of 8 MiB have grown the process by {grown} bytes in {second} s");
        if second % 60 == 0 {
            let in_log = with.counters().bytes_in_log >> 20;
            println!("{second} s: the process has grown by {} KiB, {in_log} MiB on the log", grown >> 10);
        }
        std::thread::sleep((started + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
    }
    for client in [without, with] {
        let counters = client.counters();
        assert_eq!(counters.accepted, SECONDS * EACH_SECOND);
        assert!(counters.dropped > 0 && !counters.connected, "{counters:?}");
        let left = client.close(Duration::ZERO);
        assert_eq!(left.in_memory() + left.on_log(), counters.accepted - counters.dropped);
    }
}

#[test]
fn each_policy_does_what_it_says_when_memory_is_full() {
    let fill = |overflow| {
        let client = client(&format!("http://{}", nobody())).memory_events(100).overflow(overflow);
        let client = client.build().expect("it starts");
        for _ in 0..100 {
            assert_eq!(client.send(event()).expect("there is room").standing, Standing::Queued);
        }
        client
    };
    let error = fill(Overflow::Error);
    assert!(matches!(error.send(event()), Err(SendError::Full { events: 100, .. })));
    assert_eq!((error.counters().accepted, error.counters().dropped), (100, 0), "it is still the caller's");

    let newest = fill(Overflow::DropNewest);
    assert_eq!(newest.send(event()).expect("it is dropped").standing, Standing::Dropped);
    assert_eq!((newest.counters().accepted, newest.counters().dropped), (101, 1));

    let oldest = fill(Overflow::DropOldest);
    assert_eq!(oldest.send(event()).expect("an older one is dropped").standing, Standing::Queued);
    assert_eq!((oldest.counters().pending, oldest.counters().dropped), (81, 20), "a batch");

    let patience = Duration::from_millis(200);
    let wait = fill(Overflow::Wait(patience));
    let started = Instant::now();
    assert_eq!(wait.send(event()), Err(SendError::NoRoomInTime(patience)));
    assert!(started.elapsed() >= patience);
    let closer = wait.clone();
    let waiting = std::thread::spawn(move || wait.send(event()));
    let _ = closer.close(Duration::ZERO);
    assert!(waiting.join().expect("no panic").is_err(), "nobody waits for a client that is closed");
    for client in [error, newest, oldest, closer] {
        assert_balanced(&client.counters());
    }
}

#[test]
fn whoever_waits_for_room_gets_it_when_something_is_stored() {
    let address = nobody();
    let client = client(&format!("http://{address}")).memory_events(50).overflow(Overflow::Wait(PATIENCE));
    let client = client.build().expect("it starts");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            let give = move || (0..250).map(|_| client.send(event()).expect("room comes").id.to_string()).collect();
            std::thread::spawn(move || -> Vec<String> { give() })
        })
        .collect();
    while client.counters().events_in_memory < 50 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let server = StandIn::good_at(address);
    let given: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    assert!(client.close(PATIENCE).is_empty());
    assert_eq!(sorted(server.seen().stored.clone()), sorted(given));
}
