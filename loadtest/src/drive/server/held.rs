//! What a throttled game server holds back, and when it lets it leave.
//!
//! Batches leave in the order in which they were to leave at first, so one that was refused goes before younger ones; how
//! long they were held back is part of their latency.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use super::super::flight::Flight;
use super::super::pace::Pace;
use super::{GIVE_UP_AFTER, GameServer};

impl GameServer {
    /// The application sends more than it may: from now on batches leave at a pace, and none before the hint is over.
    pub(super) fn throttle(&mut self, mut flight: Flight, hint: Option<Duration>, now: Instant) {
        let pause = match hint {
            Some(hint) => self.backoff.after_hint(hint),
            None => self.backoff.full_jitter(flight.attempts),
        };
        flight.not_before = hint.map(|hint| now + hint);
        let events = flight.batch.events();
        let rate = self.due_lately.max(events) as f64 / self.common.linger.as_secs_f64();
        let pace = self.pace.get_or_insert_with(|| Pace::new(rate, events, now));
        if let Some(sent) = flight.sent {
            pace.refused(events, sent, now);
        }
        pace.pause_until(now + pause);
        self.launch(flight);
    }

    /// When something that is held back leaves, or is given up.
    pub(super) fn next_release(&self) -> Option<Instant> {
        let pace = self.pace.as_ref()?;
        Some(pace.next().min(self.flights.oldest_held()? + GIVE_UP_AFTER))
    }

    /// Lets leave what the pace allows, and gives up what was held back for too long.
    pub(super) fn release(&mut self) {
        let now = Instant::now();
        while let (Some(pace), Some(oldest)) = (&mut self.pace, self.flights.oldest_held()) {
            let too_old = now.saturating_duration_since(oldest) >= GIVE_UP_AFTER;
            if !too_old && !pace.allows(now) {
                break;
            }
            match self.flights.take_held() {
                Some(flight) if too_old => self.give_up(flight, Code::DeadlineExceeded, "held back for 60 s"),
                Some(flight) => self.send(flight),
                None => break,
            }
        }
        self.set_held(self.flights.held_events());
    }

    pub(super) fn set_held(&mut self, events: u64) {
        if self.held != events {
            self.common.recorder.held_changed(events as i64 - self.held as i64);
            self.held = events;
        }
    }
}
