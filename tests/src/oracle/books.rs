//! What was sent and what was answered, event by event.

use headgate_proto::v1::{BatchVerdict, VerdictCode};

use super::{Batch, Events};

/// Everything that is known of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) application: u8,
    /// Times it was sent.
    pub(super) sends: u16,
    /// Times it was acknowledged.
    pub(super) acks: u16,
    /// Times it was rejected.
    pub(super) rejections: u16,
    /// Times it was refused or to be sent again: answered as surely not stored.
    pub(super) refusals: u16,
    // How often the gateway had been stopped when it was first sent.
    stops_before: u32,
    // The gateway was stopped between its first send and an acknowledgement.
    across_a_stop: bool,
}

impl Entry {
    /// Sends that had no answer, or one that does not say whether the event is stored.
    pub(super) fn unanswered(self) -> u16 {
        self.sends - self.acks - self.rejections - self.refusals
    }

    /// How often it may be in the lake. The sends that were acknowledged share one row: a client sends nothing again
    /// that was acknowledged, and of sends that crossed the gateway's dedupe keeps one. But that is a process's own: of
    /// sends that crossed a stop, too, the gateway before it and the one after it may each have stored one.
    pub(super) fn most_rows(self) -> u16 {
        self.unanswered() + if self.across_a_stop { self.acks } else { self.acks.min(1) }
    }
}

/// Every event's entry, and answers that contradict themselves.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) entries: Vec<Entry>,
    pub(super) bad_answers: Vec<String>,
    /// How often the gateway was stopped.
    pub(super) stops: u32,
    // By application.
    acknowledged: Vec<u64>,
}

impl Books {
    pub(super) fn add(&mut self, application: usize, events: usize) -> Vec<u64> {
        let application = u8::try_from(application).expect("few applications");
        let first = self.entries.len();
        self.entries.resize(first + events, Entry { application, ..Entry::default() });
        (first as u64..(first + events) as u64).collect()
    }

    pub(super) fn sent(&mut self, batch: &Batch) {
        let stops = self.stops;
        for serial in &batch.serials {
            let entry = self.entry(*serial);
            if entry.sends == 0 {
                entry.stops_before = stops;
            }
            entry.sends += 1;
        }
    }

    pub(super) fn refused(&mut self, batch: &Batch) {
        batch.serials.iter().for_each(|serial| self.entry(*serial).refusals += 1);
    }

    pub(super) fn verdict(&mut self, batch: &Batch, verdict: &BatchVerdict, events: &Events) -> Option<Batch> {
        match Verdicts::of(batch, verdict) {
            Ok(verdicts) => self.enter(batch, &verdicts, events),
            Err(problem) => {
                // Nothing is known of the batch then: its events are left unanswered.
                self.bad_answers.push(format!("{problem}: {verdict:?}"));
                None
            }
        }
    }

    pub(super) fn unsettled(&self, mut batch: Batch) -> Option<Batch> {
        batch.serials.retain(|serial| {
            let entry = self.entries[usize::try_from(*serial).expect("an index")];
            entry.acks == 0 && entry.rejections == 0
        });
        (!batch.serials.is_empty()).then_some(batch)
    }

    pub(super) fn open(&self) -> Vec<u64> {
        let is_open = |entry: &Entry| entry.sends > 0 && entry.acks == 0 && entry.rejections == 0;
        (0..).zip(&self.entries).filter(|(_, entry)| is_open(entry)).map(|(serial, _)| serial).collect()
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.iter().sum()
    }

    pub(super) fn acknowledged_of(&self, application: usize) -> u64 {
        self.acknowledged.get(application).copied().unwrap_or(0)
    }

    fn enter(&mut self, batch: &Batch, verdicts: &Verdicts, events: &Events) -> Option<Batch> {
        let mut again = Vec::new();
        let (mut acknowledged, stops) = (0, self.stops);
        for (serial, code) in batch.serials.iter().zip(&verdicts.0) {
            let is_bad = events.is_bad(*serial);
            let entry = self.entry(*serial);
            match code {
                VerdictCode::Accepted => {
                    entry.acks += 1;
                    entry.across_a_stop |= entry.stops_before < stops;
                    acknowledged += 1;
                }
                VerdictCode::Rejected => entry.rejections += 1,
                VerdictCode::Retry => {
                    entry.refusals += 1;
                    again.push(*serial);
                }
                VerdictCode::Unknown | VerdictCode::Unspecified => again.push(*serial),
            }
            if is_bad != (*code == VerdictCode::Rejected) {
                let what = if is_bad { "breaks a rule" } else { "keeps every rule" };
                self.bad_answers.push(format!("event {serial} {what} and its verdict is {code:?}"));
            }
        }
        if self.acknowledged.len() <= batch.application {
            self.acknowledged.resize(batch.application + 1, 0);
        }
        self.acknowledged[batch.application] += acknowledged;
        if again.is_empty() { None } else { Some(Batch { application: batch.application, serials: again }) }
    }

    fn entry(&mut self, serial: u64) -> &mut Entry {
        &mut self.entries[usize::try_from(serial).expect("an index")]
    }
}

/// The verdict of each event of a batch.
struct Verdicts(Vec<VerdictCode>);

impl Verdicts {
    /// Spreads the sparse list out and checks that it adds up.
    fn of(batch: &Batch, verdict: &BatchVerdict) -> Result<Self, &'static str> {
        let mut codes = vec![VerdictCode::Accepted; batch.serials.len()];
        let mut last = None;
        for event in &verdict.not_accepted {
            if last.is_some_and(|last| last >= event.index) {
                return Err("the verdicts are not in the order of the request");
            }
            last = Some(event.index);
            let code =
                codes.get_mut(event.index as usize).ok_or("a verdict for an event that the batch does not hold")?;
            *code = event.code();
            if matches!(code, VerdictCode::Unspecified | VerdictCode::Accepted) {
                return Err("an event is listed as not accepted without saying why");
            }
        }
        let count = |wanted| codes.iter().filter(|code| **code == wanted).count();
        let counted =
            [VerdictCode::Accepted, VerdictCode::Rejected, VerdictCode::Retry, VerdictCode::Unknown].map(count);
        let told = [verdict.accepted, verdict.rejected, verdict.retry, verdict.unknown].map(|count| count as usize);
        if told != counted {
            return Err("the verdicts are not as many as the counts say");
        }
        Ok(Self(codes))
    }
}
