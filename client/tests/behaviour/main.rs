//! The client against a server that behaves well, badly, and not at all.

#![allow(clippy::disallowed_methods, reason = "a test's tasks end with its runtime, and its times are its own")]

mod delivery;
mod keys;
mod logs;
mod memory;
mod stand_in;
#[cfg(feature = "tls")]
mod tls;

use std::time::{Duration, Instant};

use headgate_client::{Builder, Client, Counters, Event, Key};

/// For what takes well under a second unless something is broken, or the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of a server without TLS, in a hurry.
fn client(endpoint: &str) -> Builder {
    let builder = Client::builder(endpoint, Key::value("hg_key"));
    builder.batch_events(20).linger(Duration::from_millis(5)).longest_backoff(Duration::from_millis(200))
}

/// Gives events, and their ids.
fn give(client: &Client, count: usize) -> Vec<String> {
    let one = |n: usize| {
        let data = format!("{{\"n\":{n}}}");
        client.send(Event::new("test", "event").data(data.as_bytes())).expect("there is room").id.to_string()
    };
    (0..count).map(one).collect()
}

/// Waits until the client's counters are so.
fn until(client: &Client, what: &str, is_so: impl Fn(&Counters) -> bool) -> Counters {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counters = client.counters();
        if is_so(&counters) {
            return counters;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}: {counters:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn assert_balanced(counters: &Counters) {
    let ends = counters.acknowledged + counters.rejected() + counters.refused + counters.dropped + counters.unreadable;
    assert_eq!(counters.accepted + counters.recovered, ends + counters.pending, "{counters:?}");
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_unstable();
    ids
}
