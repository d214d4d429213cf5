//! What a batch's rejected events have in common.

use crate::ingest::validate::Invalid;

/// Causes and event types of one batch that are told apart.
const MAX_TOLD_APART: usize = 64;

/// Rejected events by cause and by type.
#[derive(Default)]
pub(super) struct Rejections<'m> {
    pub(super) causes: Vec<Cause>,
    pub(super) types: Vec<(&'m [u8], u32)>,
}

/// Rejected events of one cause.
pub(super) struct Cause {
    pub(super) field: String,
    pub(super) reason: &'static str,
    pub(super) count: u32,
}

impl<'m> Rejections<'m> {
    pub(super) fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    pub(super) fn count(&mut self, event_type: &'m [u8], invalid: &Invalid) {
        let (field, reason) = (invalid.place(), invalid.problem.reason().label());
        let full = self.causes.len() >= MAX_TOLD_APART;
        match self.causes.iter_mut().find(|cause| cause.reason == reason && cause.field == field) {
            Some(cause) => cause.count += 1,
            None if full => {}
            None => self.causes.push(Cause { field: field.to_owned(), reason, count: 1 }),
        }
        // The last one stands for all that are not told apart.
        let full = self.types.len() >= MAX_TOLD_APART;
        let event_type = if full { &b"(other)"[..] } else { event_type };
        match self.types.iter_mut().find(|(known, _)| *known == event_type) {
            Some((_, count)) => *count += 1,
            None => self.types.push((event_type, 1)),
        }
    }
}
