//! What a window has counted so far. It travels through Lambda between invocations, at most 1 MB of it a shard (Lambda
//! developer guide, "Implementing stateful Kinesis Data Streams processing"), beyond which Lambda ends the window early.
//!
//! Ids take most of it: at most [`MAX_IDS`], 765 KB. That is what a shard takes in a minute: 1 MiB/s in stream records of
//! 320 bytes, the smallest there are, and 10 bytes of the aggregate for each, makes 190,650. Past the cap events count
//! without being told apart, which is counted, too. The counts themselves take at most 100 KB; names that find no room count
//! as `(other)`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::count::{Kind, Occurrence};
use super::ids::Ids;

/// Ids of a window that are told apart at most.
pub(super) const MAX_IDS: usize = 191_000;
/// What names of applications, versions, spells and currencies may take.
const NAMES_BYTES: usize = 100_000;
/// What a name takes beside itself: quotes, colon, comma, and a count or the braces of what is in it.
const NAME_BYTES: usize = 32;
/// Longer names are not told apart.
const MAX_NAME: usize = 128;
/// In the place of names that are not told apart.
pub(super) const OTHER: &str = "(other)";

/// What a window keeps apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Event ids.
    pub(super) ids: usize,
    /// Versions of an application, and spells and currencies of a version.
    pub(super) values: usize,
}

pub(super) struct State {
    limits: Limits,
    ids: Ids,
    counted: Counted,
    room: usize,
}

/// The part that is kept as it is.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Counted {
    unreadable: u64,
    not_deduplicated: u64,
    apps: BTreeMap<String, Versions>,
}

type Versions = BTreeMap<String, Counts>;

/// The counts of one version of an application. The names are short because they travel.
#[derive(Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub(super) struct Counts {
    #[serde(rename = "e")]
    pub(super) events: u64,
    #[serde(rename = "l", skip_serializing_if = "is_zero")]
    pub(super) logins: u64,
    #[serde(rename = "k", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) knockouts: BTreeMap<String, u64>,
    #[serde(rename = "p", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) purchases: BTreeMap<String, u64>,
}

#[derive(Deserialize, Serialize)]
struct Kept {
    id_count: usize,
    ids: String,
    #[serde(flatten)]
    counted: Counted,
}

impl State {
    /// What the invocation before kept. Where that is not there, or nobody can read it, counting begins anew.
    pub(super) fn restore(kept: Value, limits: Limits) -> Self {
        let fresh = |counted| Self { limits, ids: Ids::default(), counted, room: NAMES_BYTES };
        let is_first = kept.as_object().is_none_or(serde_json::Map::is_empty);
        if is_first {
            return fresh(Counted::default());
        }
        let Some((ids, counted)) = Self::read(kept) else {
            tracing::error!("the state of the window can't be read: counting begins anew");
            return fresh(Counted::default());
        };
        let room = NAMES_BYTES.saturating_sub(counted.names_bytes());
        Self { limits, ids, counted, room }
    }

    fn read(kept: Value) -> Option<(Ids, Counted)> {
        let kept: Kept = serde_json::from_value(kept).ok()?;
        let ids = Ids::decode(kept.id_count, &STANDARD_NO_PAD.decode(kept.ids).ok()?)?;
        Some((ids, kept.counted))
    }

    /// For the next invocation.
    pub(super) fn keep(self) -> Value {
        let ids = STANDARD_NO_PAD.encode(self.ids.encode());
        let kept = Kept { id_count: self.ids.len(), ids, counted: self.counted };
        // Strings, numbers and maps of them always become JSON.
        serde_json::to_value(kept).unwrap_or_default()
    }

    /// Counts an event, if it was not counted before.
    pub(super) fn count(&mut self, occurrence: &Occurrence<'_>) {
        let hash = Ids::hash(&occurrence.application_id, &occurrence.event_id);
        if self.ids.contains(hash) {
            return;
        }
        if self.ids.len() < self.limits.ids {
            self.ids.insert(hash);
        } else {
            self.counted.not_deduplicated += 1;
        }
        let (values, room) = (self.limits.values, &mut self.room);
        let versions = place(&mut self.counted.apps, &occurrence.application_id, usize::MAX, room);
        let counts = place(versions, &occurrence.app_version, values, room);
        counts.events += 1;
        match &occurrence.kind {
            Kind::Login => counts.logins += 1,
            Kind::Knockout(spell) => *place(&mut counts.knockouts, spell, values, room) += 1,
            Kind::Purchase(currency) => *place(&mut counts.purchases, currency, values, room) += 1,
            Kind::Other => {}
        }
    }

    /// Counts a record, or a line of one, that is no event.
    pub(super) fn count_unreadable(&mut self) {
        self.counted.unreadable += 1;
    }

    pub(super) fn unreadable(&self) -> u64 {
        self.counted.unreadable
    }

    /// Events that were counted past the cap of ids, and may have been counted before.
    pub(super) fn not_deduplicated(&self) -> u64 {
        self.counted.not_deduplicated
    }

    pub(super) fn events(&self) -> u64 {
        self.counts().map(|(_, _, counts)| counts.events).sum()
    }

    /// Application, version and counts.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, &str, &Counts)> {
        self.counted.apps.iter().flat_map(|(app, versions)| {
            versions.iter().map(move |(version, counts)| (app.as_str(), version.as_str(), counts))
        })
    }
}

impl Counted {
    fn names_bytes(&self) -> usize {
        let names = |counts: &Counts| -> usize {
            counts.knockouts.keys().chain(counts.purchases.keys()).map(|name| name_bytes(name)).sum()
        };
        let versions = |versions: &Versions| -> usize {
            versions.iter().map(|(version, counts)| name_bytes(version) + names(counts)).sum()
        };
        self.apps.iter().map(|(app, of_app)| name_bytes(app) + versions(of_app)).sum()
    }
}

/// The place of a name in a map, a new one where there is room, else that of the others.
fn place<'m, V: Default>(map: &'m mut BTreeMap<String, V>, name: &str, limit: usize, room: &mut usize) -> &'m mut V {
    let is_new = !map.contains_key(name);
    let takes = name_bytes(name);
    let has_room = map.len() < limit && takes <= *room && name.len() <= MAX_NAME;
    let name = if is_new && !has_room { OTHER } else { name };
    if is_new {
        // Others have their place even past the room: they are few.
        *room = room.saturating_sub(name_bytes(name));
    }
    map.entry(name.to_owned()).or_default()
}

fn name_bytes(name: &str) -> usize {
    // As JSON writes it: a control character takes six bytes for its one.
    let escaped: usize =
        name.bytes().map(|byte| if byte < b' ' { 6 } else { 1 + usize::from(matches!(byte, b'"' | b'\\')) }).sum();
    escaped + NAME_BYTES
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
