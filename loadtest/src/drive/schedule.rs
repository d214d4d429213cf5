//! When batches leave: every linger from the start, each at its own instant whatever happened to the ones before.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The instants of one game server, and how they map to game time and wall-clock time.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    start: Instant,
    start_epoch_ns: u64,
    /// The servers' instants are spread over the linger.
    phase: Duration,
    linger: Duration,
    end: Option<Instant>,
    /// Milliseconds of game time in a second.
    game_ms_per_second: f64,
    tick: u32,
    over: bool,
}

impl Schedule {
    /// A schedule that starts at `start` and ends after `duration`.
    #[expect(clippy::disallowed_methods, reason = "the one look at the wall clock: every event's time follows from it")]
    pub(crate) fn new(start: Instant, duration: Option<Duration>, linger: Duration, speed: f64) -> Self {
        let until_start = start.saturating_duration_since(Instant::now());
        let start_epoch = (SystemTime::now() + until_start).duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            start,
            start_epoch_ns: start_epoch.as_nanos() as u64,
            phase: Duration::ZERO,
            linger,
            end: duration.map(|duration| start + duration),
            game_ms_per_second: speed * 1e3,
            tick: 1,
            over: false,
        }
    }

    /// The same schedule, this share of the linger later.
    pub(crate) fn shifted(&self, share: f64) -> Self {
        Self { phase: self.linger.mul_f64(share), ..self.clone() }
    }

    /// The instant at which the next batch is to leave; none if none is.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.start + self.phase + self.linger * self.tick;
        (!self.over).then(|| self.end.map_or(next, |end| next.min(end)))
    }

    /// The batch of [`Self::next`] has left.
    pub(super) fn advance(&mut self) {
        self.over = self.next().is_none_or(|next| self.end.is_some_and(|end| next >= end));
        self.tick += 1;
    }

    /// Ends at this instant, unless it ends earlier anyway.
    pub(super) fn end_by(&mut self, instant: Instant) {
        self.end = Some(self.end.map_or(instant, |end| end.min(instant)));
    }

    /// The end, once nothing more is to leave.
    pub(super) fn ended(&self) -> Option<Instant> {
        self.end.filter(|_| self.over)
    }

    /// The game time, in milliseconds from its beginning, at this instant.
    pub(super) fn game_ms(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.start).as_secs_f64() * self.game_ms_per_second) as u64
    }

    /// The wall-clock time, in nanoseconds of Unix time, of this game time.
    pub(super) fn epoch_ns(&self, game_ms: u64) -> u64 {
        self.start_epoch_ns + (game_ms as f64 / self.game_ms_per_second * 1e9) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_a_linger_apart_and_the_last_one_is_the_end() {
        let start = Instant::now();
        let (linger, duration) = (Duration::from_millis(50), Duration::from_millis(220));
        let mut schedule = Schedule::new(start, Some(duration), linger, 4.0).shifted(0.5);
        let mut offsets = Vec::new();
        while let Some(next) = schedule.next() {
            offsets.push((next - start).as_millis());
            schedule.advance();
        }
        assert_eq!(offsets, [75, 125, 175, 220]);
        assert_eq!(schedule.ended(), Some(start + duration));
    }

    #[test]
    fn a_schedule_without_end_ends_when_told() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, None, Duration::from_millis(50), 4.0);
        schedule.advance();
        assert_eq!(schedule.ended(), None);
        schedule.end_by(start + Duration::from_millis(60));
        assert_eq!(schedule.next(), Some(start + Duration::from_millis(60)));
        schedule.advance();
        assert_eq!((schedule.next(), schedule.ended()), (None, Some(start + Duration::from_millis(60))));
    }

    #[test]
    fn game_time_passes_at_its_speed_and_maps_back() {
        let start = Instant::now();
        let schedule = Schedule::new(start, None, Duration::from_millis(50), 4.0);
        assert_eq!(schedule.game_ms(start + Duration::from_millis(500)), 2_000);
        assert_eq!(schedule.epoch_ns(2_000) - schedule.epoch_ns(0), 500_000_000);
    }
}
