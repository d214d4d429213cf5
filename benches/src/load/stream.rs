//! One stream: keeps so many batches on their way, sends one for each answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::client::SendRequest;

use super::answers::{Messages, check_stream};
use super::batch::Batches;
use super::connection::{self, Open};
use super::{Protocol, Shared, Target};
use crate::Result;

pub(super) async fn run(open: Open, batches: Batches, target: Target, shared: Arc<Shared>) -> Result<()> {
    connection::drive(open.connection, stream(open.calls, batches, &target, &shared)).await
}

async fn stream(calls: SendRequest<Bytes>, mut batches: Batches, target: &Target, shared: &Shared) -> Result<()> {
    let mut calls = calls.ready().await?;
    let (response, mut sender) = calls.send_request(connection::head(target, shared.case.call)?, false)?;
    let batch = shared.case.batch;
    let most = shared.in_flight;
    let mut in_flight = 0;
    let mut body = connection::body(response.await?)?;
    let mut messages = Messages::default();
    loop {
        // What is sent beyond the window waits in h2, which `most` bounds.
        while in_flight < most && shared.may_send() {
            sender.send_data(batches.next_framed(), false)?;
            in_flight += 1;
        }
        if in_flight == 0 {
            break;
        }
        let Some(chunk) = connection::next_chunk(&mut body).await? else {
            connection::end(&mut body).await?;
            return Err("the server ended the stream before it had answered everything".into());
        };
        messages.push(chunk);
        let mut accepted = 0;
        while let Some(message) = messages.take() {
            let events = match target.protocol {
                Protocol::Unread => batch,
                _ => check_stream(message, batch)?,
            };
            in_flight -= usize::from(events > 0);
            accepted += events;
        }
        shared.accepted.fetch_add(accepted.into(), Ordering::Relaxed);
    }
    sender.send_data(Bytes::new(), true)?;
    while connection::next_chunk(&mut body).await?.is_some() {}
    connection::end(&mut body).await
}
