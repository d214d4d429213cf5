//! Batches from within the process, such as the console's test event: the way of every other, but for the wire.

use std::sync::Arc;

use bytes::Bytes;
use headgate_proto::v1::BatchVerdict;
use uuid::Uuid;

use super::intake::{Admitted, Intake};
use super::reply::OneReply;
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::event::scan::{self, Envelope};
use crate::ingest::Incoming;
use crate::ingest::verdict::{BatchOutcome, Reply};
use crate::registry::Purpose;

/// Takes batches of clients that are no further away than this process.
pub struct Direct {
    intake: Arc<Intake>,
    clock: Clock,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Sent {
    /// The application that its key is of; `None` where nobody knows the key.
    pub application: Option<Uuid>,
    /// Its verdict, or why it was refused as a whole.
    pub outcome: Result<BatchVerdict, Refusal>,
    /// Whether one of its events is of a player whose events are not kept: then it is in no destination, whatever the
    /// verdict says.
    pub suppressed: bool,
}

impl Direct {
    /// Over the way that all batches go.
    #[must_use]
    pub fn new(intake: &Arc<Intake>, clock: &Clock) -> Arc<Self> {
        Arc::new(Self { intake: Arc::clone(intake), clock: clock.clone() })
    }

    /// Publishes a `PublishEventsRequest` with this key, and waits for its verdict.
    pub async fn publish(&self, key: &str, message: Bytes) -> Sent {
        let sent = match self.intake.authenticate(key).await {
            Ok(grant) => {
                let suppressed = self.is_suppressed(&grant, &message);
                let (application, outcome) = (Some(grant.app().id()), self.publish_with(&grant, message).await);
                Sent { application, outcome, suppressed }
            }
            Err((application, refusal)) => Sent { application, outcome: Err(refusal), suppressed: false },
        };
        if let Err(refusal) = &sent.outcome {
            self.intake.refused(sent.application, refusal);
        }
        sent
    }

    fn is_suppressed(&self, grant: &Grant, message: &[u8]) -> bool {
        let Some(policy) = self.intake.policy(grant.app()) else { return false };
        let mut events = scan::events(message, Envelope::Publish).filter_map(|bytes| scan::event(bytes).ok());
        events.any(|event| policy.is_suppressed_as_far_as_readable(event.event_data))
    }

    async fn publish_with(&self, grant: &Grant, message: Bytes) -> Result<BatchVerdict, Refusal> {
        grant.check(Purpose::SendBatch)?;
        let app = grant.app();
        let mut permit = app.take_permit(message.len())?;
        let admitted = self.intake.admit(app, &message, &mut permit, Envelope::Publish);
        let Admitted { head, policy } = admitted.map_err(|(_, refusal)| refusal)?;
        let reply = Arc::new(OneReply::new());
        self.intake.take(Incoming {
            app: Arc::clone(app),
            message,
            envelope: Envelope::Publish,
            head,
            flaws: Vec::new(),
            policy,
            permit,
            arrived: self.clock.now(),
            clock_skew_ms: None,
            reply: Arc::clone(&reply) as Arc<dyn Reply>,
            token: 0,
            affinity: self.intake.next_affinity(),
        });
        // The permit goes back here: nothing is on its way to a client any more.
        match reply.wait().await.0 {
            BatchOutcome::Settled(verdict) => Ok(verdict),
            BatchOutcome::Refused(refusal) => Err(refusal),
        }
    }
}
