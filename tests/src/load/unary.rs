//! Unary calls, one after the other.

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

    /// Makes one call. Says whether the connection is good for another.
    async fn call(&mut self, connection: &mut Connection) -> bool {
        let Some(batch) = self.next_batch() else { return true };
        let events = self.shared.oracle.send(&batch);
        let status = match connection.publish(events).await {
            Ok(verdict) => {
                self.note(|tally| tally.answered += 1);
                self.backlog.extend(self.shared.oracle.verdict(&batch, &verdict));
                return true;
            }
            Err(status) => status,
        };
        let failure = connection.failure(&status);
        self.note(|tally| tally.call_ended(&failure));
        let good = match &failure {
            Failure::Refused { retry_after, .. } => {
                self.shared.oracle.refused(&batch);
                self.pause(retry_after.unwrap_or(RECONNECT_PAUSE)).await;
                // One that drains is left.
                !status.message().contains("draining")
            }
            Failure::GoAway | Failure::Unreachable | Failure::BrokenOff(_) => {
                self.pause(RECONNECT_PAUSE).await;
                false
            }
        };
        self.backlog.push_back(batch);
        good
    }
}
