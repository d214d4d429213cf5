//! An answer on its way to the client: whole, or cut in the middle by a reset. Its body holds what must be told when it
//! has been handed over: that the connection is idle again, and that the records are no longer in doubt.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;

use super::link::{Busy, Link};
use super::parse::Encoding;
use super::tally::Doubt;

/// Status, error type and body.
pub(super) struct Answer {
    status: StatusCode,
    error: Option<&'static str>,
    encoding: Encoding,
    body: Bytes,
}

impl Answer {
    pub(super) fn json(body: &impl Serialize) -> Self {
        Self::bytes(serde_json::to_vec(body).expect("an answer has no keys that JSON has not"))
    }

    pub(super) fn bytes(body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, error: None, encoding: Encoding::Json, body: body.into() }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn with_error(self, status: StatusCode, kind: &'static str) -> Self {
        Self { status, error: Some(kind), ..self }
    }

    /// The answer in the encoding of the call.
    pub(super) fn encoded(self, encoding: Encoding) -> Self {
        if encoding == Encoding::Json {
            return self;
        }
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("an answer is JSON");
        let body = minicbor_serde::to_vec(body).expect("CBOR has all that JSON has").into();
        Self { encoding, body, ..self }
    }

    /// The response, which settles the doubt as soon as the connection has taken it.
    pub(super) fn whole(self, busy: Busy, doubt: Option<Doubt>, request: u64) -> Response<AnswerBody> {
        self.response(request, |body| AnswerBody { len: body.len(), rest: Some(body), cut: None, doubt, _busy: busy })
    }

    /// The response's head and half of its body; then the connection is reset.
    pub(super) fn cut(self, busy: Busy, link: Arc<Link>, request: u64) -> Response<AnswerBody> {
        self.response(request, |body| AnswerBody {
            len: body.len(),
            rest: Some(body.slice(..body.len() / 2)),
            cut: Some(link),
            doubt: None,
            _busy: busy,
        })
    }

    fn response(self, request: u64, body: impl FnOnce(Bytes) -> AnswerBody) -> Response<AnswerBody> {
        let mut response = Response::new(body(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.encoding.content_type()));
        let id = HeaderValue::from_str(&format!("{request:032x}")).expect("digits");
        headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
        if let Some(kind) = self.error {
            headers.insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(kind));
        }
        response
    }
}

/// See the module.
pub(super) struct AnswerBody {
    len: usize,
    rest: Option<Bytes>,
    /// The connection to reset once `rest` is out.
    cut: Option<Arc<Link>>,
    doubt: Option<Doubt>,
    _busy: Busy,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(part) = this.rest.take() {
            if this.cut.is_none()
                && let Some(doubt) = this.doubt.take()
            {
                doubt.settle();
            }
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match &this.cut {
            // The connection flushes what it has before it looks whether it is to end.
            Some(link) => {
                link.reset();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.rest.is_none() && self.cut.is_none() { 0 } else { self.len as u64 })
    }
}
