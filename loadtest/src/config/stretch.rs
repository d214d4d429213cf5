//! A scenario's timeline in another run time: every time in it is scaled alike, and Goose's ramp puts it off as a whole.
//!
//! What phases, actions and bad clients begin and end with stays on whole seconds, as rules see them. Rules keep theirs:
//! ten seconds until everybody is connected again are no less in a short run.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::{PhasePlan, Profile, RunConfig};
use crate::words;

const SECOND: Duration = Duration::from_secs(1);
/// A phase that is shortened below this has too few seconds to be judged by.
const LEAST_PHASE: Duration = Duration::from_secs(3);

/// From which run time to which a scenario's times are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The scenario's own. Above 0.
    pub from: Duration,
    /// The one that was asked for.
    pub to: Duration,
}

/// A run is too short for one of its scenario's phases.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "phase {phase} would last {} in a run of {}, too short to be judged: give --run-time {least_s}s or more",
    words::duration(*left),
    words::duration(*run_time)
)]
pub struct TooShort {
    /// The phase.
    pub phase: String,
    /// What would be left of it.
    pub left: Duration,
    /// The run time that was asked for.
    pub run_time: Duration,
    /// The least run time that every phase is long enough in, in seconds.
    pub least_s: u64,
}

impl Stretch {
    /// How many times as long everything takes.
    #[must_use]
    pub fn factor(self) -> f64 {
        self.to.div_duration_f64(self.from)
    }

    // In whole nanoseconds, so that shards on different machines have the same settings.
    fn exact(self, time: Duration) -> Duration {
        of_nanos(time.as_nanos().saturating_mul(self.to.as_nanos()) / self.from.as_nanos().max(1))
    }

    /// To the nearest whole second.
    fn whole(self, time: Duration) -> Duration {
        let exact = self.exact(time);
        Duration::from_secs(exact.saturating_add(SECOND / 2).as_secs())
    }

    fn profile(self, profile: Profile) -> Profile {
        match profile {
            Profile::Flat => Profile::Flat,
            Profile::Diurnal { peak_to_trough, day, begins } => {
                Profile::Diurnal { peak_to_trough, day: self.exact(day), begins: self.exact(begins) }
            }
            Profile::Launch { preload, opens, rise, peak, stays, half_life } => Profile::Launch {
                preload,
                opens: self.exact(opens),
                rise: self.exact(rise),
                peak,
                stays,
                half_life: self.exact(half_life),
            },
            Profile::Spike { at, rise, height, hold } => {
                Profile::Spike { at: self.exact(at), rise: self.exact(rise), height, hold: self.exact(hold) }
            }
            Profile::Points { points } => {
                let factor = self.factor();
                Profile::Points { points: points.into_iter().map(|(time, level)| (time * factor, level)).collect() }
            }
        }
    }

    /// The least run time in which a phase is long enough.
    fn needed(self, phase: &PhasePlan) -> Duration {
        let length = phase.to.saturating_sub(phase.from);
        // A phase that is short to begin with is as its author wants it: it may be lengthened, but not shortened.
        let least = LEAST_PHASE.min(length).as_nanos();
        if length.is_zero() {
            return Duration::ZERO;
        }
        of_nanos(self.from.as_nanos().saturating_mul(least).div_ceil(length.as_nanos()))
    }

    fn check(self, phases: &[PhasePlan]) -> Result<(), TooShort> {
        let Some(shortest) = phases.iter().max_by_key(|phase| self.needed(phase)) else { return Ok(()) };
        let needed = self.needed(shortest);
        if needed <= self.to {
            return Ok(());
        }
        Err(TooShort {
            phase: shortest.name.clone(),
            left: self.exact(shortest.to.saturating_sub(shortest.from)),
            run_time: self.to,
            least_s: seconds_up(needed),
        })
    }
}

/// `times are scaled by 0.05: the scenario takes 10 min, and this run 30 s`
impl fmt::Display for Stretch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (words::duration(self.from), words::duration(self.to));
        write!(out, "times are scaled by {}: the scenario takes {from}, and this run {to}", digits(self.factor()))
    }
}

impl RunConfig {
    /// The same scenario in another run time: its warm-up, phases, actions, bad clients and profile take as much longer
    /// or shorter.
    ///
    /// # Errors
    /// A phase would be too short to be judged.
    pub fn stretched(self, run_time: Duration) -> Result<Self, TooShort> {
        let stretch = Stretch { from: self.run_time, to: run_time };
        if stretch.from.is_zero() || stretch.from == stretch.to {
            return Ok(Self { run_time, ..self });
        }
        stretch.check(&self.phases)?;
        let least_warm_up = SECOND.min(self.warm_up).min(run_time / 4);
        let warm_up = stretch.whole(self.warm_up).max(least_warm_up);
        let profile = stretch.profile(self.profile.clone());
        Ok(Self { run_time, warm_up, profile, ..self.at_other_instants(|at| stretch.whole(at)) })
    }

    /// The same, and before it a ramp in which servers come up: everything is put off by it, up to a whole second. The
    /// ramp belongs to the warm-up.
    #[must_use]
    pub fn after_ramp(self, ramp: Duration) -> Self {
        let ramp = Duration::from_secs(seconds_up(ramp));
        let later = |at: Duration| at.saturating_add(ramp);
        let profile = match self.profile.clone() {
            Profile::Flat => Profile::Flat,
            Profile::Diurnal { peak_to_trough, day, begins } => {
                Profile::Diurnal { peak_to_trough, day, begins: later(begins) }
            }
            Profile::Launch { preload, opens, rise, peak, stays, half_life } => {
                Profile::Launch { preload, opens: later(opens), rise, peak, stays, half_life }
            }
            Profile::Spike { at, rise, height, hold } => Profile::Spike { at: later(at), rise, height, hold },
            Profile::Points { points } => {
                let ramp_s = ramp.as_secs_f64();
                Profile::Points { points: points.into_iter().map(|(time, level)| (time + ramp_s, level)).collect() }
            }
        };
        let (run_time, warm_up) = (later(self.run_time), later(self.warm_up));
        Self { run_time, warm_up, profile, ..self.at_other_instants(later) }
    }

    /// Moves whatever begins or ends at an instant, but for the warm-up and the profile.
    fn at_other_instants(mut self, moved: impl Fn(Duration) -> Duration) -> Self {
        for phase in &mut self.phases {
            (phase.from, phase.to) = (moved(phase.from), moved(phase.to));
        }
        for action in &mut self.actions {
            action.at = moved(action.at);
        }
        if let Some(bad) = &mut self.bad_clients {
            bad.from = moved(bad.from);
        }
        self
    }
}

/// As long as a duration may be, if it is longer.
fn of_nanos(nanos: u128) -> Duration {
    let second = SECOND.as_nanos();
    u64::try_from(nanos / second).map_or(Duration::MAX, |seconds| Duration::new(seconds, (nanos % second) as u32))
}

fn seconds_up(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// Three digits, or fewer if they say the same: `20`, `1.33`, `0.05`.
fn digits(factor: f64) -> String {
    let places = (2.0 - factor.log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{factor:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Action, BadClients, BadKind, Deed};

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn scenario() -> RunConfig {
        let phase = |name: &str, from, to| PhasePlan { name: name.to_owned(), from: seconds(from), to: seconds(to) };
        RunConfig {
            run_time: seconds(90),
            warm_up: seconds(5),
            phases: vec![phase("baseline", 5, 30), phase("bad", 30, 45), phase("recovery", 45, 90)],
            actions: vec![Action { at: seconds(30), deed: Deed::DropConnections { share: 1.0 } }],
            bad_clients: Some(BadClients { share: 0.1, from: seconds(30), kinds: vec![BadKind::Malformed] }),
            ..RunConfig::default()
        }
    }

    fn phases(config: &RunConfig) -> Vec<[u64; 2]> {
        config.phases.iter().map(|phase| [phase.from.as_secs(), phase.to.as_secs()]).collect()
    }

    #[test]
    fn everything_that_has_a_time_takes_as_much_longer_or_shorter() {
        let short = scenario().stretched(seconds(30)).expect("long enough");
        assert_eq!((short.run_time, short.warm_up), (seconds(30), seconds(2)));
        assert_eq!(phases(&short), [[2, 10], [10, 15], [15, 30]]);
        assert_eq!(short.actions[0].at, seconds(10));
        assert_eq!(short.bad_clients.map(|bad| bad.from), Some(seconds(10)));
        let long = scenario().stretched(seconds(360)).expect("long enough");
        assert_eq!((long.warm_up, phases(&long)), (seconds(20), vec![[20, 120], [120, 180], [180, 360]]));
        assert_eq!(scenario().stretched(seconds(90)), Ok(scenario()));
    }

    #[test]
    fn a_profile_keeps_its_shape() {
        let stretched = |profile| {
            RunConfig { profile, ..scenario() }
                .stretched(seconds(45))
                .map(|config| config.profile)
                .expect("long enough")
        };
        let launch = |opens, rise, half_life| Profile::Launch {
            preload: 0.05,
            opens: Duration::from_millis(opens),
            rise: Duration::from_millis(rise),
            peak: 2.0,
            stays: 1.0,
            half_life: Duration::from_millis(half_life),
        };
        assert_eq!(stretched(launch(5_000, 20_000, 11_000)), launch(2_500, 10_000, 5_500));
        let spike =
            |at, rise, hold| Profile::Spike { at: seconds(at), rise: seconds(rise), height: 5.0, hold: seconds(hold) };
        assert_eq!(stretched(spike(30, 4, 20)), spike(15, 2, 10));
        let diurnal = |day| Profile::Diurnal { peak_to_trough: 3.0, day: seconds(day), begins: Duration::ZERO };
        assert_eq!(stretched(diurnal(40)), diurnal(20));
        let points = |last| Profile::Points { points: vec![(0.0, 1.0), (last, 2.0)] };
        assert_eq!(stretched(points(90.0)), points(45.0));
        assert_eq!(stretched(Profile::Flat), Profile::Flat);
    }

    #[test]
    fn a_phase_that_gets_too_short_is_refused_with_the_run_time_that_it_needs() {
        let refused = scenario().stretched(seconds(17)).expect_err("15 s of 90 s become 2.8 s");
        assert_eq!((refused.phase.as_str(), refused.least_s), ("bad", 18));
        assert!(refused.to_string().ends_with("give --run-time 18s or more"), "{refused}");
        let shortest = scenario().stretched(seconds(refused.least_s)).expect("what the error names");
        assert!(phases(&shortest).iter().all(|[from, to]| to - from >= 3), "{:?}", phases(&shortest));
        // A phase that is short by its author's wish may be lengthened, and not shortened.
        let mut brief = scenario();
        brief.phases[1].to = seconds(32);
        assert_eq!(brief.clone().stretched(seconds(60)).expect_err("shorter").least_s, 90);
        assert_eq!(phases(&brief.stretched(seconds(180)).expect("longer"))[1], [60, 64]);
    }

    #[test]
    fn a_warm_up_never_vanishes_nor_takes_most_of_a_short_run() {
        let warm_up = |run_time| {
            let config = RunConfig { phases: Vec::new(), ..scenario() };
            config.stretched(run_time).expect("it has no phases").warm_up
        };
        assert_eq!(warm_up(seconds(8)), seconds(1));
        assert_eq!(warm_up(seconds(2)), Duration::from_millis(500));
        let without = RunConfig { warm_up: Duration::ZERO, ..scenario() };
        assert_eq!(without.stretched(seconds(900)).expect("longer").warm_up, Duration::ZERO);
    }

    #[test]
    fn absurd_times_are_left_to_the_checks_of_ranges() {
        for run_time in [Duration::ZERO, Duration::MAX] {
            let config = RunConfig { phases: Vec::new(), ..scenario() }.stretched(run_time).expect("not its concern");
            assert!(config.check().is_err());
            assert!(config.after_ramp(Duration::MAX).check().is_err());
        }
        let never = RunConfig { run_time: Duration::ZERO, ..scenario() };
        assert_eq!(never.stretched(seconds(60)), Ok(RunConfig { run_time: seconds(60), ..scenario() }));
        let mut backwards = scenario();
        backwards.phases[0].to = seconds(1);
        assert!(backwards.stretched(seconds(60)).expect("not its concern").check().is_err());
    }

    #[test]
    fn a_ramp_puts_everything_off() {
        let later = scenario().after_ramp(Duration::from_millis(19_300));
        assert_eq!((later.run_time, later.warm_up, later.actions[0].at), (seconds(110), seconds(25), seconds(50)));
        assert_eq!(phases(&later), [[25, 50], [50, 65], [65, 110]]);
        assert_eq!(later.bad_clients.map(|bad| bad.from), Some(seconds(50)));
        let run_time = seconds(100);
        for name in ["flat", "diurnal", "launch", "spike"] {
            let profile = Profile::named(name, run_time).expect("built in");
            let config = RunConfig { run_time, profile, ..RunConfig::default() };
            let level = |config: &RunConfig, at| crate::workload::Curve::of(&config.profile, config.run_time).level(at);
            let later = config.clone().after_ramp(seconds(20));
            for at in [0.0, 13.0, 41.0, 99.0] {
                let (before, after) = (level(&config, at), level(&later, at + 20.0));
                assert!((before - after).abs() < 1e-9, "{name} at {at} s: {before} and {after}");
            }
            assert_eq!(level(&later, 10.0), level(&config, 0.0), "{name} waits at its first level");
        }
    }

    #[test]
    fn factors_are_written_with_three_digits() {
        let said = |from, to| Stretch { from: seconds(from), to: seconds(to) }.to_string();
        assert_eq!(said(600, 30), "times are scaled by 0.05: the scenario takes 10 min, and this run 30 s");
        for (from, to, digits) in [(90, 120, "1.33"), (28_800, 30, "0.00104"), (30, 600, "20"), (1, 1_200, "1200")] {
            assert!(said(from, to).contains(&format!("by {digits}:")), "{}", said(from, to));
        }
    }
}
