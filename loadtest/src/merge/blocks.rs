//! A run's judged seconds in blocks, in the shape that a bootstrap needs: any weighted sum of blocks gives its quantiles,
//! rates and ratios without merging a histogram.

use std::time::Duration;

use crate::record::{Latencies, bucket_floor};
use crate::result::{Interval, RunResult};

/// The blocks of a run.
pub(super) struct Blocks {
    pub(super) ack: Cumulative,
    pub(super) service: Cumulative,
    pub(super) sums: Vec<Sums>,
}

/// What a block adds to rates and ratios.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) seconds: f64,
    pub(super) accepted: f64,
    pub(super) due: f64,
    pub(super) cpu_s: f64,
}

impl Blocks {
    /// The seconds after the warm-up in which events were due, in blocks of at least this length. A rest of less than
    /// half a block goes to the last one.
    pub(super) fn new(result: &RunResult, length: Duration) -> Self {
        let length = (length.as_secs_f64().round() as u32).max(1);
        let from = result.config.warm_up.as_secs_f64();
        let to = result.elapsed.as_secs_f64().ceil();
        let judged = result.intervals.iter().filter(|interval| {
            f64::from(interval.at) >= from && f64::from(interval.at + interval.width) <= to && interval.width > 0
        });
        let mut blocks: Vec<Vec<&Interval>> = Vec::new();
        let mut open = 0;
        for interval in judged {
            match blocks.last_mut() {
                Some(block) if open < length => block.push(interval),
                _ => {
                    blocks.push(vec![interval]);
                    open = 0;
                }
            }
            open += interval.width;
        }
        if open < length.div_ceil(2) && blocks.len() > 1 {
            let rest = blocks.pop().unwrap_or_default();
            blocks.last_mut().into_iter().for_each(|last| last.extend(&rest));
        }
        Self {
            ack: Cumulative::new(&blocks, |interval| &interval.ack),
            service: Cumulative::new(&blocks, |interval| &interval.service),
            sums: blocks.iter().map(|block| Sums::of(block)).collect(),
        }
    }

    /// Whether neighbouring blocks resemble one another more than chance explains: then they are too short to be drawn
    /// one by one. Judged by the correlation of each block's median and 99th percentile with the next block's.
    pub(super) fn resemble_neighbours(&self) -> bool {
        let mut weights = vec![0; self.len()];
        let mut of_blocks = |share: f64| -> Vec<f64> {
            let mut quantiles = Vec::with_capacity(weights.len());
            for block in 0..weights.len() {
                weights[block] = 1;
                quantiles.push(self.ack.quantile(share, &weights).max(1.0).ln());
                weights[block] = 0;
            }
            quantiles
        };
        // Two standard errors of the correlation of independent values.
        let chance = 2.0 / (self.len() as f64).sqrt();
        [0.5, 0.99].iter().any(|share| correlation_with_next(&of_blocks(*share)) > chance)
    }

    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }

    /// The sums, each block as often as its weight says.
    pub(super) fn weighted(&self, weights: &[u32]) -> Sums {
        let mut all = Sums::default();
        for (sums, weight) in self.sums.iter().zip(weights) {
            let weight = f64::from(*weight);
            all.seconds += sums.seconds * weight;
            all.accepted += sums.accepted * weight;
            all.due += sums.due * weight;
            all.cpu_s += sums.cpu_s * weight;
        }
        all
    }
}

impl Sums {
    fn of(block: &[&Interval]) -> Self {
        let mut all = Self::default();
        for interval in block {
            all.seconds += f64::from(interval.width);
            all.accepted += interval.accepted as f64;
            all.due += interval.due as f64;
            all.cpu_s += interval.health.cpu_s;
        }
        all
    }
}

fn correlation_with_next(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let together: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    if variance > 0.0 { together / variance } else { 0.0 }
}

/// For each bucket in use, how many latencies of each block are in it or below.
///
/// A quantile of a weighted sum of blocks is then a binary search over buckets with one short dot product at each step,
/// instead of merging all buckets of all blocks.
pub(super) struct Cumulative {
    blocks: usize,
    /// Ascending.
    buckets: Vec<usize>,
    /// `blocks` counts for each bucket.
    counts: Vec<u64>,
    max_us: u64,
}

impl Cumulative {
    fn new(blocks: &[Vec<&Interval>], of: impl Fn(&Interval) -> &Latencies) -> Self {
        let merged: Vec<Latencies> = blocks
            .iter()
            .map(|block| {
                let mut all = Latencies::default();
                block.iter().for_each(|interval| all.add(of(interval)));
                all
            })
            .collect();
        let mut buckets: Vec<usize> = merged.iter().flat_map(|all| all.nonzero().map(|(bucket, _)| bucket)).collect();
        buckets.sort_unstable();
        buckets.dedup();
        let mut counts = vec![0; buckets.len() * blocks.len()];
        for (block, all) in merged.iter().enumerate() {
            let mut below = 0;
            let mut own = all.nonzero().peekable();
            for (place, bucket) in buckets.iter().enumerate() {
                below += own.next_if(|(next, _)| next == bucket).map_or(0, |(_, events)| events);
                counts[place * blocks.len() + block] = below;
            }
        }
        let max_us = merged.iter().map(|all| all.max().as_micros() as u64).max().unwrap_or_default();
        Self { blocks: blocks.len(), buckets, counts, max_us }
    }

    fn at_or_below(&self, place: usize, weights: &[u32]) -> u64 {
        let counts = &self.counts[place * self.blocks..(place + 1) * self.blocks];
        counts.iter().zip(weights).map(|(count, weight)| count * u64::from(*weight)).sum()
    }

    /// The quantile in microseconds, as [`Latencies::quantile`] gives it for the blocks merged; zero where there is
    /// nothing.
    pub(super) fn quantile(&self, share: f64, weights: &[u32]) -> f64 {
        let Some(last) = self.buckets.len().checked_sub(1) else { return 0.0 };
        let total = self.at_or_below(last, weights);
        let rank = ((share * total as f64).ceil() as u64).clamp(1, total.max(1));
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.at_or_below(middle, weights) >= rank {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let bucket = self.buckets[low];
        (u64::midpoint(bucket_floor(bucket), bucket_floor(bucket + 1)).min(self.max_us)) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{fill, run};
    use super::*;

    #[test]
    fn quantiles_of_weighted_blocks_are_those_of_merged_histograms() {
        let run = run(47, 5, |draw, at, interval| fill(draw, interval, 100, 1_000.0 + 40.0 * f64::from(at)));
        let blocks = Blocks::new(&run, Duration::from_secs(10));
        let weights = [2, 0, 1, 3, 1];
        assert_eq!(blocks.len(), weights.len());
        let mut merged = Latencies::default();
        for (place, interval) in run.intervals.iter().enumerate() {
            (0..weights[place / 10]).for_each(|_| merged.add(&interval.ack));
        }
        for share in [0.001, 0.5, 0.9, 0.99, 0.999] {
            assert_eq!(blocks.ack.quantile(share, &weights), merged.quantile(share).as_micros() as f64, "{share}");
        }
        assert_eq!(blocks.weighted(&weights).accepted, merged.count() as f64);
    }

    #[test]
    fn warm_up_and_drain_are_left_out_and_a_short_rest_joins_the_last_block() {
        let mut run = run(64, 5, |draw, _, interval| fill(draw, interval, 10, 1_000.0));
        run.config.warm_up = Duration::from_secs(20);
        run.elapsed = Duration::from_secs(54);
        let blocks = Blocks::new(&run, Duration::from_secs(10));
        let seconds: Vec<f64> = blocks.sums.iter().map(|sums| sums.seconds).collect();
        assert_eq!(seconds, [10.0, 10.0, 14.0]);
    }
}
