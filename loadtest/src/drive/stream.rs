//! `StreamEvents`: one long-lived stream at a time, opened again when it breaks.
//!
//! When the gateway asks the stream to move (drain, connection age), a new one is opened, on a connection of its own, and
//! the old one is half-closed and read until its batches are answered. Until the new one is open, batches go on leaving
//! on the old one as long as its grace lasts.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, SelectAll, poll_fn};
use futures_util::{FutureExt, Stream, StreamExt, ready};
use headgate_proto::v1::{StreamEventsResponse, StreamNotice, stream_events_response};
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status, Streaming};

use super::codec::{Framed, FramedCodec};
use super::conn::{Backoff, Connector};
use super::{Answer, Carrier, Incoming};
use crate::engine::Batch;
use crate::record::{OpenConnection, Recorder};

const PATH: &str = "/headgate.v1.IngestService/StreamEvents";
/// From the start of connecting to the response headers.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a half-closed stream may take to end at the end of a run.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

type Opened = (mpsc::UnboundedSender<Bytes>, Streaming<StreamEventsResponse>);

pub(super) struct StreamLink {
    connector: Connector,
    backoff: Backoff,
    recorder: Arc<Recorder>,
    opening: Option<BoxFuture<'static, Result<Opened, Status>>>,
    /// The stream that batches leave on.
    current: Option<Current>,
    /// The answers of the current stream and of those before it that still owe some.
    answers: SelectAll<Answers>,
    opened: u32,
    /// When the first try to connect began that has not ended in an open stream yet.
    opening_since: Instant,
}

struct Current {
    carrier: Carrier,
    /// Never holds more than the batches in flight, which are bounded.
    requests: mpsc::UnboundedSender<Bytes>,
    /// When the gateway stops reading it; none unless it asked the stream to move.
    move_by: Option<Instant>,
}

/// The answers of one stream, and then its end.
struct Answers {
    carrier: Carrier,
    stream: Option<Streaming<StreamEventsResponse>>,
    _open: OpenConnection,
}

enum Item {
    Answer(StreamEventsResponse),
    End(Option<Status>),
}

impl Stream for Answers {
    type Item = (Carrier, Item);

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
        Poll::Ready(Some((self.carrier, item)))
    }
}

impl StreamLink {
    pub(super) fn new(connector: Connector, backoff: Backoff, recorder: Arc<Recorder>) -> Self {
        let opening = Some(open(connector.clone(), Duration::ZERO).boxed());
        Self {
            connector,
            backoff,
            recorder,
            opening,
            current: None,
            answers: SelectAll::new(),
            opened: 0,
            opening_since: Instant::now(),
        }
    }

    pub(super) fn send(&mut self, sequence: u64, batch: &mut Batch) -> Option<Carrier> {
        let current = self.current.as_ref()?;
        if current.move_by.is_some_and(|move_by| move_by <= Instant::now()) {
            self.current = None;
            return None;
        }
        current.requests.send(batch.frame(Some(sequence))).ok().map(|()| current.carrier)
    }

    pub(super) async fn next(&mut self) -> Incoming {
        loop {
            if self.opening.is_none() && self.current.as_ref().is_none_or(|current| current.move_by.is_some()) {
                self.opening = Some(open(self.connector.clone(), self.backoff.next()).boxed());
                if self.current.is_some() {
                    self.opening_since = Instant::now();
                }
            }
            let Self { opening, answers, .. } = self;
            let (carrier, item) = tokio::select! {
                Some(next) = answers.next(), if !answers.is_empty() => next,
                result = async { opening.as_mut().expect("polled only if present").await }, if opening.is_some() => {
                    *opening = None;
                    return match result {
                        Ok(opened) => self.take_over(opened),
                        Err(status) => Incoming::Trouble(describe("can't open a stream", &status)),
                    };
                }
                else => std::future::pending().await,
            };
            match item {
                Item::Answer(StreamEventsResponse { sequence, answer }) => {
                    self.backoff.reset();
                    match answer {
                        Some(stream_events_response::Answer::Notice(notice)) => self.prepare_to_move(carrier, &notice),
                        Some(stream_events_response::Answer::Verdict(verdict)) => {
                            return Incoming::Answered { sequence, answer: Answer::Verdict(verdict) };
                        }
                        Some(stream_events_response::Answer::Refusal(status)) => {
                            let answer = Answer::Refused {
                                code: Code::from_i32(status.code),
                                message: status.message,
                                retry_after: status.retry_delay.and_then(|delay| delay.try_into().ok()),
                            };
                            return Incoming::Answered { sequence, answer };
                        }
                        None => {
                            return Incoming::Trouble("an answer of a kind that this client does not know".to_owned());
                        }
                    }
                }
                Item::End(status) => {
                    self.opening_since = Instant::now();
                    let current = self.current.take_if(|current| current.carrier == carrier);
                    let asked = current.is_none_or(|current| current.move_by.is_some());
                    let why = status.map(|status| describe("stream broken", &status));
                    return Incoming::Lost { carrier, why, asked };
                }
            }
        }
    }

    /// Sends on the new stream from now on, and half-closes the old one.
    fn take_over(&mut self, (requests, stream): Opened) -> Incoming {
        let carrier = Carrier(self.opened);
        let open = Recorder::connection_opened(&self.recorder, self.opened > 0);
        self.opened += 1;
        self.current = Some(Current { carrier, requests, move_by: None });
        self.answers.push(Answers { carrier, stream: Some(stream), _open: open });
        Incoming::Opened { after: self.opening_since.elapsed(), again: carrier != Carrier(0) }
    }

    fn prepare_to_move(&mut self, carrier: Carrier, notice: &StreamNotice) {
        let grace = notice.grace.and_then(|grace| grace.try_into().ok()).unwrap_or(Duration::ZERO);
        if let Some(current) = self.current.as_mut().filter(|current| current.carrier == carrier) {
            current.move_by.get_or_insert(Instant::now() + grace);
        }
    }

    /// Cuts the streams without a word, as a lost network does. What was sent on them and not answered will not be.
    pub(super) fn cut(&mut self) -> Vec<Carrier> {
        self.current = None;
        self.opening = None;
        self.opening_since = Instant::now();
        std::mem::take(&mut self.answers).into_iter().map(|answers| answers.carrier).collect()
    }

    pub(super) async fn close(&mut self) {
        self.opening = None;
        self.current = None;
        let ends = async { while self.answers.next().await.is_some() {} };
        // A stream that does not end in time is reset when it is dropped.
        let _ = timeout(CLOSE_TIMEOUT, ends).await;
    }
}

/// Opens a stream after a wait.
async fn open(connector: Connector, wait: Duration) -> Result<Opened, Status> {
    sleep(wait).await;
    let (requests, mut outgoing) = mpsc::unbounded_channel();
    let opening = open_with(connector, poll_fn(move |context| outgoing.poll_recv(context)));
    let opened = timeout(OPEN_TIMEOUT, opening).await;
    Ok((requests, opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in 10 s")))?))
}

/// Opens a stream that takes only so many requests that the gateway does not read.
pub(super) async fn open_bounded(
    connector: Connector,
    unread: usize,
) -> Result<(mpsc::Sender<Bytes>, Streaming<StreamEventsResponse>), Status> {
    let (requests, mut outgoing) = mpsc::channel(unread);
    Ok((requests, open_with(connector, poll_fn(move |context| outgoing.poll_recv(context))).await?))
}

async fn open_with(
    connector: Connector,
    outgoing: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<Streaming<StreamEventsResponse>, Status> {
    let mut client = tonic::client::Grpc::new(Framed::new(connector.connect().await?, outgoing));
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(PATH);
    let response = client.streaming(connector.request(stream::empty()), path, FramedCodec::default()).await?;
    Ok(response.into_inner())
}

fn describe(what: &str, status: &Status) -> String {
    format!("{what}: {:?}: {}", status.code(), status.message())
}
