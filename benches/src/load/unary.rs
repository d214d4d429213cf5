//! Single calls: so many at once on one connection, a new one for each that ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};

use super::answers::{Messages, check_otlp, check_unary};
use super::batch::Batches;
use super::connection::{self, Open};
use super::{Protocol, Shared, Target};
use crate::Result;

pub(super) async fn run(open: Open, batches: Batches, target: Target, shared: Arc<Shared>) -> Result<()> {
    connection::drive(open.connection, calls(open.calls, batches, &target, &shared)).await
}

async fn calls(mut calls: SendRequest<Bytes>, mut batches: Batches, target: &Target, shared: &Shared) -> Result<()> {
    let most = shared.in_flight;
    let head = connection::head(target, shared.case.call)?;
    let mut in_flight = FuturesUnordered::new();
    loop {
        while in_flight.len() < most && shared.may_send() {
            calls = calls.ready().await?;
            let (response, mut sender) = calls.send_request(head.clone(), false)?;
            sender.send_data(batches.next_framed(), true)?;
            in_flight.push(finish(response, target.protocol, shared.case.batch));
        }
        let Some(ended) = in_flight.next().await else { return Ok(()) };
        match ended? {
            Some(accepted) => shared.accepted.fetch_add(accepted.into(), Ordering::Relaxed),
            None => {
                shared.sent.fetch_sub(shared.case.batch.into(), Ordering::Relaxed);
                tokio::time::sleep(REFUSED_PAUSE).await;
                continue;
            }
        };
    }
}

/// Before another call takes the place of one that was refused.
const REFUSED_PAUSE: Duration = Duration::from_millis(1);

/// Reads a call's answer to its end. Returns how many events were accepted; `None`: the server said that it has done nothing
/// with the call and that it may come again (RFC 9113, 8.7), as some do with many at once, and has not to.
async fn finish(response: ResponseFuture, protocol: Protocol, batch: u32) -> Result<Option<u32>> {
    let response = match response.await {
        Err(error) if protocol == Protocol::Otlp && error.reason() == Some(Reason::REFUSED_STREAM) => return Ok(None),
        response => response?,
    };
    let mut body = connection::body(response)?;
    let mut messages = Messages::default();
    let mut accepted = 0;
    while let Some(chunk) = connection::next_chunk(&mut body).await? {
        messages.push(chunk);
        while let Some(message) = messages.take() {
            accepted += match protocol {
                Protocol::Unread => batch,
                Protocol::Otlp => check_otlp(message, batch)?,
                _ => check_unary(message, batch)?,
            };
        }
    }
    connection::end(&mut body).await?;
    Ok(Some(accepted))
}
