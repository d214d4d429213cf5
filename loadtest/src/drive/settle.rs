//! Reads a batch's verdict and books each of its events exactly once.
//!
//! A verdict is trusted only if it adds up: its counts make the batch, and the listed events, in ascending order, make
//! the counts.

use std::time::Duration;

use headgate_proto::v1::{BatchVerdict, Reason, VerdictCode};

use super::trace::{self, ServerTrace};
use crate::engine::{Batch, Mark};
use crate::record::Ledger;

/// A verdict that adds up.
pub(super) struct Settled {
    pub(super) accepted: u64,
    /// Places of the events that were not accepted, ascending.
    not_accepted: Vec<(u32, End)>,
    /// Places of the events to be sent again, ascending.
    pub(super) retry: Vec<u32>,
    /// The longest hint among them.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Clone, Copy)]
enum End {
    Rejected(Reason),
    Unknown,
    Retry,
}

impl Settled {
    pub(super) fn read(verdict: &BatchVerdict, events: usize) -> Result<Self, &'static str> {
        const WRONG: &str = "a verdict that does not add up";
        let mut settled = Self { accepted: 0, not_accepted: Vec::new(), retry: Vec::new(), retry_after: None };
        let (mut rejected, mut unknown) = (0, 0);
        for one in &verdict.not_accepted {
            let ascending = settled.not_accepted.last().is_none_or(|(before, _)| *before < one.index);
            if !ascending || one.index as usize >= events {
                return Err(WRONG);
            }
            let end = match one.code() {
                VerdictCode::Rejected => {
                    rejected += 1;
                    End::Rejected(one.reason())
                }
                VerdictCode::Unknown => {
                    unknown += 1;
                    End::Unknown
                }
                VerdictCode::Retry => {
                    settled.retry.push(one.index);
                    settled.retry_after =
                        settled.retry_after.max(one.retry_delay.and_then(|hint| hint.try_into().ok()));
                    End::Retry
                }
                VerdictCode::Accepted | VerdictCode::Unspecified => return Err(WRONG),
            };
            settled.not_accepted.push((one.index, end));
        }
        settled.accepted = (events - settled.not_accepted.len()) as u64;
        let counts = [verdict.accepted, verdict.rejected, verdict.unknown, verdict.retry].map(u64::from);
        let listed = [settled.accepted, rejected, unknown, settled.retry.len() as u64];
        if counts == listed { Ok(settled) } else { Err(WRONG) }
    }

    pub(super) fn rejected(&self) -> u64 {
        self.count(|end| matches!(end, End::Rejected(_)))
    }

    pub(super) fn unknown(&self) -> u64 {
        self.count(|end| matches!(end, End::Unknown))
    }

    fn count(&self, which: impl Fn(End) -> bool) -> u64 {
        self.not_accepted.iter().filter(|(_, end)| which(*end)).count() as u64
    }

    /// Books every event of a batch of so many.
    pub(super) fn book(&self, ledger: &mut Ledger, events: u64) {
        ledger.accepted += self.accepted;
        ledger.retry += self.retry.len() as u64;
        ledger.in_flight -= events - self.retry.len() as u64;
        for (_, end) in &self.not_accepted {
            match end {
                End::Rejected(reason) => ledger.reject(*reason),
                End::Unknown => ledger.unknown += 1,
                End::Retry => {}
            }
        }
    }

    /// The events that have come to their end.
    pub(super) fn ended<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = Mark> + 'a {
        let mut retry = self.retry.iter().copied().peekable();
        let places = batch.marks.iter().enumerate();
        places.filter(move |(place, _)| retry.next_if_eq(&(*place as u32)).is_none()).map(|(_, mark)| *mark)
    }

    /// Keeps the ends of events that were not accepted.
    pub(super) fn trace(&self, batch: &Batch, trace: &mut ServerTrace) {
        for (place, end) in &self.not_accepted {
            let mark = batch.marks[*place as usize];
            match end {
                End::Rejected(_) => trace.one(mark, trace::End::Rejected),
                End::Unknown => trace.one(mark, trace::End::Undecided),
                End::Retry => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::EventVerdict;

    use super::*;

    fn one(index: u32, code: VerdictCode) -> EventVerdict {
        EventVerdict { index, code: code.into(), reason: Reason::Charset.into(), ..Default::default() }
    }

    fn verdict(
        accepted: u32,
        rejected: u32,
        retry: u32,
        unknown: u32,
        not_accepted: Vec<EventVerdict>,
    ) -> BatchVerdict {
        BatchVerdict { accepted, rejected, retry, unknown, not_accepted, ..BatchVerdict::default() }
    }

    #[test]
    fn each_event_is_booked_once() {
        let listed = vec![one(0, VerdictCode::Rejected), one(2, VerdictCode::Retry), one(3, VerdictCode::Unknown)];
        let settled = Settled::read(&verdict(2, 1, 1, 1, listed), 5).expect("adds up");
        assert_eq!(settled.retry, [2]);
        let mut ledger = Ledger { due: 5, in_flight: 5, ..Ledger::default() };
        settled.book(&mut ledger, 5);
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!((ledger.accepted, ledger.in_flight, ledger.unknown), (2, 1, 1));
        assert_eq!(ledger.rejected["charset"], 1);
        assert_eq!((settled.rejected(), settled.unknown()), (1, 1));
        let marks = (0..5).map(|sequence| Mark::new(1, sequence, 0, 0)).collect();
        let batch = Batch::of(&[], marks);
        assert_eq!(settled.ended(&batch).map(|mark| mark.sequence).collect::<Vec<_>>(), [0, 1, 3, 4]);
    }

    #[test]
    fn a_verdict_that_does_not_add_up_is_not_trusted() {
        let wrong = [
            verdict(4, 0, 0, 0, vec![]),
            verdict(5, 1, 0, 0, vec![one(0, VerdictCode::Rejected)]),
            verdict(4, 0, 1, 0, vec![one(0, VerdictCode::Rejected)]),
            verdict(3, 2, 0, 0, vec![one(1, VerdictCode::Rejected), one(1, VerdictCode::Rejected)]),
            verdict(3, 2, 0, 0, vec![one(1, VerdictCode::Rejected), one(0, VerdictCode::Rejected)]),
            verdict(4, 1, 0, 0, vec![one(5, VerdictCode::Rejected)]),
            verdict(4, 0, 0, 1, vec![one(1, VerdictCode::Accepted)]),
        ];
        for verdict in wrong {
            assert!(Settled::read(&verdict, 5).is_err(), "{verdict:?}");
        }
        assert!(Settled::read(&verdict(5, 0, 0, 0, vec![]), 5).is_ok());
    }
}
