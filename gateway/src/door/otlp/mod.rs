//! OpenTelemetry's logs as events: what the gRPC and the REST door share of `LogsService.Export` and `POST /v1/logs`.
//!
//! A log record with an event name is an event (`docs/otlp.md` has which of its fields become which). It goes the way of
//! every door's ([`super::intake`]) and is acknowledged once it is stored, like every other. Where a part of a request was
//! not stored the exporter is told to send all of it again: its records have ids that are the same then ([`batch`]).

mod answer;
mod batch;
mod data;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
pub(super) mod json;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod model;
mod record;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

pub(crate) use self::answer::Response;
use super::intake::Intake;
use super::reply::OneReply;
use crate::admission::budget::Permit;
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::event::scan::{Envelope, Head};
use crate::ingest::Incoming;
use crate::ingest::verdict::{BatchOutcome, Reply};
use crate::metrics::CounterHandle;
use crate::registry::Purpose;

/// A request to take log records, read from its wire.
pub(super) struct Export<'a> {
    /// Who sends it.
    pub(super) grant: &'a Grant,
    /// An `ExportLogsServiceRequest`.
    pub(super) request: Bytes,
    /// What it was charged.
    pub(super) permit: Permit,
    /// When it arrived.
    pub(super) arrived: Instant,
    /// The largest message of its door; those of its records that are stored may be no larger as events.
    pub(super) limit: usize,
}

impl Export<'_> {
    /// Takes the records in and waits for their verdicts. `batches` counts the request where it is admitted. The answer
    /// comes with the permit, to be held until it is on its way.
    ///
    /// # Errors
    /// Why the request is refused, or is to be sent again.
    pub(super) async fn take(
        self,
        intake: &Intake,
        batches: &CounterHandle,
    ) -> Result<(Response, Option<Permit>), Refusal> {
        let Self { grant, request, mut permit, arrived, limit } = self;
        // The request may have taken its time.
        grant.check(Purpose::SendBatch)?;
        let (app, limits) = (grant.app(), intake.limits());
        let records = batch::count(&request)?;
        if records == 0 {
            // An exporter with nothing to say has said it (OTLP, "Full Success"), and its bytes have been read.
            app.charge(0, request.len())?;
            return Ok((Response::default(), None));
        }
        if records > limits.max_batch {
            return Err(Refusal::BatchTooLarge { events: records, limit: limits.max_batch });
        }
        // Before the work: whoever sends too much, or to a destination that is down, costs a count.
        let policy = intake.admit_counted(app, records, request.len(), &mut permit)?;
        batches.inc();
        let batch = batch::read(&request, grant.api_key_id(), limits, limit, |grown| permit.grow(grown))?;
        drop(request);
        let message = Bytes::from(batch.message);
        permit.cover_events(records, message.len())?;
        let head = Head { sequence: 0, events: records };
        let reply = Arc::new(OneReply::new());
        intake.take(Incoming {
            app: Arc::clone(app),
            message,
            envelope: Envelope::Publish,
            head,
            flaws: batch.flaws,
            policy,
            permit,
            arrived,
            // An exporter's headers are chosen when it is set up: none of them could tell the time of a request.
            clock_skew_ms: None,
            reply: Arc::clone(&reply) as Arc<dyn Reply>,
            token: 0,
            affinity: intake.next_affinity(),
        });
        let (outcome, permit) = reply.wait().await;
        match outcome {
            BatchOutcome::Settled(verdict) => Response::of(&verdict).map(|response| (response, Some(permit))),
            BatchOutcome::Refused(refusal) => Err(refusal),
        }
    }
}
