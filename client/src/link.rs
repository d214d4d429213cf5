//! Streams: one that batches leave on, and those before it that still owe answers.
//!
//! When the gateway asks a stream to move (drain, connection age), batches go on leaving on it until the next one is open,
//! as long as its grace lasts. Then it is half-closed and read until it ends. So a move costs no batch and no pause.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{SelectAll, poll_fn};
use futures_util::{FutureExt, Stream, StreamExt};
use headgate_proto::v1::StreamEventsResponse;
use tokio::sync::mpsc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Status, Streaming};

use crate::clock;
use crate::connect::Connector;
use crate::store::{LinkId, Outgoing};

/// From the start of connecting to the response's headers.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

type Opened = (mpsc::UnboundedSender<Outgoing>, Streaming<StreamEventsResponse>);

pub(crate) struct Links {
    connector: Connector,
    current: Option<Current>,
    opening: Option<BoxFuture<'static, Result<Opened, Status>>>,
    answers: SelectAll<Answers>,
    next_id: u32,
}

struct Current {
    id: LinkId,
    /// Never holds more than the batches in flight, which are bounded.
    batches: mpsc::UnboundedSender<Outgoing>,
    /// When the gateway stops reading it; none unless it is to move.
    move_by: Option<Instant>,
}

/// What is heard.
pub(crate) enum Heard {
    /// A stream is open, and batches leave on it from now on.
    Opened,
    /// None could be opened.
    NotOpened(Status),
    Answer(LinkId, StreamEventsResponse),
    /// A stream has ended. `asked`: it was to move, so nothing is wrong.
    Ended {
        link: LinkId,
        status: Option<Status>,
        asked: bool,
    },
}

impl Links {
    pub(crate) fn new(connector: Connector) -> Self {
        Self { connector, current: None, opening: None, answers: SelectAll::new(), next_id: 0 }
    }

    /// Opens a stream after a wait.
    pub(crate) fn open(&mut self, key: MetadataValue<Ascii>, wait: Duration) {
        self.opening = Some(open(self.connector.clone(), key, wait).boxed());
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// Whether there is a stream.
    pub(crate) fn is_connected(&self) -> bool {
        self.current.is_some()
    }

    /// Whether there is no stream, or one that is to move.
    pub(crate) fn needs_another(&self) -> bool {
        self.current.as_ref().is_none_or(|current| current.move_by.is_some())
    }

    /// The stream that batches may leave on.
    pub(crate) fn sending(&mut self, now: Instant) -> Option<LinkId> {
        // Its answers are still read; batches sent now might not be.
        let _ = self.current.take_if(|current| current.move_by.is_some_and(|move_by| move_by <= now));
        self.current.as_ref().map(|current| current.id)
    }

    /// Whether a stream that is to move has not yet: until when batches may leave on it.
    pub(crate) fn move_by(&self) -> Option<Instant> {
        self.current.as_ref().and_then(|current| current.move_by)
    }

    /// The batch is sent, or is lost with the stream, whose end will be heard.
    pub(crate) fn send(&self, batch: Outgoing) {
        if let Some(current) = &self.current {
            let _ = current.batches.send(batch);
        }
    }

    /// The current stream is to move, and is read so long.
    pub(crate) fn move_on(&mut self, link: LinkId, grace: Duration) {
        if let Some(current) = self.current.as_mut().filter(|current| current.id == link) {
            current.move_by.get_or_insert(clock::deadline(grace));
        }
    }

    /// The same, whichever it is.
    pub(crate) fn move_current(&mut self, grace: Duration) {
        if let Some(link) = self.current.as_ref().map(|current| current.id) {
            self.move_on(link, grace);
        }
    }

    /// Gives a stream up. Its end is not heard.
    pub(crate) fn cut(&mut self, link: LinkId) {
        let _ = self.current.take_if(|current| current.id == link);
        let kept = std::mem::take(&mut self.answers).into_iter().filter(|answers| answers.link != link);
        self.answers = kept.collect();
    }

    /// Nothing leaves any more.
    pub(crate) fn close(&mut self) {
        (self.current, self.opening) = (None, None);
    }

    /// What is heard of the streams that are left; none once all of them have ended.
    pub(crate) async fn last(&mut self) -> Option<Heard> {
        let (link, item) = self.answers.next().await?;
        Some(self.heard(link, item))
    }

    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            let Self { opening, answers, .. } = self;
            tokio::select! {
                Some((link, item)) = answers.next(), if !answers.is_empty() => {
                    return self.heard(link, item);
                }
                opened = async { Some(opening.as_mut()?.await) }, if opening.is_some() => {
                    self.opening = None;
                    let Some(opened) = opened else { continue };
                    return match opened {
                        Ok(opened) => self.take_over(opened),
                        Err(status) => Heard::NotOpened(status),
                    };
                }
                else => std::future::pending().await,
            }
        }
    }

    fn heard(&mut self, link: LinkId, item: Item) -> Heard {
        match item {
            Item::Answer(answer) => Heard::Answer(link, answer),
            Item::End(status) => {
                let current = self.current.take_if(|current| current.id == link);
                let asked = current.is_none_or(|current| current.move_by.is_some());
                Heard::Ended { link, status, asked }
            }
        }
    }

    /// Half-closes the stream before.
    fn take_over(&mut self, (batches, stream): Opened) -> Heard {
        let id = LinkId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.current = Some(Current { id, batches, move_by: None });
        self.answers.push(Answers { link: id, stream: Some(stream) });
        Heard::Opened
    }
}

async fn open(connector: Connector, key: MetadataValue<Ascii>, wait: Duration) -> Result<Opened, Status> {
    tokio::time::sleep(wait).await;
    let (batches, mut outgoing) = mpsc::unbounded_channel();
    let opening = connector.open(key, poll_fn(move |context| outgoing.poll_recv(context)));
    match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
        Ok(opened) => Ok((batches, opened?)),
        Err(_) => Err(Status::deadline_exceeded(format!("no stream within {OPEN_TIMEOUT:?}"))),
    }
}

/// The answers of one stream, and then its end.
struct Answers {
    link: LinkId,
    stream: Option<Streaming<StreamEventsResponse>>,
}

enum Item {
    Answer(StreamEventsResponse),
    End(Option<Status>),
}

impl Stream for Answers {
    type Item = (LinkId, Item);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let item = match ready!(stream.poll_next_unpin(context)) {
            Some(Ok(answer)) => Item::Answer(answer),
            Some(Err(status)) => Item::End(Some(status)),
            None => Item::End(None),
        };
        if matches!(item, Item::End(_)) {
            self.stream = None;
        }
        Poll::Ready(Some((self.link, item)))
    }
}
