//! The names of reasons, the same in metrics, bad rows and reports.

use crate::v1::Reason;

impl Reason {
    /// Its name in lower case.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Malformed => "malformed",
            Self::Required => "required",
            Self::Charset => "charset",
            Self::TooLong => "too_long",
            Self::NotAUuid => "not_a_uuid",
            Self::TimestampRange => "timestamp_range",
            Self::NotAJsonObject => "not_a_json_object",
            Self::TooDeep => "too_deep",
            Self::EventTooLarge => "event_too_large",
            Self::DestinationUnavailable => "destination_unavailable",
            Self::Deadline => "deadline",
            Self::Schema => "schema",
        }
    }
}
