//! When batches leave: every linger from the start, each at its own instant whatever happened to the ones before.

use std::time::Duration;

use tokio::time::Instant;

use super::clock::GameClock;

/// When a run's schedule begins, on the monotonic clock and on the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) at: Instant,
    pub(crate) epoch_ns: u64,
}

/// The instants of one game server, and how they map to game time and wall-clock time.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    start: Start,
    /// The servers' instants are spread over the linger.
    phase: Duration,
    linger: Duration,
    end: Instant,
    clock: GameClock,
    tick: u32,
    over: bool,
}

impl Schedule {
    /// A schedule that begins at `start`, or now if that is past, and ends `run_time` after `start`.
    pub(crate) fn new(start: Start, run_time: Duration, linger: Duration, phase: f64, clock: GameClock) -> Self {
        let phase = linger.mul_f64(phase);
        let missed = Instant::now().saturating_duration_since(start.at + phase).as_nanos() / linger.as_nanos().max(1);
        let tick = 1 + missed as u32;
        Self { start, phase, linger, end: start.at + run_time, clock, tick, over: false }
    }

    /// The instant from which on events are due.
    pub(crate) fn begins(&self) -> Instant {
        if self.tick == 1 { self.start.at } else { self.start.at + self.phase + self.linger * (self.tick - 1) }
    }

    /// The instant at which the next batch is to leave; none if none is.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.start.at + self.phase + self.linger * self.tick;
        (!self.over).then(|| next.min(self.end))
    }

    /// The batch of [`Self::next`] has left.
    pub(super) fn advance(&mut self) {
        self.over = self.next().is_none_or(|next| next >= self.end);
        self.tick += 1;
    }

    /// Ends at this instant, unless it ends earlier anyway.
    pub(super) fn end_by(&mut self, instant: Instant) {
        self.end = self.end.min(instant);
    }

    /// The end, once nothing more is to leave.
    pub(super) fn ended(&self) -> Option<Instant> {
        self.over.then_some(self.end)
    }

    /// The game time, in milliseconds from the start of the schedule, at this instant.
    pub(super) fn game_ms(&self, at: Instant) -> u64 {
        let real_s = at.saturating_duration_since(self.start.at).as_secs_f64();
        (self.clock.game_s(real_s) * 1e3) as u64
    }

    /// How fast game time passes in the tick that ends so long after the start.
    pub(super) fn speed_at(&self, real: Duration) -> f64 {
        self.clock.speed_at(real.saturating_sub(self.linger).as_secs_f64())
    }

    /// How long after the start of the schedule this instant is.
    pub(crate) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start.at)
    }

    /// The wall-clock time, in nanoseconds of Unix time, so long after the start.
    pub(super) fn epoch_ns(&self, real: Duration) -> u64 {
        self.start.epoch_ns + real.as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_secs(50);
    const RUN: Duration = Duration::from_secs(220);

    fn at(start: Instant, phase: f64) -> Schedule {
        Schedule::new(Start { at: start, epoch_ns: 0 }, RUN, LINGER, phase, GameClock::new(4.0))
    }

    fn offsets(mut schedule: Schedule, start: Instant) -> Vec<u64> {
        let mut offsets = Vec::new();
        while let Some(next) = schedule.next() {
            offsets.push((next - start).as_secs());
            schedule.advance();
        }
        assert_eq!(schedule.ended().map(|end| (end - start).as_secs()), offsets.last().copied());
        offsets
    }

    #[test]
    fn instants_are_a_linger_apart_and_the_last_one_is_the_end() {
        let start = Instant::now();
        assert_eq!(offsets(at(start, 0.5), start), [75, 125, 175, 220]);
    }

    #[test]
    fn a_server_that_starts_late_owes_nothing_of_before() {
        let start = Instant::now() - Duration::from_secs(130);
        let late = at(start, 0.5);
        assert_eq!((late.begins() - start).as_secs(), 125);
        assert_eq!(offsets(late, start), [175, 220]);
    }

    #[test]
    fn a_schedule_ends_early_when_told() {
        let start = Instant::now();
        let mut schedule = at(start, 0.0);
        schedule.end_by(start + Duration::from_secs(60));
        assert_eq!(offsets(schedule, start), [50, 60]);
    }

    #[test]
    fn game_time_passes_at_its_speed() {
        let start = Instant::now();
        let schedule = at(start, 0.0);
        assert_eq!(schedule.game_ms(start + Duration::from_millis(500)), 2_000);
        assert_eq!(schedule.epoch_ns(Duration::from_millis(500)), 500_000_000);
        assert_eq!(schedule.speed_at(Duration::from_millis(500)), 4.0);
    }
}
