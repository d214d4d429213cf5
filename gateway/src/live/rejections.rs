//! What a batch's rejected events have in common.

use std::borrow::Cow;

use crate::event::validate::Invalid;

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
        let (field, reason) = (of_any_index(invalid.place()), invalid.problem.reason().label());
        let full = self.causes.len() >= MAX_TOLD_APART;
        match self.causes.iter_mut().find(|cause| cause.reason == reason && cause.field == field) {
            Some(cause) => cause.count += 1,
            None if full => {}
            None => self.causes.push(Cause { field: field.into_owned(), reason, count: 1 }),
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

/// A place in `event_data` with `*` for its indices: a hundred of them are one cause.
fn of_any_index(place: &str) -> Cow<'_, str> {
    let is_index = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    if !place.split('/').any(is_index) {
        return Cow::Borrowed(place);
    }
    let segments: Vec<&str> = place.split('/').map(|segment| if is_index(segment) { "*" } else { segment }).collect();
    Cow::Owned(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::of_any_index;

    #[test]
    fn every_index_is_one_place() {
        assert_eq!(of_any_index("event_data/items/17/id"), "event_data/items/*/id");
        assert_eq!(of_any_index("event_name"), "event_name");
        assert_eq!(of_any_index(""), "");
    }
}
