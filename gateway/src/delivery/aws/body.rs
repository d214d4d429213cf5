//! The body of a call that puts records.
//!
//! Written here in one pass, and given to the SDK in the place of its own: that copies each record, encodes it into a
//! string, looks at the string byte by byte for something to escape, and grows the body by doubling.

mod cbor;
mod json;

use std::sync::Arc;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use crate::delivery::buffers::BufferPool;
use crate::delivery::sender::wire::Entry;

/// Bytes of bodies kept between calls: those of a few calls of the largest size that goes by default.
const KEPT: usize = 12 << 20;

/// Where bodies come from and go again.
#[derive(Clone, Debug)]
pub(super) struct Bodies(Arc<BufferPool>);

impl Default for Bodies {
    fn default() -> Self {
        Self(BufferPool::new(KEPT))
    }
}

impl Bodies {
    /// In JSON: `entries` to the stream that the request's member `member` names as `stream`.
    pub(super) fn json(&self, member: &str, stream: &str, entries: &[Entry]) -> PutBody {
        json::write(self, member, stream, entries)
    }

    /// The same in CBOR.
    pub(super) fn cbor(&self, member: &str, stream: &str, entries: &[Entry]) -> PutBody {
        cbor::write(self, member, stream, entries)
    }
}

/// A body.
#[derive(Debug)]
pub(super) struct PutBody {
    content_type: &'static str,
    bytes: Bytes,
}

impl PutBody {
    /// Whether it is in CBOR.
    pub(super) fn is_cbor(&self) -> bool {
        self.content_type == cbor::CONTENT_TYPE
    }

    /// Puts the body into a request that is not signed yet.
    pub(super) fn replace(&self, request: &mut HttpRequest) {
        request.headers_mut().insert("content-type", self.content_type);
        request.headers_mut().insert("content-length", self.bytes.len().to_string());
        *request.body_mut() = SdkBody::from(self.bytes.clone());
    }
}
