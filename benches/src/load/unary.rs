//! Single calls: so many at once on one connection, a new one for each that ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
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
        shared.accepted.fetch_add(ended?.into(), Ordering::Relaxed);
    }
}

/// Reads a call's answer to its end. Returns how many events were accepted.
async fn finish(response: ResponseFuture, protocol: Protocol, batch: u32) -> Result<u32> {
    let mut body = connection::body(response.await?)?;
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
    Ok(accepted)
}
