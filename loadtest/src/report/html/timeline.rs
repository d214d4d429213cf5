//! A run laid on a grid of as many steps as a screen can show.
//!
//! Steps are put together from whole intervals with their histograms, so that a percentile of a step is exact; the
//! worst health and the most events in flight survive, so that thinning hides no bad second.

use crate::result::{HealthState, Interval, RunResult};

/// The most steps of a plot: wider than most plots are in pixels.
const STEPS: u32 = 720;

/// A run on the grid.
pub(super) struct Timeline {
    pub(super) grid: Grid,
    /// One for each step; none where the run has no interval.
    pub(super) points: Vec<Option<Point>>,
}

/// The grid: equal steps from the start of the schedule.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// The length of a step in seconds.
    pub(super) step: u32,
    pub(super) steps: usize,
}

/// One step.
#[derive(Clone)]
pub(super) struct Point {
    pub(super) of: Interval,
    /// The most events in flight at the end of any of its intervals.
    pub(super) in_flight: u64,
}

impl Grid {
    /// One that fits all of these runs.
    pub(super) fn over<'a>(runs: impl IntoIterator<Item = &'a RunResult> + Clone) -> Self {
        let intervals = || runs.clone().into_iter().flat_map(|run| &run.intervals);
        let total = intervals().map(|interval| interval.at.saturating_add(interval.width)).max().unwrap_or(0).max(1);
        let widest = intervals().map(|interval| interval.width).max().unwrap_or(1).max(1);
        let step = total.div_ceil(STEPS).next_multiple_of(widest);
        Self { step, steps: total.div_ceil(step) as usize }
    }

    /// Its end, in seconds from the start of the schedule.
    pub(super) fn total(self) -> f64 {
        self.steps as f64 * f64::from(self.step)
    }
}

impl Timeline {
    pub(super) fn of(run: &RunResult, grid: Grid) -> Self {
        let mut points: Vec<Option<Point>> = vec![None; grid.steps];
        for interval in &run.intervals {
            let Some(point) = points.get_mut((interval.at / grid.step) as usize) else { continue };
            match point {
                None => *point = Some(Point { of: interval.clone(), in_flight: interval.in_flight }),
                Some(point) => {
                    point.of.append(interval);
                    point.in_flight = point.in_flight.max(interval.in_flight);
                }
            }
        }
        Self { grid, points }
    }

    /// A figure of each step.
    pub(super) fn each(&self, figure: impl Fn(&Point) -> f64) -> Vec<Option<f64>> {
        self.points.iter().map(|point| point.as_ref().map(&figure)).collect()
    }

    /// A figure of each step in which something was answered.
    pub(super) fn answered(&self, figure: impl Fn(&Point) -> f64) -> Vec<Option<f64>> {
        let answered = |point: &&Point| point.of.ack.count() > 0;
        self.points.iter().map(|point| point.as_ref().filter(answered).map(&figure)).collect()
    }

    /// The stretches of one health: first step, and the step after the last.
    pub(super) fn stretches(&self, state: HealthState) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (step, point) in self.points.iter().enumerate() {
            if point.as_ref().is_none_or(|point| point.of.health.state != state) {
                continue;
            }
            match found.last_mut() {
                Some((_, end)) if *end == step => *end += 1,
                _ => found.push((step, step + 1)),
            }
        }
        found
    }
}

impl Point {
    /// So many a second.
    pub(super) fn rate(&self, of: impl Fn(&Interval) -> f64) -> f64 {
        of(&self.of) / f64::from(self.of.width.max(1))
    }
}
