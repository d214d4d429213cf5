//! The rate at which sessions have to begin so that the number online follows a curve.
//!
//! In a steady state it is the number online over the mean session. While the curve moves, what it moves by is added,
//! and what matters is not the mean but which of the sessions under way end when: after a launch nearly all are young,
//! and many of them short. So the rate is computed from the law of session lengths: step by step, as many arrivals as
//! lead from those still online to the curve's next value (a discrete renewal equation). Where the curve falls faster
//! than sessions end, there are none.

use std::sync::{Arc, Mutex, PoisonError};

use super::cycle::Mix;
use super::{Curve, World};

/// Steps from the start to the curve's end, and beyond it.
const STEPS: usize = 2_000;
/// Sessions played through to learn how long they last: a standard error of half a percent of the players.
const SESSIONS: u32 = 10_000;

/// How sessions begin on a game server, per player of it.
pub(crate) struct Inflow {
    /// Who is online at the start.
    pub(crate) start: Mix,
    /// Sessions that begin in a second, over seconds of game time.
    pub(crate) rate: Curve,
    /// The share of the players that is online, over the same time.
    pub(crate) share: Curve,
}

/// Inflows computed before: the servers of a run have few different ones.
#[derive(Default)]
pub(super) struct Inflows {
    /// By the share online over game time and the start in milliseconds.
    known: Mutex<Vec<(Curve, u64, Arc<Inflow>)>>,
    lengths: std::sync::OnceLock<Vec<u32>>,
}

impl World {
    /// The inflow that keeps `online` times the curve's level of all players online, from `start_ms` on.
    pub(crate) fn inflow(&self, curve: &Curve, online: f64, start_ms: u64) -> Arc<Inflow> {
        let share = curve.scaled(online, 1.0);
        let mut known = self.inflows.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., inflow)) = known.iter().find(|(curve, start, _)| *start == start_ms && *curve == share) {
            return inflow.clone();
        }
        let inflow = Arc::new(self.compute_inflow(&share, start_ms as f64 / 1e3));
        known.push((share, start_ms, inflow.clone()));
        inflow
    }

    fn compute_inflow(&self, share: &Curve, start_s: f64) -> Inflow {
        let start = self.cycles.mix(share.level(start_s));
        if share.is_flat() || share.end() <= start_s {
            return Inflow { start, rate: Curve::flat(start.arrivals), share: share.clone() };
        }
        let step_s = (share.end() - start_s) / STEPS as f64;
        let mean_share = share.integral(start_s, share.end()) / (share.end() - start_s);
        let sessions = self.sessions(self.cycles.mix(mean_share));

        // Of those who arrived during a step, the share still online `steps` ends of a step later, and the same of those
        // who were under way at the start.
        let young: Vec<f64> = (0..=2 * STEPS)
            .map(|steps| sessions.online_s(steps as f64 * step_s, (steps + 1) as f64 * step_s) / step_s)
            .collect();
        let old = |steps: usize| 1.0 - sessions.online_s(0.0, steps as f64 * step_s) / sessions.mean_s;

        let at = |step: usize| start_s + step as f64 * step_s;
        let mut arrivals: Vec<f64> = Vec::with_capacity(2 * STEPS);
        let mut points = Vec::with_capacity(4 * STEPS + 1);
        for step in 0..2 * STEPS {
            let still: f64 = arrivals.iter().rev().zip(&young[1..]).map(|(arrived, online)| arrived * online).sum();
            let before = share.level(start_s) * old(step + 1) + still;
            let arrived = ((share.level(at(step + 1)) - before) / young[0]).max(0.0);
            arrivals.push(arrived);
            points.extend([(at(step), arrived / step_s), (at(step + 1), arrived / step_s)]);
        }
        let end = self.cycles.mix(share.level(share.end())).arrivals;
        points.push((at(2 * STEPS), end));
        Inflow { start, rate: Curve::new(points), share: share.clone() }
    }

    /// The law of the lengths of sessions that begin in a steady state.
    fn sessions(&self, mix: Mix) -> Sessions {
        let lengths = self.inflows.lengths.get_or_init(|| {
            let payers = (self.cycles.payers_arriving(self.cycles.mix(0.5)) * f64::from(SESSIONS)) as u32;
            // The numbers from the top are nobody's in any run of fewer than four milliards of players.
            let mut lengths: Vec<u32> =
                (0..SESSIONS).map(|session| self.session_ms(u32::MAX - session, session < payers)).collect();
            lengths.sort_unstable();
            lengths
        });
        let mean_ms = lengths.iter().map(|length| f64::from(*length)).sum::<f64>() / f64::from(SESSIONS);
        // Scaled to the mean that the model promises, so that sampling leaves no bias in the long run.
        let payers = self.cycles.payers_arriving(mix);
        let mean_s = payers * self.cycles.payer.session_s + (1.0 - payers) * self.cycles.other.session_s;
        let lengths: Vec<f64> = lengths.iter().map(|length| f64::from(*length) * mean_s / mean_ms).collect();
        let mut sum = 0.0;
        let sums = lengths.iter().map(|length| {
            sum += length;
            sum
        });
        Sessions { sums: sums.collect(), lengths, mean_s }
    }
}

/// Lengths of sessions in seconds, ascending, with their running sums.
struct Sessions {
    lengths: Vec<f64>,
    sums: Vec<f64>,
    mean_s: f64,
}

impl Sessions {
    /// The time that a session is online between these two ages, on average.
    fn online_s(&self, from_s: f64, to_s: f64) -> f64 {
        let up_to = |age: f64| {
            let over = self.lengths.partition_point(|length| *length <= age);
            let ended = if over == 0 { 0.0 } else { self.sums[over - 1] };
            (ended + (self.lengths.len() - over) as f64 * age) / self.lengths.len() as f64
        };
        up_to(to_s) - up_to(from_s)
    }
}
