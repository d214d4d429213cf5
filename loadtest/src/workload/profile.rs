//! Profiles of the number online: the built-in ones by name, their checks, and the curves they stand for.

use std::f64::consts::TAU;
use std::time::Duration;

use thiserror::Error;

use super::Curve;
use crate::config::Profile;

/// A day's points; a curve's bend between two of them is below 0.1 %.
const DAY_POINTS: u32 = 288;
const RISE_POINTS: u32 = 64;
/// Points along a decay, per half-life.
const DECAY_POINTS: u32 = 16;
const DAY: Duration = Duration::from_secs(86_400);

/// Why a profile can't be used.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ProfileError {
    /// No built-in profile has this name.
    #[error("no profile is called `{0}`: take `flat`, `diurnal`, `launch`, `spike`, or the path of a file")]
    Unknown(String),
    /// A number is out of its range.
    #[error("the profile's {field} is {value}: give {mend}")]
    Range {
        /// Such as `peak`.
        field: &'static str,
        /// What it is.
        value: String,
        /// What to give instead.
        mend: &'static str,
    },
    /// A line of a file is no point.
    #[error("line {line} of the profile, `{text}`, is no point: give seconds and a level, such as `60,1.5`")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it says.
        text: String,
    },
}

impl Profile {
    /// A built-in profile, with its times scaled to the run: `flat`, `diurnal` (peak to trough 3:1, the run is a day
    /// unless it is longer), `launch` (5 % wait for the door, then a logistic rise in 10 minutes or less, and a decay) or
    /// `spike` (to five times in 10 s or less).
    ///
    /// # Errors
    /// None has this name.
    pub fn named(name: &str, run_time: Duration) -> Result<Self, ProfileError> {
        match name {
            "flat" => Ok(Self::Flat),
            "diurnal" => Ok(Self::Diurnal { peak_to_trough: 3.0, day: run_time.min(DAY), begins: Duration::ZERO }),
            "launch" => Ok(Self::Launch {
                preload: 0.05,
                opens: run_time.mul_f64(0.05).min(Duration::from_secs(300)),
                rise: run_time.mul_f64(0.25).min(Duration::from_secs(600)),
                peak: 1.0,
                stays: 0.55,
                half_life: run_time.mul_f64(0.25),
            }),
            "spike" => Ok(Self::Spike {
                at: run_time.mul_f64(0.4),
                rise: run_time.mul_f64(0.05).min(Duration::from_secs(10)),
                height: 5.0,
                hold: run_time.mul_f64(0.15),
            }),
            _ => Err(ProfileError::Unknown(name.to_owned())),
        }
    }

    /// Reads and checks points, one `seconds,level` a line; empty lines and those that begin with `#` are skipped.
    ///
    /// # Errors
    /// A line is no point, or the points are not ascending, or a level is negative.
    pub fn from_lines(text: &str) -> Result<Self, ProfileError> {
        let mut points = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let point = line
                .split_once(',')
                .and_then(|(time, level)| Some((time.trim().parse::<f64>().ok()?, level.trim().parse::<f64>().ok()?)));
            points.push(point.ok_or_else(|| ProfileError::Line { line: index + 1, text: line.to_owned() })?);
        }
        let profile = Self::Points { points };
        profile.check()?;
        Ok(profile)
    }

    /// Checks every range.
    ///
    /// # Errors
    /// The first number that is out of its range, and what to give instead.
    pub fn check(&self) -> Result<(), ProfileError> {
        match self {
            Self::Flat => Ok(()),
            Self::Diurnal { peak_to_trough, day, .. } => {
                within("peak_to_trough", *peak_to_trough, 1.0..=10.0, "1 to 10")?;
                positive("day", *day)
            }
            Self::Launch { preload, rise, peak, stays, half_life, .. } => {
                within("peak", *peak, 0.0..=1e3, "0 to 1,000")?;
                within("preload", *preload, 0.0..=*peak, "0 to the peak")?;
                within("stays", *stays, 0.0..=*peak, "0 to the peak")?;
                positive("rise", *rise)?;
                positive("half_life", *half_life)
            }
            Self::Spike { rise, height, .. } => {
                within("height", *height, 0.0..=1e3, "0 to 1,000")?;
                positive("rise", *rise)
            }
            Self::Points { points } => {
                let fail = |value: String, mend| Err(ProfileError::Range { field: "points", value, mend });
                if points.is_empty() {
                    return fail("empty".to_owned(), "at least one point");
                }
                for (time, level) in points {
                    within("points", *time, 0.0..=1e9, "times of 0 s or more")?;
                    within("points", *level, 0.0..=1e3, "levels of 0 to 1,000")?;
                }
                match points.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
                    Some(pair) => fail(format!("{} s, then {} s", pair[0].0, pair[1].0), "ascending times"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn within(
    field: &'static str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    mend: &'static str,
) -> Result<(), ProfileError> {
    if range.contains(&value) { Ok(()) } else { Err(ProfileError::Range { field, value: value.to_string(), mend }) }
}

fn positive(field: &'static str, value: Duration) -> Result<(), ProfileError> {
    if value >= Duration::from_millis(1) {
        return Ok(());
    }
    Err(ProfileError::Range { field, value: format!("{value:?}"), mend: "1 ms or more" })
}

impl Curve {
    /// The curve of a checked profile over a run, in seconds since its start.
    pub(crate) fn of(profile: &Profile, run_time: Duration) -> Self {
        let run_s = run_time.as_secs_f64();
        match profile {
            Profile::Flat => Self::flat(1.0),
            Profile::Diurnal { peak_to_trough, day, begins } => {
                diurnal(*peak_to_trough, day.as_secs_f64(), run_s).map_time(|time| time + begins.as_secs_f64())
            }
            Profile::Launch { preload, opens, rise, peak, stays, half_life } => {
                let (opens, rise) = (opens.as_secs_f64(), rise.as_secs_f64());
                let mut points = vec![(0.0, *preload)];
                for step in 0..=RISE_POINTS {
                    let share = f64::from(step) / f64::from(RISE_POINTS);
                    points.push((opens + rise * share, preload + (peak - preload) * logistic(share)));
                }
                let half_life = half_life.as_secs_f64();
                for step in 1..=DECAY_POINTS * 12 {
                    let halves = f64::from(step) / f64::from(DECAY_POINTS);
                    let level = stays + (peak - stays) * (-halves).exp2();
                    points.push((opens + rise + halves * half_life, level));
                }
                Self::new(points)
            }
            Profile::Spike { at, rise, height, hold } => {
                let (at, rise, hold) = (at.as_secs_f64(), rise.as_secs_f64(), hold.as_secs_f64());
                let top = at + rise;
                Self::new(vec![(at, 1.0), (top, *height), (top + hold, *height), (top + hold + rise, 1.0)])
            }
            Profile::Points { points } => Self::new(points.clone()),
        }
    }
}

/// A logistic rise from exactly 0 to exactly 1.
fn logistic(share: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (low, high) = (sigmoid(-6.0), sigmoid(6.0));
    (sigmoid(12.0 * share - 6.0) - low) / (high - low)
}

/// Days of two harmonics with the mean 1: quiet before dawn, a shoulder at midday, the peak in the evening.
fn diurnal(peak_to_trough: f64, day_s: f64, run_s: f64) -> Curve {
    let shape = |share: f64| (TAU * (share - 0.73)).cos() + 0.35 * (2.0 * TAU * (share - 0.83)).cos();
    let samples = |step: u32| shape(f64::from(step % DAY_POINTS) / f64::from(DAY_POINTS));
    let (low, high) = (0..DAY_POINTS)
        .map(samples)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), level| (low.min(level), high.max(level)));
    // 1 + a · high = ratio · (1 + a · low)
    let swing = (peak_to_trough - 1.0) / (high - peak_to_trough * low);
    // A run of many days has fewer points in each, so that it needs no more than some ten thousand in all.
    let days = (run_s / day_s).ceil().clamp(1.0, 1e4);
    let stride = ((days * f64::from(DAY_POINTS) / 20_000.0).ceil() as u32).min(DAY_POINTS / 12);
    let steps = (days * f64::from(DAY_POINTS)) as u32 + stride;
    let at = |step: u32| (f64::from(step) / f64::from(DAY_POINTS) * day_s, 1.0 + swing * samples(step));
    Curve::new((0..steps).step_by(stride as usize).map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn curve(name: &str) -> Curve {
        let profile = Profile::named(name, HOUR).expect("a built-in profile");
        profile.check().expect("valid");
        Curve::of(&profile, HOUR)
    }

    fn levels(curve: &Curve) -> Vec<f64> {
        (0..=3_600).map(|second| curve.level(f64::from(second))).collect()
    }

    #[test]
    fn a_day_has_mean_1_and_its_peak_to_trough() {
        let day = curve("diurnal");
        assert!((day.integral(0.0, 3_600.0) / 3_600.0 - 1.0).abs() < 1e-3);
        let (low, high) = levels(&day).iter().fold((9.0_f64, 0.0_f64), |(low, high), l| (low.min(*l), high.max(*l)));
        assert!((high / low - 3.0).abs() < 0.01, "{high} over {low}");
        assert!((day.level(0.0) - day.level(3_600.0)).abs() < 1e-9);
    }

    #[test]
    fn a_launch_waits_rises_and_decays() {
        let launch = curve("launch");
        assert_eq!(launch.level(100.0), 0.05);
        let levels = levels(&launch);
        let peak = levels.iter().position(|level| *level > 0.999_999).expect("a peak");
        assert!((770..=790).contains(&peak), "the peak is at {peak} s");
        assert!(levels[180..=780].is_sorted() && levels[780..].is_sorted_by(|one, other| one >= other));
        assert!((launch.level(780.0 + 900.0) - 0.775).abs() < 0.01, "a half-life later");
    }

    #[test]
    fn a_spike_is_five_times_as_high_for_a_while() {
        let spike = curve("spike");
        let at = [1_439.0, 1_445.0, 1_450.0, 1_990.0, 1_995.0, 2_001.0].map(|time| spike.level(time));
        assert_eq!(at, [1.0, 3.0, 5.0, 5.0, 3.0, 1.0]);
    }

    #[test]
    fn points_come_from_lines_and_must_ascend() {
        let read = Profile::from_lines("# seconds,level\n0,0.5\n\n 60 , 2\n").expect("points");
        assert_eq!(read, Profile::Points { points: vec![(0.0, 0.5), (60.0, 2.0)] });
        let broken = |text| Profile::from_lines(text).expect_err("no profile").to_string();
        assert_eq!(
            broken("0,1\n5"),
            "line 2 of the profile, `5`, is no point: give seconds and a level, such as `60,1.5`"
        );
        assert!(broken("5,1\n5,2").contains("5 s, then 5 s: give ascending times"));
        assert!(broken("5,-1").contains("-1: give levels of 0 to 1,000"));
        assert!(broken("").contains("at least one point"));
        assert!(Profile::named("storm", HOUR).is_err());
        let steep = Profile::Diurnal { peak_to_trough: 0.5, day: HOUR, begins: Duration::ZERO };
        assert!(steep.check().expect_err("below 1").to_string().contains("peak_to_trough is 0.5"));
    }
}
