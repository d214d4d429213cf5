//! Whether something drifts in the course of a run, comparing like with like: where the load follows the hour of the day,
//! whole days with whole days.

use std::time::Duration;

use crate::config::{Profile, RunConfig};
use crate::record::Latencies;
use crate::result::{Interval, RunResult};
use crate::words;

/// Where no day is to be minded, the last part of so many is compared with the first.
const PARTS: usize = 10;
/// So many days have to be in a trend, since half of the time is left out of it and a day goes into its first mean.
const DAYS_OF_TREND: u32 = 3;

/// How long a day takes, where the load follows one.
pub(super) fn day(config: &RunConfig) -> Option<Duration> {
    match config.profile {
        Profile::Diurnal { day, .. } => Some(day),
        _ => None,
    }
}

/// The p99 of ack at the end of the judged time over that at its beginning.
///
/// With a profile of days: of the last day over the first after the warm-up. Each is as long as a day, so every hour of
/// the day is in both of them once, wherever they begin.
pub(super) fn of_p99(result: &RunResult) -> Result<f64, String> {
    let config = &result.config;
    let end = result.elapsed.min(config.run_time);
    let (from_s, to_s) = (config.warm_up.as_secs_f64(), end.as_secs_f64());
    let judged = |one: &&Interval| f64::from(one.at) >= from_s && f64::from(one.at + one.width) <= to_s;
    let judged: Vec<&Interval> = result.intervals.iter().filter(judged).collect();
    let (first, last): (Vec<_>, Vec<_>) = if let Some(day) = day(config) {
        days_fit(2, day, end.saturating_sub(config.warm_up))?;
        let day_s = day.as_secs_f64();
        // An interval on the border of a day belongs to where its middle is.
        let middle = |one: &&&Interval| f64::from(one.at) + f64::from(one.width) / 2.0;
        let first = judged.iter().filter(|one| middle(one) < from_s + day_s).copied().collect();
        (first, judged.iter().filter(|one| middle(one) >= to_s - day_s).copied().collect())
    } else {
        let part = judged.len() / PARTS;
        if part == 0 {
            return Err(format!("there are fewer than {PARTS} whole seconds after the warm-up"));
        }
        (judged[..part].to_vec(), judged[judged.len() - part..].to_vec())
    };
    let p99 = |part: &[&Interval], which: &str| {
        let mut all = Latencies::default();
        part.iter().for_each(|one| all.add(&one.ack));
        let p99 = all.quantile(0.99).as_secs_f64();
        if p99 > 0.0 { Ok(p99) } else { Err(format!("nothing was acknowledged in the {which} of the parts compared")) }
    };
    Ok(p99(&last, "last")? / p99(&first, "first")?)
}

/// How fast a quantity grew, a second, from `(seconds, quantity)` in the order of time: the straight line with the least
/// squares.
///
/// With days, the line goes through the means over the day before each point: what follows the hour of the day is in each
/// of them once and moves none.
pub(super) fn growth_per_second(seen: &[(f64, f64)], day: Option<Duration>) -> Option<f64> {
    match day {
        Some(day) => slope(&day_means(seen, day.as_secs_f64())),
        None => slope(seen),
    }
}

/// Whether there is enough time after the warm-up for a trend over its second half.
pub(super) fn trend_fits(day: Option<Duration>, judged: Duration) -> Result<(), String> {
    day.map_or(Ok(()), |day| days_fit(DAYS_OF_TREND, day, judged))
}

fn days_fit(days: u32, day: Duration, judged: Duration) -> Result<(), String> {
    if day.saturating_mul(days) <= judged {
        return Ok(());
    }
    let (day, judged) = (words::duration(day), words::duration(judged));
    Err(format!(
        "the load follows a day of {day}, and the {judged} after the warm-up are less than {days} of them: nothing to \
         compare it with"
    ))
}

fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len() as f64;
    let (mean_t, mean) =
        (points.iter().map(|(t, _)| t).sum::<f64>() / n, points.iter().map(|(_, y)| y).sum::<f64>() / n);
    let covariance: f64 = points.iter().map(|(t, y)| (t - mean_t) * (y - mean)).sum();
    let variance: f64 = points.iter().map(|(t, _)| (t - mean_t).powi(2)).sum();
    (variance > 0.0).then(|| covariance / variance)
}

fn day_means(seen: &[(f64, f64)], day_s: f64) -> Vec<(f64, f64)> {
    let mut means = Vec::new();
    let (mut oldest, mut sum) = (0, 0.0);
    for (place, (now, quantity)) in seen.iter().enumerate() {
        sum += quantity;
        while now - seen[oldest].0 >= day_s {
            sum -= seen[oldest].1;
            oldest += 1;
        }
        if oldest > 0 {
            means.push((*now, sum / (place + 1 - oldest) as f64));
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::slo::testing;

    /// Days whose ack swings threefold with the hour, and grows by this factor from the first second to the last.
    fn days(seconds: u32, warm_up: u32, day: f64, growth: f64) -> RunResult {
        let mut result = testing::result(seconds, warm_up);
        let day = Duration::from_secs_f64(day);
        result.config.profile = Profile::Diurnal { peak_to_trough: 3.0, day, begins: Duration::ZERO };
        for interval in &mut result.intervals {
            let at = f64::from(interval.at);
            let hour = (at / day.as_secs_f64() * TAU).sin();
            let grown = 1.0 + (growth - 1.0) * at / f64::from(seconds);
            testing::play(interval, 1_000, Duration::from_secs_f64((0.02 + 0.01 * hour) * grown));
        }
        result
    }

    #[test]
    fn a_day_is_compared_with_a_day_and_not_evening_with_morning() {
        // Four days less a warm-up, four whole ones, days that end within a second, and two.
        for (seconds, warm_up, day) in [(480, 5, 120.0), (60, 0, 15.0), (60, 1, 14.7), (60, 0, 30.0)] {
            let steady = of_p99(&days(seconds, warm_up, day, 1.0)).expect("judged");
            assert!((steady - 1.0).abs() < 0.03, "{steady} in {seconds} s of days of {day} s");
            let worse = of_p99(&days(seconds, warm_up, day, 2.0)).expect("judged");
            assert!(worse > 1.3, "{worse} in {seconds} s of days of {day} s");
        }
        let mut tenths = days(480, 5, 120.0, 1.0);
        tenths.config.profile = Profile::Flat;
        let misled = of_p99(&tenths).expect("judged");
        assert!((misled - 1.0).abs() > 0.2, "tenths of such a run differ, by {misled}");
    }

    #[test]
    fn what_got_worse_in_the_last_day_alone_is_seen() {
        let mut result = days(475, 0, 120.0, 1.0);
        for interval in &mut result.intervals[440..] {
            testing::play(interval, 1_000, Duration::from_millis(90));
        }
        let drift = of_p99(&result).expect("judged");
        assert!(drift > 2.5, "{drift}");
    }

    #[test]
    fn less_than_two_days_are_not_judged_and_the_reason_is_said() {
        let why = of_p99(&days(480, 5, 240.0, 1.0)).expect_err("5 s short of two days");
        assert_eq!(
            why,
            "the load follows a day of 4 min, and the 7 min 55 s after the warm-up are less than 2 of them: nothing to \
             compare it with"
        );
        let mut ended_early = days(480, 0, 120.0, 1.0);
        ended_early.elapsed = Duration::from_secs(200);
        assert!(of_p99(&ended_early).is_err());
        ended_early.elapsed = Duration::from_secs(300);
        assert!(of_p99(&ended_early).is_ok());
    }

    #[test]
    fn without_days_the_last_tenth_is_compared_with_the_first() {
        let mut result = testing::result(110, 10);
        for interval in &mut result.intervals {
            let ack = match interval.at {
                0..10 => 500,
                100.. => 30,
                _ => 10,
            };
            testing::play(interval, 1_000, Duration::from_millis(ack));
        }
        let drift = of_p99(&result).expect("judged");
        assert!((drift - 3.0).abs() < 0.1, "{drift}");
        let mut silent = testing::result(110, 10);
        let why = "nothing was acknowledged in the last of the parts compared";
        assert_eq!(of_p99(&silent), Err(why.to_owned()));
        silent.elapsed = Duration::from_secs(19);
        assert_eq!(of_p99(&silent), Err("there are fewer than 10 whole seconds after the warm-up".to_owned()));
    }

    /// Every 5 s: grows by `per_s`, and swings with the hour of a day of 2 h.
    fn swinging(hours: f64, per_s: f64) -> Vec<(f64, f64)> {
        let points = (hours * 720.0) as u32;
        let at = |point: u32| f64::from(point) * 5.0;
        (0..points)
            .map(|point| (at(point), 1e8 + per_s * at(point) + 3e7 * (at(point) / 7_200.0 * TAU).cos()))
            .collect()
    }

    #[test]
    fn the_hour_of_the_day_is_no_growth() {
        let day = Some(Duration::from_secs(7_200));
        for hours in [3.0, 3.5, 3.96, 6.0] {
            for per_s in [0.0, 1e3] {
                let found = growth_per_second(&swinging(hours, per_s), day).expect("seen");
                assert!((found - per_s).abs() < 20.0, "{found} B/s in {hours} h instead of {per_s}");
            }
        }
        let misled = growth_per_second(&swinging(3.0, 0.0), None).expect("seen");
        assert!(misled.abs() > 500.0, "a line through the points themselves is misled, by {misled} B/s");
        assert_eq!(growth_per_second(&[], None), None);
        assert_eq!(growth_per_second(&[(1.0, 5.0)], None), None);
        assert_eq!(growth_per_second(&swinging(1.0, 0.0), day), None);
    }
}
