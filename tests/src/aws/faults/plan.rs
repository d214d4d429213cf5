//! What the rules decided for one call.

use std::time::Duration;

use super::super::error::CallError;
use super::Fault;

/// How an answered call ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Ending {
    #[default]
    Whole,
    Cut,
    Never,
    Reset,
}

/// What is going to happen to one call.
#[derive(Debug, Default)]
pub(in super::super) struct Plan {
    pub(in super::super) hang: bool,
    pub(in super::super) error: Option<CallError>,
    pub(in super::super) late: Option<Duration>,
    pub(in super::super) slow: Option<Duration>,
    pub(in super::super) withheld: usize,
    pub(in super::super) ending: Ending,
}

impl Plan {
    pub(super) fn has_room_for(&self, fault: Fault) -> bool {
        match fault {
            Fault::LateCommit(_) => self.late.is_none(),
            Fault::SlowAnswer(_) => self.slow.is_none(),
            Fault::AnswerShort { .. } => self.withheld == 0,
            Fault::AnswerLost | Fault::AnswerReset | Fault::AnswerCut => self.ending == Ending::Whole,
            _ => true,
        }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        match fault {
            Fault::CallFails(error) => self.error = Some(error),
            Fault::Hang => self.hang = true,
            Fault::LateCommit(delay) => self.late = Some(delay),
            Fault::SlowAnswer(delay) => self.slow = Some(delay),
            Fault::AnswerShort { missing } => self.withheld = missing,
            Fault::AnswerLost => self.ending = Ending::Never,
            Fault::AnswerReset => self.ending = Ending::Reset,
            Fault::AnswerCut => self.ending = Ending::Cut,
            Fault::RecordsFail { .. } | Fault::EachRecordFails { .. } => {}
            Fault::ResetBeforeReading | Fault::StaleConnection => {}
        }
    }
}
