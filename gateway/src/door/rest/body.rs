//! Reads request bodies without trusting them: each has a limit and a time, and a batch's is charged to its application's
//! budget before it is read.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::admission::app::App;
use crate::admission::budget::Permit;
use crate::admission::refusal::Refusal;
use crate::door::connection::{Leave, LeaveSignal};
use crate::door::decompress::{Decompressor, Encoding};

/// How a body is read.
pub(super) struct Reading {
    /// The largest body, before and after decompression.
    pub(super) limit: usize,
    /// How long it may take to arrive.
    pub(super) timeout: Duration,
    /// A gateway that drains gives it a grace at most.
    pub(super) leave: Arc<LeaveSignal>,
}

impl Reading {
    /// A batch's body, decompressed, with what it was charged.
    ///
    /// # Errors
    /// Why it can't be had.
    pub(super) async fn batch(&self, headers: &HeaderMap, body: Body, app: &App) -> Result<(Bytes, Permit), Refusal> {
        let encoding = Encoding::parse(headers.get(header::CONTENT_ENCODING))?;
        let declared = self.declared(&body)?;
        let mut permit = app.take_permit(declared.unwrap_or(0))?;
        permit.join_call(app.take_call()?)?;
        let charge = |permit: &mut Permit, len| if declared.is_none() { permit.grow(len) } else { Ok(()) };
        let bytes = self.whole(body, |len| charge(&mut permit, len)).await?;
        if encoding == Encoding::Identity {
            return Ok((bytes, permit));
        }
        let decompressed = Decompressor::new(self.limit).decompress(encoding, &bytes, &mut permit);
        decompressed.map(|output| (output.into(), permit)).map_err(|failed| failed.refusal)
    }

    /// Another request's body, as it is.
    ///
    /// # Errors
    /// Why it can't be had.
    pub(super) async fn small(&self, body: Body) -> Result<Bytes, Refusal> {
        let _ = self.declared(&body)?;
        self.whole(body, |_| Ok(())).await
    }

    /// Its length, where it is declared. Where that is too long, nothing of it is read.
    fn declared(&self, body: &Body) -> Result<Option<usize>, Refusal> {
        let Some(declared) = body.size_hint().exact() else { return Ok(None) };
        match usize::try_from(declared) {
            Ok(len) if len <= self.limit => Ok(Some(len)),
            _ => Err(Refusal::MessageTooLarge { size: declared, limit: self.limit as u64 }),
        }
    }

    async fn whole(&self, body: Body, charge: impl FnMut(usize) -> Result<(), Refusal>) -> Result<Bytes, Refusal> {
        let draining = async {
            match Arc::clone(&self.leave).wait().await {
                Leave::Draining { grace } => tokio::time::sleep(grace).await,
                // Its requests are answered first, however old a connection is.
                Leave::ConnectionAge { .. } => std::future::pending().await,
            }
        };
        tokio::select! {
            bytes = self.gathered(body, charge) => bytes,
            () = draining => Err(Refusal::Draining),
            () = tokio::time::sleep(self.timeout) => Err(Refusal::MessageTimeout { limit: self.timeout }),
        }
    }

    /// A body in one piece is not copied.
    async fn gathered(
        &self,
        mut body: Body,
        mut charge: impl FnMut(usize) -> Result<(), Refusal>,
    ) -> Result<Bytes, Refusal> {
        let (mut first, mut rest, mut length) = (Bytes::new(), BytesMut::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::Undecodable { why: "the body ended early" })?;
            let Ok(data) = frame.into_data() else { continue };
            length += data.len();
            if length > self.limit {
                return Err(Refusal::MessageTooLarge { size: length as u64, limit: self.limit as u64 });
            }
            charge(data.len())?;
            if length == data.len() {
                first = data;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }
}
