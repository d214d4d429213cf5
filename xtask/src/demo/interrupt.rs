//! Ctrl-C and SIGTERM, heard from the first line to the last.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Stop;

pub(super) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupt {
    pub(super) fn listen() -> Result<Self, Stop> {
        let on = |kind| signal(kind).map_err(|error| format!("can't listen for signals: {error}"));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Does this, unless somebody interrupts.
    pub(super) async fn or<T>(&mut self, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        tokio::select! {
            result = work => result,
            () = self.wait() => Err(Stop::Interrupted),
        }
    }
}
