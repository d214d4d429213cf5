//! Where every event of a smoke test has gone.

use std::time::Duration;

use headgate_proto::v1::{self, BatchVerdict, Event, VerdictCode};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{Problem, Said, Sent, events, passes, refused};

/// What became of the events so far.
pub(super) struct Book {
    of: u64,
    pub(super) sent: Sent,
    /// What was not taken.
    pub(super) again: Vec<Event>,
    /// When it may be sent again.
    pub(super) wait: Duration,
    pub(super) resent: u64,
    /// Why something was not taken, the last time.
    pub(super) last: String,
}

impl Book {
    pub(super) fn new(of: u64) -> Self {
        let (sent, last) = (Sent::default(), "none came".to_owned());
        Self { of, sent, again: Vec::new(), wait: Duration::ZERO, resent: 0, last }
    }

    /// What the gateway says of each event of a batch.
    pub(super) fn verdict(&mut self, lot: Vec<Event>, verdict: &BatchVerdict) -> Result<(), Problem> {
        let named = [verdict.accepted, verdict.rejected, verdict.retry, verdict.unknown];
        let named = named.into_iter().map(u64::from).sum();
        let others = verdict.not_accepted.len();
        if named != lot.len() as u64 || verdict.accepted as usize + others != lot.len() {
            return Err(Problem::Unbalanced { named, sent: lot.len() });
        }
        let mut not_accepted = verdict.not_accepted.iter().peekable();
        for (index, event) in lot.into_iter().enumerate() {
            let Some(found) = not_accepted.next_if(|found| found.index as usize == index) else {
                self.accepted(&event);
                continue;
            };
            match found.code() {
                VerdictCode::Rejected => {
                    return Err(Problem::Rejected {
                        event_type: event.event_type,
                        reason: found.reason().label().to_owned(),
                        message: found.message.clone(),
                    });
                }
                VerdictCode::Unknown => self.sent.unsure += 1,
                VerdictCode::Retry | VerdictCode::Accepted | VerdictCode::Unspecified => {}
            }
            self.last = format!("{}: {}", found.reason().label(), found.message);
            self.wait_for(found.retry_delay.and_then(|delay| delay.try_into().ok()));
            self.again.push(event);
        }
        Ok(())
    }

    fn accepted(&mut self, event: &Event) {
        // Ours: it is a UUID.
        let id = Uuid::try_parse(&event.event_id).unwrap_or_default();
        self.sent.ids.acknowledged.push(id.as_u128());
        self.sent.logins += u64::from(event.event_type == events::LOGIN);
    }

    /// A batch of a stream is refused as a whole, and nothing of it is stored.
    pub(super) fn refusal(&mut self, lot: Vec<Event>, refusal: v1::Status) -> Result<(), Problem> {
        let delay = refusal.retry_delay.and_then(|delay| delay.try_into().ok());
        let status = Status::new(Code::from_i32(refusal.code), refusal.message);
        self.not_taken(lot, &status, delay)
    }

    /// A call failed.
    pub(super) fn failed(&mut self, lot: Vec<Event>, status: &Status) -> Result<(), Problem> {
        // The client's own errors have a source, and say nothing of what became of the events; the gateway's have none.
        let is_own = std::error::Error::source(status).is_some() || status.code() == Code::DeadlineExceeded;
        self.sent.unsure += if is_own { lot.len() as u64 } else { 0 };
        let delay = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
        self.not_taken(lot, status, delay)
    }

    /// The stream ended before these were answered.
    pub(super) fn unanswered(&mut self, lot: Vec<Event>) {
        self.sent.unsure += lot.len() as u64;
        self.again.extend(lot);
    }

    fn not_taken(&mut self, lot: Vec<Event>, status: &Status, delay: Option<Duration>) -> Result<(), Problem> {
        if !passes(status) {
            return Err(refused(status, lot.len()));
        }
        self.last = Said::of(status).to_string();
        self.wait_for(delay);
        self.again.extend(lot);
        Ok(())
    }

    fn wait_for(&mut self, delay: Option<Duration>) {
        self.wait = self.wait.max(delay.unwrap_or_default());
    }

    pub(super) fn not_acknowledged(&self, tries: u32) -> Problem {
        Problem::NotAcknowledged { left: self.again.len() as u64, of: self.of, tries, said: self.last.clone() }
    }
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::{EventVerdict, Reason};

    use super::*;

    fn verdict(of: u32, found: &[(u32, VerdictCode)]) -> BatchVerdict {
        let count = |code| found.iter().filter(|(_, other)| *other == code).count() as u32;
        let not_accepted = found.iter().map(|(index, code)| EventVerdict {
            index: *index,
            code: *code as i32,
            reason: Reason::Deadline as i32,
            message: "too late".to_owned(),
            retry_delay: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            ..EventVerdict::default()
        });
        BatchVerdict {
            accepted: of - found.len() as u32,
            rejected: count(VerdictCode::Rejected),
            retry: count(VerdictCode::Retry),
            unknown: count(VerdictCode::Unknown),
            not_accepted: not_accepted.collect(),
            ..BatchVerdict::default()
        }
    }

    #[test]
    fn every_event_is_acknowledged_or_sent_again_under_its_id() {
        let lot = events::good(9, 1_790_000_000_000);
        let mut book = Book::new(9);
        let found = [(2, VerdictCode::Retry), (3, VerdictCode::Unknown)];
        book.verdict(lot.clone(), &verdict(9, &found)).expect("it balances");
        assert_eq!(book.again, lot[2..4]);
        assert_eq!((book.sent.acknowledged(), book.sent.unsure, book.wait), (7, 1, Duration::from_secs(1)));
        assert_eq!(book.sent.logins, 2, "one in eight, the first first");
        assert_eq!(book.last, "deadline: too late");
        let again = std::mem::take(&mut book.again);
        book.verdict(again, &verdict(2, &[])).expect("it balances");
        let mut ids: Vec<String> =
            book.sent.ids.acknowledged.iter().map(|id| Uuid::from_u128(*id).to_string()).collect();
        ids.sort();
        assert_eq!(ids, lot.iter().map(|event| event.event_id.clone()).collect::<Vec<_>>());
    }

    #[test]
    fn what_no_second_try_can_mend_fails_at_once() {
        let lot = || events::good(3, 1_790_000_000_000);
        let mut book = Book::new(3);
        let rejected = book.verdict(lot(), &verdict(3, &[(1, VerdictCode::Rejected)]));
        assert!(matches!(rejected, Err(Problem::Rejected { .. })), "{rejected:?}");
        let short = book.verdict(lot(), &verdict(2, &[]));
        assert!(matches!(short, Err(Problem::Unbalanced { named: 2, sent: 3 })), "{short:?}");
        let denied = book.failed(lot(), &Status::unauthenticated("the API key is unknown"));
        assert!(matches!(denied, Err(Problem::BatchRefused { events: 3, .. })), "{denied:?}");

        let mut book = Book::new(3);
        let refusal = v1::Status {
            code: Code::ResourceExhausted as i32,
            retry_delay: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
            ..v1::Status::default()
        };
        book.refusal(lot(), refusal).expect("it passes");
        assert_eq!((book.again.len(), book.sent.unsure, book.wait), (3, 0, Duration::from_secs(2)));
    }
}
