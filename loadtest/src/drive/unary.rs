//! `PublishEvents`: one call for each batch, many at once on one connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::future::ready;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use headgate_proto::v1::PublishEventsResponse;
use http::uri::PathAndQuery;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::codec::{Framed, FramedCodec};
use super::conn::Connector;
use super::{Answer, Carrier, Incoming};
use crate::record::{OpenConnection, Recorder};

const PATH: &str = "/headgate.v1.IngestService/PublishEvents";
/// Longer than the gateway's own deadline for its destination.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct UnaryLink {
    connector: Connector,
    channel: Channel,
    recorder: Arc<Recorder>,
    calls: FuturesUnordered<BoxFuture<'static, (u64, Result<PublishEventsResponse, Status>)>>,
    /// Held while calls are answered.
    open: Option<OpenConnection>,
    opened_before: bool,
}

impl UnaryLink {
    pub(super) fn new(connector: Connector, recorder: Arc<Recorder>) -> Self {
        let channel = connector.connect_lazy();
        Self { connector, channel, recorder, calls: FuturesUnordered::new(), open: None, opened_before: false }
    }

    pub(super) fn send(&mut self, sequence: u64, frame: Bytes) -> Carrier {
        let call = call(self.channel.clone(), self.connector.request(()), frame);
        let timed = timeout(CALL_TIMEOUT, call);
        let settled =
            timed.map(|result| result.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in 30 s"))));
        self.calls.push(settled.map(move |result| (sequence, result)).boxed());
        Carrier(0)
    }

    /// Gives up the connection and the calls on it, as a lost network does.
    pub(super) fn cut(&mut self) -> Vec<Carrier> {
        self.calls = FuturesUnordered::new();
        self.open = None;
        self.channel = self.connector.connect_lazy();
        vec![Carrier(0)]
    }

    pub(super) async fn next(&mut self) -> Incoming {
        let Some((sequence, result)) = self.calls.next().await else { return std::future::pending().await };
        let answer = match result {
            Ok(PublishEventsResponse { verdict: Some(verdict) }) => Answer::Verdict(verdict),
            Ok(PublishEventsResponse { verdict: None }) => Answer::Unanswered("an answer without a verdict".to_owned()),
            Err(status) => from_status(&status),
        };
        if matches!(answer, Answer::Unanswered(_)) {
            self.open = None;
        } else if self.open.is_none() {
            self.open = Some(Recorder::connection_opened(&self.recorder, self.opened_before));
            self.opened_before = true;
        }
        Incoming::Answered { sequence, answer }
    }
}

/// One call.
pub(super) async fn call(
    channel: Channel,
    request: tonic::Request<()>,
    frame: Bytes,
) -> Result<PublishEventsResponse, Status> {
    let mut client = tonic::client::Grpc::new(Framed::new(channel, stream::once(ready(frame))));
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let response = client.unary(request, PathAndQuery::from_static(PATH), FramedCodec::default()).await?;
    Ok(response.into_inner())
}

/// What a call's error says of its batch: the client's own transport errors have a source, the gateway's have none.
fn from_status(status: &Status) -> Answer {
    let broken = std::error::Error::source(status).is_some()
        || matches!(status.code(), Code::Cancelled | Code::Unknown | Code::DeadlineExceeded);
    if broken {
        return Answer::Unanswered(format!("call broken: {:?}: {}", status.code(), status.message()));
    }
    Answer::Refused {
        code: status.code(),
        message: status.message().to_owned(),
        retry_after: status.get_details_retry_info().and_then(|info| info.retry_delay),
    }
}
