//! Whether the load tester kept up in a second.
//!
//! Saturated means that the second's figures say nothing about the gateway: the load tester lacked a core, ran into its
//! quota, or was so late that its batches were no longer those of the plan. A gateway that is slow or refuses is none of
//! that: overflow counts against the load tester only while answers come as fast as ever and none is a refusal.

use std::time::Duration;

use super::sample::Sample;
use crate::record::Latencies;
use crate::result::{Health, HealthState};

/// Lag is fine up to here, however short the linger: it is about what the runtime's timer misses an instant by.
pub const LAG_OK: Duration = Duration::from_millis(5);
/// Lag is fine up to this share of the linger.
pub const LAG_OK_OF_LINGER: f64 = 0.10;
/// Past this share of the linger, and past what is fine, the load tester is saturated, whatever made batches late.
pub const LAG_SATURATED_OF_LINGER: f64 = 0.25;
/// Past this share of its time a worker has no room left.
pub const BUSY_SATURATED: f64 = 0.90;
/// Past this share of the time the CPU quota distorts every latency.
pub const THROTTLED_SATURATED: f64 = 0.01;
/// At least this share of the planned events has to become due.
pub const OFFERED_OK: f64 = 0.99;
/// How many standard deviations a count may fall short of its expectation.
const SIGMAS: f64 = 3.0;
/// Answers are as fast as ever up to this many times the 99th percentile of the fastest second.
const FLAT: f64 = 4.0;
/// And up to here: overflow comes from answers that take seconds, and a few milliseconds are noise.
const FLAT_FLOOR: Duration = Duration::from_millis(10);

/// What the load tester did in a second.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a> {
    /// The lag of the batches that left in it.
    pub lag: &'a Latencies,
    /// How often a server sends.
    pub linger: Duration,
    /// Events never sent because too many batches were unanswered.
    pub overflow: u64,
    /// Whether answers came as fast as ever: [`ServiceClock::is_flat`].
    pub service_flat: bool,
    /// Events that became due.
    pub due: u64,
    /// Events that the plan had due.
    pub planned: f64,
    /// Events of this process that the gateway refused or asked to be sent again, in this second or before it if their
    /// batches still rest; and events that are held back since one was refused.
    pub refused: u64,
    /// Players of this process, online or not.
    pub players: f64,
    /// Players that the plan had online.
    pub planned_online: f64,
}

/// Judges a second.
///
/// - `SATURATED`: lag p99 past 25 % of the linger; or the busiest worker past 90 %; or throttled past 1 %; or overflow
///   although answers came as fast as ever and nothing was refused: a refused batch rests among the unanswered ones,
///   however fast the refusal came.
/// - `LATE`: lag p99 past what is fine, so that latencies are too high by about as much; or fewer events due than 99 % of
///   the plan, its noise and one linger allowed for.
/// - `OK`: anything else. Lag is fine up to 5 ms or 10 % of the linger, whichever is longer.
#[must_use]
pub fn assess(sample: &Sample, second: &Second<'_>) -> Health {
    let lag = second.lag.quantile(0.99);
    let fine = LAG_OK.max(second.linger.mul_f64(LAG_OK_OF_LINGER));
    let late = lag > fine;
    let far_too_late = late && lag > second.linger.mul_f64(LAG_SATURATED_OF_LINGER);
    let ignored_answers = second.overflow > 0 && second.service_flat && second.refused == 0;
    let saturated =
        far_too_late || ignored_answers || sample.busy > BUSY_SATURATED || sample.throttled > THROTTLED_SATURATED;
    // A batch that is due at the end of a second may be booked in the next.
    let linger = second.linger.as_secs_f64().min(1.0);
    let placement = placement(second.players, second.planned_online);
    let short = falls_short(second.due, second.planned * (1.0 - linger), placement);
    Health {
        state: match (saturated, late || short) {
            (true, _) => HealthState::Saturated,
            (false, true) => HealthState::Late,
            (false, false) => HealthState::Ok,
        },
        lag_p99_us: u64::try_from(lag.as_micros()).unwrap_or(u64::MAX),
        run_queue_s: sample.run_queue_s,
        cpu_s: sample.cpu_s,
        busy: sample.busy,
        throttled: sample.throttled,
        pressure: sample.pressure,
    }
}

/// Whether fewer events became due than 99 % of the plan, by more than chance explains: a plan is the expectation of a
/// Poisson process, whose standard deviation is its square root, over a number of players online that is itself a draw,
/// with this relative standard deviation ([`placement`]).
pub(super) fn falls_short(due: u64, planned: f64, placement: f64) -> bool {
    let planned = planned.max(0.0);
    let deviation = planned.sqrt().hypot(planned * placement);
    (due as f64) < OFFERED_OK * planned - SIGMAS * deviation
}

/// The relative standard deviation of the number of players online: each of so many is, independently, with the same
/// probability, such that this many are on average.
pub(super) fn placement(players: f64, online: f64) -> f64 {
    if players > 0.0 && online > 0.0 { ((1.0 - online / players).max(0.0) / online).sqrt() } else { 0.0 }
}

/// Remembers how fast answers can be, to tell whether they still are.
#[derive(Debug, Default)]
pub struct ServiceClock {
    /// The smallest 99th percentile of a second. Not a mean: a gateway that slows down little by little would move it.
    fastest: Option<Duration>,
}

impl ServiceClock {
    /// Whether the answers of a second came as fast as ever: their 99th percentile of service time is at most four times
    /// that of the fastest second before, or 10 ms. Without answers, or before there were any, they did not. To be called
    /// once a second, with the answers that came in it.
    pub fn is_flat(&mut self, service: &Latencies) -> bool {
        if service.count() == 0 {
            return false;
        }
        let p99 = service.quantile(0.99);
        let flat = self.fastest.is_some_and(|fastest| p99 <= FLAT_FLOOR.max(fastest.mul_f64(FLAT)));
        self.fastest = Some(self.fastest.map_or(p99, |fastest| fastest.min(p99)));
        flat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(100);

    fn lag(us: u64) -> Latencies {
        let mut lag = Latencies::default();
        lag.record_us(us, 1_000);
        lag
    }

    fn second(lag: &Latencies) -> Second<'_> {
        Second {
            lag,
            linger: LINGER,
            overflow: 0,
            service_flat: true,
            due: 10_000,
            planned: 10_000.0,
            refused: 0,
            players: 1_000.0,
            planned_online: 1_000.0,
        }
    }

    fn state(sample: Sample, lag_us: u64, linger: Duration) -> HealthState {
        let lag = lag(lag_us);
        assess(&sample, &Second { linger, ..second(&lag) }).state
    }

    #[test]
    fn lag_is_judged_against_the_linger() {
        for (lag_us, linger_ms, expected) in [
            (0, 100, HealthState::Ok),
            (9_900, 100, HealthState::Ok),
            (15_000, 100, HealthState::Late),
            (24_500, 100, HealthState::Late),
            (26_000, 100, HealthState::Saturated),
            (4_900, 5, HealthState::Ok),
            (5_200, 5, HealthState::Saturated),
            (5_200, 50, HealthState::Late),
        ] {
            let found = state(Sample::default(), lag_us, Duration::from_millis(linger_ms));
            assert_eq!(found, expected, "{lag_us} us of {linger_ms} ms");
        }
    }

    #[test]
    fn a_full_worker_or_a_quota_saturates_without_lag() {
        for (busy, throttled, expected) in
            [(0.89, 0.009, HealthState::Ok), (0.91, 0.0, HealthState::Saturated), (0.0, 0.011, HealthState::Saturated)]
        {
            let sample = Sample { busy, throttled, ..Sample::default() };
            assert_eq!(state(sample, 100, LINGER), expected, "{sample:?}");
        }
    }

    #[test]
    fn overflow_is_the_gateways_fault_unless_its_answers_are_as_fast_as_ever() {
        let lag = lag(100);
        let overflow = Second { overflow: 5, ..second(&lag) };
        let slow = Second { service_flat: false, ..overflow };
        assert_eq!(assess(&Sample::default(), &overflow).state, HealthState::Saturated);
        assert_eq!(assess(&Sample::default(), &slow).state, HealthState::Ok);
        let refused = Second { refused: 1, ..overflow };
        assert_eq!(assess(&Sample::default(), &refused).state, HealthState::Ok, "refused batches rest");

        let answers = |ms: u64| {
            let mut service = Latencies::default();
            service.record(Duration::from_millis(ms), 500);
            service
        };
        let mut clock = ServiceClock::default();
        assert!(!clock.is_flat(&answers(10)), "nothing to compare with");
        assert!(clock.is_flat(&answers(12)));
        for ms in [60, 100, 160, 250, 500] {
            assert!(!clock.is_flat(&answers(ms)), "slower little by little is slower too");
        }
        assert!(clock.is_flat(&answers(39)));
        assert!(!clock.is_flat(&Latencies::default()), "a gateway that answers nothing is not fast");
    }

    #[test]
    fn fewer_events_than_planned_are_late_beyond_noise() {
        let lag = lag(100);
        for (due, planned, expected) in [
            (10_000, 10_000.0, HealthState::Ok),
            (8_700, 10_000.0, HealthState::Ok),
            (8_500, 10_000.0, HealthState::Late),
            (0, 5.0, HealthState::Ok),
            (0, 0.0, HealthState::Ok),
        ] {
            let found = assess(&Sample::default(), &Second { due, planned, ..second(&lag) }).state;
            assert_eq!(found, expected, "{due} of {planned}");
        }
    }

    /// 100 of 1,000 players online on average: 9.5 of them more or less, and what they do with them.
    #[test]
    fn fewer_players_online_by_chance_are_no_lack_of_load() {
        let lag = lag(100);
        let short = |due, players, planned_online| {
            let second = Second { due, players, planned_online, linger: Duration::ZERO, ..second(&lag) };
            assess(&Sample::default(), &second).state == HealthState::Late
        };
        assert!(short(9_000, 100.0, 100.0), "everybody is online: 1 % and 3 x 100");
        assert!(!short(9_000, 1_000.0, 100.0));
        assert!(!short(7_100, 1_000.0, 100.0), "1 % and 3 x 954");
        assert!(short(6_900, 1_000.0, 100.0));
        assert!(short(9_000, 1_000_000.0, 100_000.0), "many players even out");
    }
}
