//! A client with raw control: one connection, its calls, and an exact answer to how a call ended.

mod socket;
mod trust;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream;
use h2::Reason;
use headgate_proto::v1::ingest_service_client::IngestServiceClient;
use headgate_proto::v1::{BatchVerdict, Event, PublishEventsRequest, StreamEventsRequest, StreamEventsResponse};
use tokio::sync::mpsc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;

use self::socket::Connector;
pub use self::trust::Trust;

/// A gateway and a key for it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its gRPC door.
    pub address: SocketAddr,
    /// The key.
    pub key: String,
    /// Whom to trust, where connections are TLS: a load balancer ends it, or the gateway itself.
    pub trust: Option<Trust>,
}

impl Target {
    /// A door without TLS.
    #[must_use]
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned(), trust: None }
    }

    /// The head of a call, for clients that speak HTTP/2 themselves.
    pub(crate) fn request(&self, path: &str) -> http::Request<()> {
        http::Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-api-key", &self.key)
            .body(())
            .expect("good headers")
    }
}

/// How a call ended, where it did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The gateway refused with a status of its own: nothing of the call's batch is stored.
    Refused {
        /// The status's code.
        code: Code,
        /// When to try again (`google.rpc.RetryInfo`).
        retry_after: Option<Duration>,
    },
    /// The call was surely not looked at: a GOAWAY came before it, or the connection was closed before it was sent.
    GoAway,
    /// No connection could be made, or none that the gateway has accepted.
    Unreachable,
    /// The connection or the call broke off: a reset, an end without a status.
    BrokenOff(String),
}

impl Failure {
    /// Says how a call ended.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        // Only the gateway says of itself that it is the one who speaks.
        if details.error_info().is_some_and(|info| info.domain == "headgate") {
            let retry_after = details.retry_info().and_then(|info| info.retry_delay);
            return Self::Refused { code: status.code(), retry_after };
        }
        let mut cause: Option<&(dyn Error + 'static)> = status.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<h2::Error>() {
                let reason = error.reason();
                // RFC 9113, 6.8 and 8.7: surely not processed.
                let untouched =
                    error.is_go_away() && reason == Some(Reason::NO_ERROR) || reason == Some(Reason::REFUSED_STREAM);
                return if untouched { Self::GoAway } else { Self::BrokenOff(error.to_string()) };
            }
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
                return Self::GoAway;
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                let refused = error.kind() == io::ErrorKind::ConnectionRefused;
                return if refused { Self::Unreachable } else { Self::BrokenOff(error.to_string()) };
            }
            cause = error.source();
        }
        Self::BrokenOff(format!("{status:?}"))
    }

    /// A few words, the same for failures that are alike.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Refused { code, retry_after: Some(_) } => format!("{code:?} with a hint"),
            Self::Refused { code, retry_after: None } => format!("{code:?}"),
            Self::GoAway => "GOAWAY".to_owned(),
            Self::Unreachable => "unreachable".to_owned(),
            Self::BrokenOff(why) => format!("broken off: {why}"),
        }
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    client: IngestServiceClient<Channel>,
    key: MetadataValue<Ascii>,
    /// What time its calls say it is.
    sent_at: Option<MetadataValue<Ascii>>,
    heard: Arc<AtomicBool>,
}

/// One `StreamEvents` call.
pub struct EventStream {
    /// Where batches go. Dropped, the client has sent everything.
    pub requests: mpsc::Sender<StreamEventsRequest>,
    /// Where answers come from.
    pub answers: Streaming<StreamEventsResponse>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`Failure::Unreachable`].
    ///
    /// # Panics
    /// If the key is no header value.
    pub async fn open(target: &Target) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{}", target.address)).expect("an address is a URI");
        let connector = Connector::new(target.address, target.trust.clone());
        let heard = connector.heard();
        // Whatever goes wrong before there is a connection, there is none.
        let channel = endpoint.connect_with_connector(connector).await.map_err(|_| Failure::Unreachable)?;
        let key = target.key.parse().expect("a key is ASCII");
        Ok(Self { client: IngestServiceClient::new(channel), key, sent_at: None, heard })
    }

    /// Its calls say that they are sent at this time, milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn sent_at(self, ms: i64) -> Self {
        Self { sent_at: Some(ms.into()), ..self }
    }

    /// Says how a call ended. On a connection on which the gateway has not said a word, it has not heard one either.
    #[must_use]
    pub fn failure(&self, status: &Status) -> Failure {
        match Failure::of(status) {
            Failure::BrokenOff(_) if !self.heard.load(Ordering::Relaxed) => Failure::Unreachable,
            failure => failure,
        }
    }

    /// Publishes one batch.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn publish(&mut self, events: Vec<Event>) -> Result<BatchVerdict, Status> {
        let request = self.request(PublishEventsRequest { events });
        let response = self.client.publish_events(request).await?.into_inner();
        response.verdict.ok_or_else(|| Status::new(Code::DataLoss, "an answer without a verdict"))
    }

    /// Opens a stream that holds `window` batches before the connection has taken them.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn stream(&mut self, window: usize) -> Result<EventStream, Status> {
        let (requests, queue) = mpsc::channel(window);
        let queued = stream::unfold(queue, async |mut queue| queue.recv().await.map(|request| (request, queue)));
        let request = self.request(queued);
        let answers = self.client.stream_events(request).await?.into_inner();
        Ok(EventStream { requests, answers })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-api-key", self.key.clone());
        if let Some(sent_at) = &self.sent_at {
            request.metadata_mut().insert("x-sent-at", sent_at.clone());
        }
        request
    }
}
