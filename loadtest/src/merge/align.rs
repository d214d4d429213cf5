//! Intervals of shards that started at slightly different instants, on one grid of seconds.
//!
//! The grid is as wide as the widest interval of any shard: 1 s unless a long run was thinned. Counts are kept exactly;
//! an event is placed up to half a second, or the grid's width, beside its true second.

use crate::result::Interval;

/// Merges neighbours pairwise until there are at most so many, and at least one.
pub fn thin(intervals: &mut Vec<Interval>, most: usize) {
    while intervals.len() > most.max(1) {
        pair(intervals);
    }
}

fn pair(intervals: &mut Vec<Interval>) {
    let mut pairs = Vec::with_capacity(intervals.len().div_ceil(2));
    let mut rest = std::mem::take(intervals).into_iter();
    while let Some(mut first) = rest.next() {
        if let Some(second) = rest.next() {
            first.append(&second);
        }
        pairs.push(first);
    }
    *intervals = pairs;
}

/// The intervals of the shards added so far, one for each cell of the grid.
#[derive(Default)]
pub(super) struct Grid {
    width: u32,
    cells: Vec<Option<Interval>>,
}

impl Grid {
    /// Adds a shard's intervals, which began `offset` seconds after the earliest shard's.
    pub(super) fn add(&mut self, intervals: Vec<Interval>, offset: f64) {
        let widest = intervals.iter().map(|interval| interval.width).max().unwrap_or(1).max(1);
        if widest > self.width {
            self.widen(widest);
        }
        let moved = intervals.into_iter().map(|mut interval| {
            interval.at = (f64::from(interval.at) + offset).round() as u32;
            interval
        });
        for (cell, interval) in onto(moved, self.width) {
            if self.cells.len() <= cell {
                self.cells.resize_with(cell + 1, || None);
            }
            match &mut self.cells[cell] {
                Some(present) => {
                    present.merge(&interval);
                    present.width = present.width.max(interval.width);
                }
                empty => *empty = Some(interval),
            }
        }
    }

    /// All of them, ascending.
    pub(super) fn finish(self) -> Vec<Interval> {
        self.cells.into_iter().flatten().collect()
    }

    fn widen(&mut self, width: u32) {
        self.width = width;
        let present = std::mem::take(&mut self.cells).into_iter().flatten();
        for (cell, interval) in onto(present, width) {
            self.cells.resize_with(cell + 1, || None);
            self.cells[cell] = Some(interval);
        }
    }
}

/// One shard's intervals, those that begin in the same cell in one, each at its cell's beginning.
fn onto(intervals: impl Iterator<Item = Interval>, width: u32) -> Vec<(usize, Interval)> {
    let mut cells: Vec<(usize, Interval)> = Vec::new();
    for mut interval in intervals {
        let cell = interval.at / width.max(1);
        interval.at = cell * width;
        match cells.last_mut() {
            Some((last, present)) if *last == cell as usize => present.append(&interval),
            _ => cells.push((cell as usize, interval)),
        }
    }
    // A cell is no longer than the grid is wide, even if rounding put one second too many into it.
    for (_, interval) in &mut cells {
        interval.width = interval.width.min(width);
    }
    cells
}
