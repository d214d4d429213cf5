//! The gateway's phases, for readiness and for whoever waits for one.

use std::fmt;

use tokio::sync::watch;

use crate::metrics::{Gauge, GaugeHandle, Metrics};

/// Where the gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Parts are being started; recovery runs.
    Starting,
    /// Events are taken.
    Ready,
    /// No new calls; what was taken is being delivered.
    Draining,
    /// Everything is down.
    Stopped,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        })
    }
}

/// The phase, shared.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
    ready: GaugeHandle,
}

impl Lifecycle {
    /// A gateway that is starting.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self { phase: watch::Sender::new(Phase::Starting), ready: metrics.gauge(Gauge::Ready, &[]) }
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Goes on to a later phase; there is no way back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
        self.ready.set(i64::from(self.phase() == Phase::Ready));
    }
}
