//! What an answer says of each event of its batch.

use std::time::Duration;

use headgate_proto::v1::{BatchVerdict, EventVerdict, VerdictCode};

use crate::refusal::duration;

/// A verdict that adds up.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) accepted: u64,
    /// Those that break a rule, by their place in the batch, ascending.
    pub(crate) rejected: Vec<EventVerdict>,
    /// Places of events to be sent again, ascending: not stored, or perhaps stored.
    pub(crate) again: Vec<u32>,
    /// How many of those may be stored.
    pub(crate) unknown: u64,
    pub(crate) warned: u64,
    /// The longest hint among those to be sent again.
    pub(crate) hint: Option<Duration>,
}

/// The verdict does not speak of the batch that was sent. Nothing can be concluded from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoesNotAddUp;

pub(crate) fn read(verdict: BatchVerdict, events: u32) -> Result<Reading, DoesNotAddUp> {
    let mut reading =
        Reading { accepted: 0, rejected: Vec::new(), again: Vec::new(), unknown: 0, warned: 0, hint: None };
    let listed = verdict.not_accepted.len() as u64;
    let mut next = 0;
    for one in verdict.not_accepted {
        if one.index < next || one.index >= events {
            return Err(DoesNotAddUp);
        }
        next = one.index + 1;
        match one.code() {
            VerdictCode::Rejected => reading.rejected.push(one),
            VerdictCode::Retry => {
                reading.again.push(one.index);
                reading.hint = reading.hint.max(duration(one.retry_delay));
            }
            VerdictCode::Unknown => {
                reading.again.push(one.index);
                reading.unknown += 1;
            }
            VerdictCode::Accepted | VerdictCode::Unspecified => return Err(DoesNotAddUp),
        }
    }
    reading.accepted = u64::from(events).checked_sub(listed).ok_or(DoesNotAddUp)?;
    reading.warned = u64::from(verdict.warned);
    let retry = reading.again.len() as u64 - reading.unknown;
    let counted = [verdict.accepted, verdict.rejected, verdict.retry, verdict.unknown].map(u64::from);
    if counted == [reading.accepted, reading.rejected.len() as u64, retry, reading.unknown] {
        Ok(reading)
    } else {
        Err(DoesNotAddUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(index: u32, code: VerdictCode) -> EventVerdict {
        EventVerdict { index, code: code.into(), ..EventVerdict::default() }
    }

    fn verdict(counts: [u32; 4], not_accepted: Vec<EventVerdict>) -> BatchVerdict {
        let [accepted, rejected, retry, unknown] = counts;
        BatchVerdict { accepted, rejected, retry, unknown, not_accepted, ..BatchVerdict::default() }
    }

    #[test]
    fn each_event_has_one_end() {
        let mut late = one(3, VerdictCode::Retry);
        late.retry_delay = Some(prost_types::Duration { seconds: 2, nanos: 0 });
        let listed =
            vec![one(0, VerdictCode::Rejected), one(2, VerdictCode::Retry), late, one(4, VerdictCode::Unknown)];
        let reading = read(verdict([2, 1, 2, 1], listed), 6).expect("it adds up");
        assert_eq!((reading.accepted, reading.rejected.len(), reading.unknown), (2, 1, 1));
        assert_eq!((reading.again, reading.hint), (vec![2, 3, 4], Some(Duration::from_secs(2))));
    }

    #[test]
    fn a_verdict_that_does_not_add_up_is_not_trusted() {
        let rejected = |index| one(index, VerdictCode::Rejected);
        let wrong = [
            verdict([4, 0, 0, 0], vec![]),
            verdict([5, 1, 0, 0], vec![rejected(0)]),
            verdict([4, 0, 1, 0], vec![rejected(0)]),
            verdict([3, 2, 0, 0], vec![rejected(1), rejected(1)]),
            verdict([3, 2, 0, 0], vec![rejected(1), rejected(0)]),
            verdict([4, 1, 0, 0], vec![rejected(5)]),
            verdict([4, 0, 0, 1], vec![one(1, VerdictCode::Accepted)]),
        ];
        for verdict in wrong {
            assert!(read(verdict.clone(), 5).is_err(), "{verdict:?}");
        }
        assert!(read(verdict([5, 0, 0, 0], vec![]), 5).is_ok());
    }
}
