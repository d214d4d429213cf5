//! Whether a request's body was read to its end. Over HTTP/1.1 a connection can't go on past one that was not: its answer
//! has to say so (RFC 9112, 9.6), or the client sends its next request into a connection that is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A body whose end is noticed.
pub(super) struct Arriving {
    body: Incoming,
    arrived: Arc<AtomicBool>,
}

/// Tells whether it has arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival(Arc<AtomicBool>);

impl Arriving {
    pub(super) fn new(body: Incoming) -> (Self, Arrival) {
        let arrived = Arc::new(AtomicBool::new(body.is_end_stream()));
        (Self { body, arrived: Arc::clone(&arrived) }, Arrival(arrived))
    }
}

impl Arrival {
    /// Whether nothing of the body is left.
    pub(super) fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.arrived.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
