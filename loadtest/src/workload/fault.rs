//! Events that are bad on purpose, so that a run shows rejections: a known, small share, each breaking one rule.

use super::World;
use crate::engine::Purpose;

/// The rule that a bad event breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No `event_name`.
    NameMissing,
    /// A space in `event_type`.
    TypeWithSpace,
    /// An `event_id` that is no UUID.
    IdNotAUuid,
    /// `event_data` is an array.
    DataNotAnObject,
    /// `event_data` ends too early.
    DataCutOff,
    /// `event_timestamp` after the year 9999.
    TimestampOutOfRange,
}

impl World {
    /// The fault of this event, if it is one of the bad ones.
    pub(crate) fn fault(&self, number: u32, sequence: u32) -> Option<Fault> {
        if self.bad == 0 {
            return None;
        }
        let mut draw = self.dice.draw(number, sequence, Purpose::Fault);
        (draw.next() >> 32 < self.bad).then(|| {
            draw.pick(&[
                (3, Fault::NameMissing),
                (3, Fault::TypeWithSpace),
                (2, Fault::IdNotAUuid),
                (3, Fault::DataNotAnObject),
                (2, Fault::DataCutOff),
                (1, Fault::TimestampOutOfRange),
            ])
        })
    }
}
