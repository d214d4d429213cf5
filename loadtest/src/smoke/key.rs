//! Whether the key that was made lets in, and whether others do not.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use uuid::Uuid;

use super::Problem;
use super::course::Notes;
use super::doors::{Doors, Key, patiently, secret};
use super::error::Said;
use crate::words;

/// New connections on which a key is tried: behind a load balancer, several gateways.
const CONNECTIONS: usize = 8;
/// A key that was just made may take a moment to be known.
const LET_IN_WITHIN: Duration = Duration::from_secs(5);
/// The promise for a key that was deleted (`docs/client.md`).
pub(super) const GONE_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// The good key lets in everywhere, and one that nobody made nowhere.
pub(super) async fn check(doors: &Doors, key: &Key, notes: &mut Notes<'_>) -> Result<(), Problem> {
    let began = Instant::now();
    // In a row: a key that one of several gateways does not know is let in now and then, however often it is tried.
    let mut let_in = 0;
    while let_in < CONNECTIONS {
        match patiently(async || doors.knock(key).await).await {
            Ok(()) => let_in += 1,
            Err(status) if began.elapsed() > LET_IN_WITHIN => {
                return Err(Problem::KeyRefused { said: Said::of(&status), after_s: began.elapsed().as_secs_f64() });
            }
            Err(_) => {
                let_in = 0;
                sleep(PAUSE).await;
            }
        }
    }
    notes.figure(format!("let in on {CONNECTIONS} connections within {}", words::latency(began.elapsed())));

    // Not in the form of a key of Headgate's, which its checksum would give away: this one has to be looked up.
    let wrong = format!("smoke-{}", Uuid::new_v4().simple());
    let wrong = secret(&wrong).ok_or_else(|| unlike("a wrong key", &Status::internal("it can't be sent")))?;
    match patiently(async || doors.knock(&wrong).await).await {
        Ok(()) => Err(Problem::LetIn("a key that nobody has made is let in")),
        Err(status) if status.code() == Code::Unauthenticated => {
            notes.figure(format!("a wrong key is refused: {}", Said::of(&status)));
            Ok(())
        }
        Err(status) => Err(unlike("a wrong key", &status)),
    }
}

/// Waits until a key that was deleted is refused everywhere.
pub(super) async fn gone(doors: &Doors, key: &Key, deleted: Instant, notes: &mut Notes<'_>) -> Result<(), Problem> {
    let mut refused = 0;
    while refused < CONNECTIONS {
        match patiently(async || doors.knock(key).await).await {
            Err(status) if status.code() == Code::Unauthenticated => refused += 1,
            Err(status) => return Err(unlike("the deleted key", &status)),
            Ok(()) if deleted.elapsed() > GONE_WITHIN => {
                return Err(Problem::LetIn("the key is let in more than 5 s after it was deleted"));
            }
            Ok(()) => {
                refused = 0;
                sleep(PAUSE).await;
            }
        }
    }
    notes.figure(format!("the key is refused {} after it was deleted", words::latency(deleted.elapsed())));
    Ok(())
}

fn unlike(what: &str, status: &Status) -> Problem {
    Problem::call(format!("{what} has to be refused with UNAUTHENTICATED"), status)
}
