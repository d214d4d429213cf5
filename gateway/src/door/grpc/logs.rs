//! `opentelemetry.proto.collector.logs.v1.LogsService/Export`: one request, one answer.

use std::sync::Arc;

use hyper::body::Incoming as RequestBody;

use super::Shared;
use super::body::{GrpcBody, framed};
use super::message::MessageReader;
use super::publish::read_one;
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::door::open_calls::OpenCall;
use crate::door::otlp::Export;

/// Reads the call's one message, takes its log records in and waits for their verdicts.
pub(super) async fn export(
    shared: &Arc<Shared>,
    grant: &Grant,
    mut reader: MessageReader<RequestBody>,
    call: OpenCall,
) -> Result<GrpcBody, Refusal> {
    let arrived = shared.clock.now();
    let app = grant.app();
    let charged = app.take_call()?;
    let due = arrived + shared.message_timeout;
    let (request, permit) = tokio::time::timeout_at(due.into(), read_one(&mut reader, app, charged))
        .await
        .unwrap_or(Err(Refusal::MessageTimeout { limit: shared.message_timeout }))?;
    let export = Export { grant, request, permit, arrived, limit: shared.max_message };
    // A small answer fits into any client's window: its batch's bytes need not be held until it has left.
    let (response, _permit) = export.take(&shared.intake, &shared.metrics.otlp_batches).await?;
    Ok(GrpcBody::message(framed(&response).into(), call))
}
