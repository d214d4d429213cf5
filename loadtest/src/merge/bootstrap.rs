//! Intervals by block bootstrap: both runs are drawn anew from their own blocks, many times, and the change is computed
//! each time.
//!
//! Blocks and not seconds, because neighbouring seconds resemble one another (a pause, a compaction, a noisy neighbour):
//! drawing seconds one by one would take 600 correlated ones for 600 independent ones and give intervals that are far
//! too narrow (Künsch, 1989). With few blocks a plain percentile interval is too narrow as well; it is expanded as
//! Hesterberg advises ("What Teachers Should Know About the Bootstrap", 2015, section 5.2).

use super::blocks::Blocks;
use crate::engine::{Draw, Purpose};

/// A figure of a run in which each block counts as often as its weight says.
pub(super) type Figure = dyn Fn(&Blocks, &[u32]) -> f64;

/// How often each block was drawn, for as many draws as there are blocks.
fn draw_blocks(draw: &mut Draw, weights: &mut [u32]) {
    weights.fill(0);
    let blocks = weights.len() as u32;
    for _ in 0..blocks {
        weights[draw.below(blocks) as usize] += 1;
    }
}

/// The changes of each figure in every resample: B's over A's, less 1.
pub(super) fn changes(a: &Blocks, b: &Blocks, figures: &[&Figure], resamples: u32, seed: u64) -> Vec<Vec<f64>> {
    let mut changes = vec![Vec::with_capacity(resamples as usize); figures.len()];
    let (mut of_a, mut of_b) = (vec![0; a.len()], vec![0; b.len()]);
    for resample in 0..resamples {
        draw_blocks(&mut Draw::new(seed, 0, resample, Purpose::Resample), &mut of_a);
        draw_blocks(&mut Draw::new(seed, 1, resample, Purpose::Resample), &mut of_b);
        for (figure, changes) in figures.iter().zip(&mut changes) {
            changes.push(figure(b, &of_b) / figure(a, &of_a) - 1.0);
        }
    }
    changes
}

/// The middle 95 % of the changes, expanded for the number of blocks in either run; nothing if one of them is no number.
#[must_use]
pub fn interval(mut changes: Vec<f64>, blocks: (usize, usize)) -> Option<[f64; 2]> {
    if changes.is_empty() || !changes.iter().all(|change| change.is_finite()) {
        return None;
    }
    changes.sort_unstable_by(f64::total_cmp);
    let tail = expanded_tail(blocks.0, blocks.1);
    let most = changes.len() - 1;
    let low = (tail * most as f64).floor() as usize;
    Some([changes[low], changes[most - low]])
}

/// The share to leave out at either end: 2.5 % for many blocks, less for few.
fn expanded_tail(a: usize, b: usize) -> f64 {
    let fewer = a.min(b).max(2) as f64;
    let t = student_975((a + b).saturating_sub(2).max(1) as f64);
    normal_tail(t * (fewer / (fewer - 1.0)).sqrt())
}

/// The 97.5 % quantile of Student's t (Abramowitz and Stegun, 26.7.5); within 1 % from 3 degrees of freedom on.
fn student_975(freedom: f64) -> f64 {
    const Z: f64 = 1.959_964;
    let (z3, z5, z7) = (Z.powi(3), Z.powi(5), Z.powi(7));
    Z + (z3 + Z) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / (96.0 * freedom.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / (384.0 * freedom.powi(3))
}

/// The share of a normal distribution beyond `z` ≥ 0 (Abramowitz and Stegun, 26.2.17); off by at most 7.5e-8.
fn normal_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    density
        * t
        * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_narrow_with_few_blocks() {
        assert!((student_975(4.0) - 2.776).abs() < 0.01 && (student_975(30.0) - 2.042).abs() < 0.001);
        assert!((normal_tail(1.959_964) - 0.025).abs() < 1e-6);
        assert!((expanded_tail(10_000, 10_000) - 0.025).abs() < 1e-4);
        assert!(expanded_tail(6, 6) < 0.01 && expanded_tail(3, 3) < 0.001);
    }

    #[test]
    fn a_figure_that_is_no_number_has_no_interval() {
        assert_eq!(interval(vec![0.1, f64::NAN], (5, 5)), None);
        assert_eq!(interval(Vec::new(), (5, 5)), None);
        assert_eq!(interval(vec![0.3, 0.1, 0.2], (3, 3)), Some([0.1, 0.3]));
    }
}
