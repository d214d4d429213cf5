//! Somebody who behaves, beside those who do not: open loop, so that a stall shows in every batch that it delays.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;

const EVERY: Duration = Duration::from_millis(10);
const EVENTS: usize = 20;

/// A client that sends a batch every ten milliseconds.
pub(super) struct Neighbour(Arc<Mutex<Vec<Sent>>>);

struct Sent {
    due: Instant,
    /// `None`: it was not accepted.
    took: Option<Duration>,
}

/// How it was served.
pub(super) struct Served {
    pub(super) p99: Duration,
    /// Accepted, of what was due.
    pub(super) goodput: f64,
}

impl Neighbour {
    pub(super) async fn move_in(target: &Target) -> Self {
        let connection = Connection::open(target).await.expect("it listens");
        let sent = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&sent);
        tokio::spawn(async move {
            let mut due = Instant::now();
            loop {
                due += EVERY;
                tokio::time::sleep_until(due.into()).await;
                let (mut connection, log) = (connection.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    let verdict = connection.publish((0..EVENTS).map(|_| login()).collect()).await;
                    let accepted = verdict.is_ok_and(|verdict| verdict.accepted as usize == EVENTS);
                    let took = accepted.then(|| due.elapsed());
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(Sent { due, took });
                });
            }
        });
        Self(sent)
    }

    /// How it is served from now on for so long.
    pub(super) async fn over(&self, time: Duration) -> Served {
        let (from, to) = (Instant::now(), Instant::now() + time);
        tokio::time::sleep_until((to + Duration::from_millis(500)).into()).await;
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = log.iter().filter(|sent| (from..to).contains(&sent.due));
        let mut took: Vec<_> = due.filter_map(|sent| sent.took).collect();
        took.sort_unstable();
        let expected = time.as_secs_f64() / EVERY.as_secs_f64();
        let p99 = took.get(took.len().saturating_sub(1) * 99 / 100).copied().unwrap_or(Duration::MAX);
        Served { p99, goodput: took.len() as f64 / expected }
    }
}
