//! The way down: readiness off, clients asked to leave, open calls answered while delivery goes on, then the buckets,
//! then the destinations.

use std::sync::Arc;
use std::time::Duration;

use tonic_health::ServingStatus;

use super::{Gateway, key_tasks, services};
use crate::operate::lifecycle::Phase;

/// The end of a drain that is left for flushing, once the last call is cut off.
const FLUSH_RESERVE: Duration = Duration::from_secs(2);

/// How long calls that were cut off may take to end.
const CUT_OFF_PATIENCE: Duration = Duration::from_millis(250);

/// How a gateway stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every call was answered.
    Clean,
    /// Calls were cut off at the deadline.
    CutOff,
}

impl Gateway {
    /// Drains and stops: within `lifecycle.drain_deadline`, whatever clients do.
    pub async fn stop(self) -> Stopped {
        let deadline = self.clock.now() + self.settings.lifecycle.drain_deadline;
        self.lifecycle.enter(Phase::Draining);
        services::set_health(&self.health, ServingStatus::NotServing).await;
        tracing::info!(deadline = ?self.settings.lifecycle.drain_deadline, "draining");
        self.ends.draining.cancel();
        self.calls.close();
        let reserve = FLUSH_RESERVE.min(self.settings.lifecycle.drain_deadline / 4);
        let stopped = match tokio::time::timeout_at((deadline - reserve).into(), self.calls.wait()).await {
            Ok(()) => Stopped::Clean,
            Err(_) => {
                tracing::warn!(
                    calls = self.calls.len(),
                    "calls are still open at the end of the drain; cutting them off"
                );
                self.ends.closing.cancel();
                Stopped::CutOff
            }
        };
        // Nothing comes in any more. What lies in open buckets belongs to calls that were cut off or cancelled; it is
        // delivered all the same.
        if stopped == Stopped::CutOff {
            // What is cut off ends at its next step; what it still wrote is to be in the buckets that are closed below.
            let _ = tokio::time::timeout(CUT_OFF_PATIENCE, self.calls.wait()).await;
        }
        self.stop.cancel();
        let withdrawn = Arc::clone(&self.shares);
        self.routes.outlets().for_each(|outlet| outlet.lanes.close_all());
        let flush = async {
            for (closed, destination) in self.destinations.iter().enumerate() {
                // One that hangs must not take the time of those after it.
                let left = deadline.saturating_duration_since(self.clock.now());
                let parts = u32::try_from(self.destinations.len() - closed + 1).unwrap_or(2);
                if tokio::time::timeout(left / parts, destination.close()).await.is_err() {
                    tracing::error!(destination = destination.name(), "did not take everything in time");
                    destination.abandon();
                }
            }
            for spill in &self.spills {
                spill.close().await;
            }
            self.rejects.close().await;
            tokio::join!(withdrawn.withdraw(), key_tasks::finish(&self.keys, &self.settings.admission));
            self.delivered.cancel();
            self.background.close();
            self.background.wait().await;
        };
        let flushed = tokio::time::timeout_at(deadline.into(), flush).await;
        self.lifecycle.enter(Phase::Stopped);
        match flushed {
            Ok(()) => {
                self.data_dir.release();
                stopped
            }
            Err(_) => {
                tracing::error!("the destination did not take everything before the drain's deadline");
                Stopped::CutOff
            }
        }
    }
}
