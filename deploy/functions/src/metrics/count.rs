//! What an event counts as: the four metrics of the AWS solution.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::record::{self, Members, Record};

/// An event, as far as the metrics go.
pub(super) struct Occurrence<'a> {
    pub(super) application_id: Cow<'a, str>,
    pub(super) event_id: Cow<'a, str>,
    /// Empty where the event has none.
    pub(super) app_version: Cow<'a, str>,
    pub(super) kind: Kind<'a>,
}

/// What it counts as beside an event.
pub(super) enum Kind<'a> {
    Login,
    /// By what spell.
    Knockout(Cow<'a, str>),
    /// In what currency.
    Purchase(Cow<'a, str>),
    Other,
}

impl<'a> Occurrence<'a> {
    /// `None` for a record without an application, an id or a type.
    pub(super) fn of(record: &Record<'a>) -> Option<Self> {
        let event = &record.event;
        let string = |name| event.get(name).and_then(record::string).filter(|text| !text.is_empty());
        let application_id = record::string(record.application_id).filter(|id| !id.is_empty())?;
        let (event_id, event_type) = (string("event_id")?, string("event_type")?);
        let app_version = string("app_version").unwrap_or_default();
        // Without the attribute, a knockout or purchase counts as an event only, as in the AWS solution.
        let kind = match &*event_type {
            "login" => Kind::Login,
            "user_knockout" => attribute(event, "spell_id").map_or(Kind::Other, Kind::Knockout),
            "iap_transaction" => attribute(event, "currency_type").map_or(Kind::Other, Kind::Purchase),
            _ => Kind::Other,
        };
        Some(Self { application_id, event_id, app_version, kind })
    }
}

/// A member of `event_data` that is a string, a number or a truth value, as text.
fn attribute<'a>(event: &Members<'a>, name: &str) -> Option<Cow<'a, str>> {
    let value: &'a RawValue = event.get("event_data").and_then(Members::of)?.get(name)?;
    match value.get().as_bytes().first()? {
        b'{' | b'[' | b'n' => None,
        _ => Some(record::text(value)).filter(|text| !text.trim().is_empty()),
    }
}
