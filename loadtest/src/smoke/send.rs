//! Sends the events, most of them over a stream, the last ones in calls of their own, and what was not taken again under
//! the same ids, until every one of them is acknowledged.

mod book;
mod stream;

use std::time::Duration;

use headgate_proto::v1::{Event, PublishEventsRequest};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};
use uuid::Uuid;

use self::book::Book;
use super::course::Notes;
use super::doors::{Doors, Key, patiently, with_key};
use super::error::Said;
use super::{Problem, events};
use crate::record::Ids;
use crate::words;

/// Events in a batch.
const BATCH: usize = 50;
/// One event in so many goes by `PublishEvents`.
const PUBLISHED: usize = 10;
/// How long events are sent again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than the gateway's own deadline for its destination.
const ANSWER: Duration = Duration::from_secs(30);
/// Between two rounds, unless the gateway says how long.
const PAUSE: Duration = Duration::from_millis(500);

/// What was sent, and how it ended.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// All of the good ones are acknowledged.
    pub(super) ids: Ids,
    /// Acknowledged events of type `login`.
    pub(super) logins: u64,
    /// Events that were sent again although they may have been stored: each may be there twice.
    pub(super) unsure: u64,
}

impl Sent {
    pub(super) fn acknowledged(&self) -> u64 {
        self.ids.acknowledged.len() as u64
    }
}

/// How much is sent, and in what time.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) events: usize,
    pub(super) over: Duration,
    /// Unix time.
    pub(super) now_ms: u64,
}

pub(super) async fn send(doors: &Doors, key: &Key, load: Load, notes: &mut Notes<'_>) -> Result<Sent, Problem> {
    let began = Instant::now();
    let mut streamed = events::good(load.events, load.now_ms);
    let published = streamed.split_off(load.events - load.events.div_ceil(PUBLISHED));
    let batches = streamed.len().div_ceil(BATCH) + published.len().div_ceil(BATCH);
    let pause = load.over.div_f64(batches as f64);
    let mut book = Book::new(load.events as u64);

    stream::send(doors, key, lots(streamed), pause, &mut book).await?;
    for lot in lots(published) {
        sleep(pause).await;
        publish(doors, key, lot, &mut book).await?;
    }
    let mut tries = 1;
    while !book.again.is_empty() {
        if began.elapsed() > load.over + PATIENCE {
            return Err(book.not_acknowledged(tries));
        }
        notes.progress(|| format!("{} events have to be sent again: {}", book.again.len(), book.last));
        sleep(std::mem::take(&mut book.wait).max(PAUSE)).await;
        let again = std::mem::take(&mut book.again);
        book.resent += again.len() as u64;
        tries += 1;
        stream::send(doors, key, lots(again), Duration::ZERO, &mut book).await?;
    }
    let Book { mut sent, resent, .. } = book;
    sent.ids.rejected = bad(doors, key, load.now_ms, notes).await?;
    let resent = if resent == 0 { String::new() } else { format!(", {resent} sent again ({})", book.last) };
    notes.figure(format!(
        "{} events acknowledged in {}{resent}",
        words::count(sent.acknowledged()),
        words::latency(began.elapsed()),
    ));
    Ok(sent)
}

fn lots(events: Vec<Event>) -> Vec<Vec<Event>> {
    events.chunks(BATCH).map(<[Event]>::to_vec).collect()
}

/// One batch in a call of its own.
async fn publish(doors: &Doors, key: &Key, lot: Vec<Event>, book: &mut Book) -> Result<(), Problem> {
    let request = with_key(key, PublishEventsRequest { events: lot.clone() });
    let calling = async { Ok(doors.ingest().await?.publish_events(request).await?.into_inner()) };
    let called = timeout(ANSWER, calling).await;
    match called.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in 30 s"))) {
        Ok(answer) => book.verdict(lot, &answer.verdict.unwrap_or_default()),
        Err(status) => book.failed(lot, &status),
    }
}

/// Sends the events that break a rule, and gives the ids of those that have one.
async fn bad(doors: &Doors, key: &Key, now_ms: u64, notes: &mut Notes<'_>) -> Result<Vec<u128>, Problem> {
    let bad = events::bad(now_ms);
    let events: Vec<Event> = bad.iter().map(|bad| bad.event.clone()).collect();
    let asked = patiently(async || {
        let request = with_key(key, PublishEventsRequest { events: events.clone() });
        Ok(doors.ingest().await?.publish_events(request).await?.into_inner())
    });
    let answer = asked.await.map_err(|status| Problem::call("sending events that break a rule", &status))?;
    let verdict = answer.verdict.unwrap_or_default();
    for (index, bad) in bad.iter().enumerate() {
        let found = verdict.not_accepted.iter().find(|found| found.index as usize == index);
        let answer = match found {
            Some(found) if found.reason() == bad.reason => continue,
            Some(found) => format!("{} ({})", found.reason().label(), found.message),
            None => "that it is stored".to_owned(),
        };
        return Err(Problem::NotRejected { what: bad.what, expected: bad.reason.label(), answer });
    }
    notes.figure(format!("{} events that break a rule rejected, each for its reason", bad.len()));
    let ids = bad.iter().filter_map(|bad| Uuid::try_parse(&bad.event.event_id).ok());
    Ok(ids.map(|id| id.as_u128()).collect())
}

/// Whether a batch may be sent again: the gateway says when, or the way to it was at fault.
fn passes(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented | Code::NotFound
    )
}

fn refused(status: &Status, events: usize) -> Problem {
    Problem::BatchRefused { events, said: Said::of(status) }
}
