//! Batches over one stream.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::stream;
use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::{Event, StreamEventsRequest, StreamEventsResponse};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tonic::{Status, Streaming};

use super::super::doors::{Doors, Key, patiently, with_key};
use super::{ANSWER, Book, Problem};

/// Unanswered batches.
const WINDOW: usize = 16;

type Opened = (mpsc::Sender<StreamEventsRequest>, Streaming<StreamEventsResponse>);

/// Sends batches, one after each pause, and enters every answer. What the stream did not take or not answer is to be sent
/// again.
pub(super) async fn send(
    doors: &Doors,
    key: &Key,
    lots: Vec<Vec<Event>>,
    pause: Duration,
    book: &mut Book,
) -> Result<(), Problem> {
    let mut lots: VecDeque<Vec<Event>> = lots.into();
    let (requests, mut answers) = match patiently(async || open(doors, key).await).await {
        Ok(opened) => opened,
        Err(status) => return book.failed(lots.into_iter().flatten().collect(), &status),
    };
    // Gone once nothing more is to be sent: that half-closes the stream.
    let mut requests = Some(requests);
    let mut in_flight: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    let mut sequence = 0;
    let mut turns = interval(pause.max(Duration::from_millis(1)));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let ended = loop {
        if lots.is_empty() {
            requests = None;
        }
        let may_send = requests.is_some() && in_flight.len() < WINDOW;
        tokio::select! {
            _ = turns.tick(), if may_send => {
                let Some((requests, lot)) = requests.as_ref().zip(lots.pop_front()) else { continue };
                sequence += 1;
                // A stream that has ended says so in its answers.
                let _ = requests.try_send(StreamEventsRequest { sequence, events: lot.clone() });
                in_flight.insert(sequence, lot);
                heard = heard.max(Instant::now());
            }
            answer = answers.message() => match answer {
                Ok(Some(answer)) => {
                    heard = Instant::now();
                    // Nothing more is read from who goes away.
                    if matches!(answer.answer, Some(Answer::Notice(_))) {
                        requests = None;
                    }
                    settle(&mut in_flight, answer, book)?;
                }
                Ok(None) => break None,
                Err(status) => break Some(status),
            },
            () = sleep_until(heard + ANSWER), if !in_flight.is_empty() => {
                break Some(Status::deadline_exceeded("no answer in 30 s"));
            }
        }
    };
    book.again.extend(lots.into_iter().flatten());
    let unanswered: Vec<Event> = in_flight.into_values().flatten().collect();
    match ended {
        Some(status) if !super::passes(&status) => Err(super::refused(&status, unanswered.len())),
        Some(status) => {
            book.last = super::Said::of(&status).to_string();
            book.unanswered(unanswered);
            Ok(())
        }
        None => {
            book.unanswered(unanswered);
            Ok(())
        }
    }
}

async fn open(doors: &Doors, key: &Key) -> Result<Opened, Status> {
    let (requests, queue) = mpsc::channel(WINDOW);
    let queued = stream::unfold(queue, async |mut queue| queue.recv().await.map(|request| (request, queue)));
    let answers = doors.ingest().await?.stream_events(with_key(key, queued)).await?.into_inner();
    Ok((requests, answers))
}

fn settle(
    in_flight: &mut BTreeMap<u64, Vec<Event>>,
    answer: StreamEventsResponse,
    book: &mut Book,
) -> Result<(), Problem> {
    let mut lot = || in_flight.remove(&answer.sequence).unwrap_or_default();
    match answer.answer {
        Some(Answer::Verdict(verdict)) => book.verdict(lot(), &verdict),
        Some(Answer::Refusal(refusal)) => book.refusal(lot(), refusal),
        Some(Answer::Notice(_)) | None => Ok(()),
    }
}
