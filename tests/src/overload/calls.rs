//! A game server that makes a unary call for each batch.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use headgate_proto::v1::PublishEventsResponse;
use prost::Message;
use tokio::task::JoinSet;
use tonic::Status;

use super::fleet::Server;
use super::samples::{Answer, Sample};
use super::streams::send_some;
use crate::client::{Failure, Target};
use crate::raw;

pub(super) async fn run(mut server: Server) {
    let mut calls = JoinSet::new();
    let template = Arc::new(Mutex::new(server.template));
    while let Some(due) = server.clock.next().await {
        while calls.try_join_next().is_some() {}
        let (connection, target, template) = (server.connection.clone(), server.target.clone(), Arc::clone(&template));
        let (samples, broken, room) = (server.samples.clone(), server.broken.clone(), Arc::clone(&server.room));
        let changed = server.clock.changed();
        calls.spawn(async move {
            // What can't leave yet waits here, where it is not written yet: at twice the capacity that is ever more.
            let Ok(_room) = room.acquire().await else { return };
            if changed() {
                return;
            }
            let message = template.lock().unwrap_or_else(PoisonError::into_inner).next(None);
            match call(connection, &target, message).await {
                Some(answer) => samples.push(Sample { due, answered: Instant::now(), answer }),
                None => {
                    broken.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    while calls.join_next().await.is_some() {}
}

/// The call's answer; `None`: it broke off.
async fn call(connection: SendRequest<Bytes>, target: &Target, mut message: Bytes) -> Option<Answer> {
    let mut connection = connection.ready().await.ok()?;
    let (response, mut body) = connection.send_request(target.request(raw::PUBLISH), false).ok()?;
    let sending = async {
        while !send_some(&mut body, &mut message).await? {}
        body.send_data(Bytes::new(), true)
    };
    let mut response = std::pin::pin!(response);
    // A call may be refused, and its stream closed, before all of it has left: what counts is the answer.
    let response = tokio::select! {
        response = &mut response => response,
        _ = sending => response.await,
    };
    let response = response.ok()?;
    let (head, mut body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return match Failure::of(&status) {
            Failure::Refused { retry_after, .. } => Some(Answer::Refused { hint: retry_after.is_some() }),
            _ => None,
        };
    }
    let mut gathered = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        body.flow_control().release_capacity(data.len()).ok()?;
        gathered.extend_from_slice(&data);
    }
    let verdict = PublishEventsResponse::decode(gathered.get(5..)?).ok()?.verdict?;
    let others = verdict.rejected + verdict.retry + verdict.unknown;
    Some(Answer::Verdict { accepted: verdict.accepted, others })
}
