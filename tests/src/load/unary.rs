//! Unary calls, one after the other.

use std::time::Duration;

use tokio::time::Instant;

use super::{RECONNECT_PAUSE, Worker};
use crate::client::{Connection, Failure};

impl Worker {
    pub(super) async fn unary(mut self) {
        let mut connection = None;
        while self.has_work() {
            let Some(open) = &mut connection else {
                match Connection::open(&self.target).await {
                    Ok(open) => connection = Some(open),
                    Err(_) => self.pause(RECONNECT_PAUSE).await,
                }
                continue;
            };
            if !self.call(open).await {
                connection = None;
            }
        }
    }

    /// Until there may be something to send.
    async fn rest(&mut self) {
        let mut stage = self.stage.clone();
        tokio::select! {
            () = tokio::time::sleep_until(self.rests_until) => {}
            _ = stage.changed() => {}
        }
    }

    /// Makes one call. Says whether the connection is good for another.
    async fn call(&mut self, connection: &mut Connection) -> bool {
        let Some(batch) = self.next_batch(Instant::now()) else {
            self.rest().await;
            return true;
        };
        let events = self.shared.oracle.send(&batch);
        let patience = match self.happens(self.shape.cancel_one_in) {
            true => Duration::from_micros(self.draw.within(0..=50_000)),
            false => Duration::MAX,
        };
        let sent_at = Instant::now();
        let status = match tokio::time::timeout(patience, connection.publish(events)).await {
            Ok(Ok(verdict)) => {
                self.note(|tally| tally.answered_after(sent_at.elapsed()));
                self.take_verdict(batch, &verdict);
                return true;
            }
            Ok(Err(status)) => status,
            Err(_) => {
                self.note(|tally| tally.cancelled += 1);
                self.shared.oracle.unanswered(&batch, "given up by the client");
                self.backlog.push_back(batch);
                return true;
            }
        };
        let failure = connection.failure(&status);
        self.note(|tally| tally.call_ended(&failure));
        match &failure {
            Failure::Refused { retry_after, .. } => {
                self.note(|tally| tally.answered_after(sent_at.elapsed()));
                self.shared.oracle.refused(&batch);
                self.send_again(batch);
                self.pause(retry_after.unwrap_or(RECONNECT_PAUSE)).await;
                // One that drains is left.
                !status.message().contains("draining")
            }
            Failure::GoAway | Failure::Unreachable | Failure::BrokenOff(_) => {
                self.shared.oracle.unanswered(&batch, &failure.label());
                self.backlog.push_back(batch);
                self.pause(RECONNECT_PAUSE).await;
                false
            }
        }
    }
}
