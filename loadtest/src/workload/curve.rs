//! A level over time as straight lines between points, with its integral and the exact inverse of that.
//!
//! The number of players online follows such a curve, and so does the rate of arrivals, whose cumulative rate is
//! inverted to get each arrival's exact instant.

/// Straight lines between points of (seconds, level). Before the first point and after the last one it stays level; two
/// points of one time are a jump.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    points: Vec<(f64, f64)>,
    /// The integral from the first point to each.
    areas: Vec<f64>,
}

impl Curve {
    /// A curve through these points: at least one, of ascending times and levels that are not negative.
    pub(crate) fn new(points: Vec<(f64, f64)>) -> Self {
        debug_assert!(!points.is_empty() && points.is_sorted_by(|one, other| one.0 <= other.0));
        let mut area = 0.0;
        let mut areas = vec![0.0];
        for pair in points.windows(2) {
            area += (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0;
            areas.push(area);
        }
        Self { points, areas }
    }

    /// Always at this level.
    pub(crate) fn flat(level: f64) -> Self {
        Self::new(vec![(0.0, level)])
    }

    pub(crate) fn is_flat(&self) -> bool {
        self.points.iter().all(|point| point.1 == self.points[0].1)
    }

    /// The time of the last point.
    pub(crate) fn end(&self) -> f64 {
        self.points[self.points.len() - 1].0
    }

    /// The level at a time; at a jump the later one.
    pub(crate) fn level(&self, time: f64) -> f64 {
        let next = self.points.partition_point(|point| point.0 <= time);
        match (next.checked_sub(1).map(|before| self.points[before]), self.points.get(next)) {
            (Some((from, low)), Some(&(to, high))) => low + (high - low) * (time - from) / (to - from),
            (Some((_, level)), None) | (None, Some(&(_, level))) => level,
            (None, None) => 0.0,
        }
    }

    /// The integral from one time to another.
    pub(crate) fn integral(&self, from: f64, to: f64) -> f64 {
        self.area(to) - self.area(from)
    }

    /// The time at which the integral from `from` reaches `area`, which is not negative; none if it never does.
    pub(crate) fn reach(&self, from: f64, area: f64) -> Option<f64> {
        let (first, last) = (self.points[0], self.points[self.points.len() - 1]);
        let goal = self.area(from) + area;
        if goal < 0.0 {
            return Some(first.0 + goal / first.1);
        }
        let next = self.areas.partition_point(|area| *area <= goal);
        let (begin, low) = self.points[next - 1];
        let rest = goal - self.areas[next - 1];
        let Some(&(end, high)) = self.points.get(next) else {
            return if rest <= 0.0 { Some(begin.max(from)) } else { (last.1 > 0.0).then(|| begin + rest / last.1) };
        };
        // low · x + slope · x² / 2 = rest, in the form that loses no digits where the slope is small.
        let slope = (high - low) / (end - begin);
        let root = (low * low + 2.0 * slope * rest).max(0.0).sqrt();
        let x = if rest > 0.0 { 2.0 * rest / (low + root) } else { 0.0 };
        Some((begin + x).clamp(begin, end).max(from))
    }

    /// The same levels at other times. Lines stay lines, so `map` has to be straight between any two points.
    pub(crate) fn map_time(&self, map: impl Fn(f64) -> f64) -> Self {
        Self::new(self.points.iter().map(|&(time, level)| (map(time), level)).collect())
    }

    /// The levels times `factor`, and nowhere above `most`.
    pub(crate) fn scaled(&self, factor: f64, most: f64) -> Self {
        let mut points: Vec<(f64, f64)> = Vec::with_capacity(self.points.len());
        let mut before: Option<(f64, f64)> = None;
        for &(time, level) in &self.points {
            let level = level * factor;
            if let Some((from, low)) = before.filter(|(_, low)| (*low > most) != (level > most)) {
                points.push((from + (time - from) * (most - low) / (level - low), most));
            }
            points.push((time, level.min(most)));
            before = Some((time, level));
        }
        Self::new(points)
    }

    /// The integral from the first point to a time; negative before it.
    fn area(&self, time: f64) -> f64 {
        let next = self.points.partition_point(|point| point.0 <= time);
        let Some(before) = next.checked_sub(1) else {
            return (time - self.points[0].0) * self.points[0].1;
        };
        let (from, low) = self.points[before];
        let high = if next < self.points.len() { self.level(time) } else { low };
        self.areas[before] + (time - from) * (low + high) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hill() -> Curve {
        Curve::new(vec![(10.0, 1.0), (20.0, 3.0), (20.0, 5.0), (30.0, 0.0), (40.0, 0.0), (50.0, 2.0)])
    }

    #[test]
    fn levels_are_met_at_and_between_points() {
        let hill = hill();
        for (time, level) in [(0.0, 1.0), (10.0, 1.0), (15.0, 2.0), (20.0, 5.0), (25.0, 2.5), (35.0, 0.0), (99.0, 2.0)]
        {
            assert_eq!(hill.level(time), level, "at {time} s");
        }
    }

    #[test]
    fn the_integral_is_the_sum_of_levels() {
        let hill = hill();
        let sum = |from: f64, to: f64| {
            let step = (to - from) / 1e5;
            (0..100_000).map(|n| hill.level(from + (f64::from(n) + 0.5) * step) * step).sum::<f64>()
        };
        for (from, to) in [(0.0, 60.0), (5.0, 12.0), (12.0, 25.0), (25.0, 45.0), (55.0, 60.0), (0.0, 9.0)] {
            assert!((hill.integral(from, to) - sum(from, to)).abs() < 1e-3, "from {from} to {to}");
        }
    }

    #[test]
    fn reach_is_the_inverse_of_the_integral() {
        let hill = hill();
        for from in [0.0, 5.0, 10.0, 13.0, 20.0, 27.0, 41.0, 55.0] {
            for area in [0.01, 0.5, 3.0, 17.0, 60.0, 500.0] {
                let time = hill.reach(from, area).expect("the last level is above 0");
                assert!((hill.integral(from, time) - area).abs() < 1e-9, "{area} from {from}");
            }
        }
        let over = Curve::new(vec![(0.0, 2.0), (1.0, 0.0)]);
        assert_eq!((over.reach(0.0, 1.5), over.reach(3.0, 0.1)), (None, None));
    }

    #[test]
    fn scaling_cuts_at_the_most() {
        let cut = Curve::new(vec![(0.0, 0.0), (10.0, 5.0), (20.0, 0.0)]).scaled(0.4, 1.0);
        for time in [0.0, 2.0, 4.9, 5.0, 5.1, 10.0, 14.9, 15.1, 20.0] {
            let plain = 0.2 * if time < 10.0 { time } else { 20.0 - time };
            assert!((cut.level(time) - f64::min(plain, 1.0)).abs() < 1e-12, "at {time} s");
        }
        let later = cut.map_time(|time| 2.0 * time);
        assert_eq!(later.level(8.0), cut.level(4.0));
    }
}
