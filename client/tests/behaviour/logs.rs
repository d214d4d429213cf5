//! The write-ahead log, from the caller's side.

use std::fs;
use std::path::Path;
use std::time::Duration;

use headgate_client::{Client, Event, Fsync, Log, LogProblem, Overflow, SendError, Standing};

use crate::stand_in::{StandIn, nobody};
use crate::{PATIENCE, assert_balanced, client, give, sorted, until};

fn offline(log: Log) -> Client {
    client(&format!("http://{}", nobody())).log(log).build().expect("it starts")
}

/// What a crash at this moment leaves.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("it can be listed").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("it can be copied");
    }
}

#[test]
fn what_could_not_be_sent_is_sent_by_the_next_client() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = offline(Log::new(folder.path()));
    let given = give(&first, 500);
    let left = first.close(Duration::from_millis(50));
    assert_eq!((left.in_memory(), left.on_log()), (0, 500));

    let server = StandIn::good();
    let second = client(&server.endpoint()).log(Log::new(folder.path())).build().expect("it starts");
    assert_eq!(second.counters().recovered, 500);
    let more = give(&second, 100);
    assert!(second.close(PATIENCE).is_empty());
    assert_eq!(sorted(server.seen().stored.clone()), sorted([given, more].concat()));
    assert_balanced(&second.counters());
    assert_eq!(second.counters().bytes_in_log, 0);
    let third = offline(Log::new(folder.path()));
    assert_eq!(third.counters().recovered, 0);
}

#[test]
fn a_client_that_is_dropped_leaves_everything_on_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = offline(Log::new(folder.path()).fsync(Fsync::Never));
    let clone = first.clone();
    give(&first, 333);
    drop((first, clone));
    assert_eq!(offline(Log::new(folder.path())).counters().recovered, 333);
}

/// Threads give durable events; at some moment the process ends, here by looking at a copy of its folder. Whatever was
/// confirmed by then is in it.
#[test]
fn what_was_confirmed_as_durable_is_on_disk_at_that_moment() {
    for fsync in [Fsync::EachBatch, Fsync::Every(Duration::from_millis(50)), Fsync::Never] {
        let (folder, crashed) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let first = offline(Log::new(folder.path()).fsync(fsync));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let client = first.clone();
                std::thread::spawn(move || -> Vec<String> {
                    let one = |_| {
                        let receipt = client.send_durable(Event::new("test", "event")).expect("it is taken");
                        assert_eq!(receipt.standing, Standing::Durable);
                        receipt.id.to_string()
                    };
                    (0..50).map(one).collect()
                })
            })
            .collect();
        let mut given: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        given.extend(give(&first, 30));
        first.persist().expect("the disk takes it");
        copy(folder.path(), crashed.path());

        let server = StandIn::good();
        let second = client(&server.endpoint()).log(Log::new(crashed.path())).build().expect("it starts");
        assert!(second.close(PATIENCE).is_empty());
        assert_eq!(sorted(server.seen().stored.clone()), sorted(given), "{fsync:?}");
    }
}

/// Ten times as much as memory holds. What does not fit is on disk alone, and is read again when its turn comes.
#[test]
fn a_log_holds_more_than_memory_does() {
    const LIMIT: u64 = 1 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let address = nobody();
    let builder =
        client(&format!("http://{address}")).memory_bytes(LIMIT as usize).batch_bytes(64 << 10).batch_events(100);
    let builder = builder.log(Log::new(folder.path()).fsync(Fsync::Never)).overflow(Overflow::Wait(PATIENCE));
    let client = builder.build().expect("it starts");
    let data = vec![b' '; 1_000];
    let mut given = Vec::new();
    for _ in 0..10_000 {
        let receipt = client.send(Event::new("test", "event").data(&data)).expect("the log makes room");
        given.push(receipt.id.to_string());
        if given.len() % 100 == 0 {
            assert!(client.counters().bytes_in_memory <= LIMIT);
        }
    }
    let counters = client.counters();
    assert!(counters.bytes_in_log > 8 * LIMIT && counters.pending == 10_000, "{counters:?}");
    let server = StandIn::good_at(address);
    let left = client.close(PATIENCE);
    assert!(left.is_empty(), "{left:?}: {:?}", client.counters());
    assert_eq!(server.seen().stored, given, "each once, in order");
    assert_eq!(client.counters().bytes_in_log, 0);
}

#[test]
fn a_full_log_is_said_and_events_stay_in_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = offline(Log::new(folder.path()).max_bytes(1 << 20).fsync(Fsync::Never));
    let data = vec![b' '; 100_000];
    let event = Event::new("test", "event").data(&data);
    let (mut durable, mut problem) = (0, None);
    while problem.is_none() {
        match client.send_durable(event) {
            Ok(_) => durable += 1,
            Err(error) => problem = Some(error),
        }
    }
    assert_eq!(problem, Some(SendError::NotDurable(LogProblem::Full)));
    assert!((8..=10).contains(&durable), "{durable}");
    assert_eq!(client.persist(), Err(SendError::NotDurable(LogProblem::Full)));
    assert_eq!(client.counters().pending, durable + 1, "it was taken all the same");
    let left = client.close(Duration::ZERO);
    assert_eq!((left.in_memory(), left.on_log()), (1, durable));
}

#[test]
fn events_that_are_promised_are_not_dropped_for_newer_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = client(&format!("http://{}", nobody())).memory_events(100).overflow(Overflow::DropOldest);
    let client =
        builder.log(Log::new(folder.path()).max_bytes(1 << 20).fsync(Fsync::Never)).build().expect("it starts");
    let data = vec![b' '; 5_000];
    let event = Event::new("test", "event").data(&data);
    let mut durable = 0;
    while let Ok(Standing::Durable) = client.send_durable(event).map(|receipt| receipt.standing) {
        durable += 1;
    }
    assert!(durable > 150, "what is on the log leaves memory: {durable}");
    for _ in 0..300 {
        client.send(event).expect("the oldest make room");
    }
    let counters = client.counters();
    assert!(counters.dropped >= 200, "{counters:?}");
    assert_balanced(&counters);
    let left = client.close(Duration::ZERO);
    assert_eq!((left.on_log(), left.in_memory()), (durable, counters.pending - durable));
}

#[test]
fn a_durable_event_that_has_no_room_is_an_error_and_never_a_drop() {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = client(&format!("http://{}", nobody())).memory_events(20).overflow(Overflow::DropNewest);
    let client =
        builder.log(Log::new(folder.path()).max_bytes(1 << 20).fsync(Fsync::Never)).build().expect("it starts");
    let data = vec![b' '; 50_000];
    let event = Event::new("test", "event").data(&data);
    let ends = std::iter::repeat_with(|| client.send_durable(event)).take(1_000);
    let error = ends.filter_map(Result::err).find(|error| matches!(error, SendError::Full { .. }));
    assert!(error.is_some(), "a log of 1 MiB and memory for 20 events hold a thousand");
    assert_eq!(client.counters().dropped, 0, "it is still the caller's");
    assert_eq!(client.send(event).map(|receipt| receipt.standing), Ok(Standing::Dropped), "an ordinary one is dropped");
    assert_balanced(&client.counters());
}

#[test]
fn without_a_log_nothing_is_promised() {
    let client = client(&format!("http://{}", nobody())).build().expect("it starts");
    assert_eq!(client.send_durable(Event::new("test", "event")), Err(SendError::NoLog));
    assert_eq!(client.persist(), Err(SendError::NoLog));
    assert_eq!(client.counters().accepted, 0);
}

#[tokio::test]
async fn tasks_wait_for_the_disk_without_blocking_their_thread() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = offline(Log::new(folder.path()));
    let events = (0..20).map(|_| client.send_durable_async(Event::new("test", "event")));
    let receipts = futures_util::future::join_all(events).await;
    assert!(receipts.iter().all(|receipt| matches!(receipt, Ok(one) if one.standing == Standing::Durable)));
    let left = client.close_async(Duration::ZERO).await;
    assert_eq!((left.in_memory(), left.on_log()), (0, 20));
    until(&client, "it is closed", |counters| !counters.connected);
}
