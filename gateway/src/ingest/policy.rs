//! What an application asks of its events beyond the rules of all: schemas of event types, players whose events are not to
//! be kept, and ids that are hashed.
//!
//! An application that asks for nothing has no policy, and its events cost nothing more. Of others a suppressed player is
//! found by one look at `event_data`; an event whose type has a schema is read into memory to be held against it.

mod feed;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use uuid::Uuid;

pub use self::feed::PolicyFeed;
use crate::event::member::{member, scalar, unescaped};
use crate::event::scan::{Envelope, RawEvent};
use crate::event::validate::{Flaw, Limits};
use crate::ingest::identity::{Hashed, Hashing, Watched};
use crate::registry::{
    Hasher, Identities, Identity, JsonSchema, Schema, SchemaMode, Secret, Suppression, Violation, generation_of_hash,
};

/// The policies of every application that has one.
#[derive(Debug, Default)]
pub struct Policies {
    current: RwLock<HashMap<Uuid, Arc<Policy>>>,
}

/// What one application asks.
#[derive(Debug, Default)]
pub struct Policy {
    // As text: ids that are numbers in JSON are kept as they are written.
    suppressed: HashSet<Box<[u8]>>,
    // Those of them who are known by a hash alone.
    watched: Watched,
    // `None`: ids are kept as they are sent.
    hashing: Option<Hashing>,
    schemas: HashMap<Box<[u8]>, Arc<OfType>>,
    // Nobody can tell which ids are hashed, or how.
    is_sealed: bool,
}

/// The schema of an event type.
#[derive(Debug)]
struct OfType {
    row: Schema,
    // `None`: it is no schema that can be used.
    schema: Option<JsonSchema>,
}

/// How an event that keeps the rules stands with its application's policy.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is to be stored.
    Good,
    /// It is to be stored, and does not fit its schema.
    Warned(Box<Violation>),
    /// It does not fit its schema, and is to be rejected.
    Unfit(Box<Violation>),
    /// It is to be answered as accepted and not to be kept.
    Suppressed,
}

impl Policies {
    /// Nobody has asked for anything.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// An application's policy, if it has one.
    #[must_use]
    pub fn of(&self, application: Uuid) -> Option<Arc<Policy>> {
        self.all().get(&application).cloned()
    }

    /// From now on these hold. What did not change is kept as it is. Returns the schemas that can't be used, with the
    /// reason, of those that were not there before.
    pub fn replace(
        &self,
        schemas: Vec<Schema>,
        suppressions: Vec<Suppression>,
        identities: &Identities,
    ) -> Vec<(Schema, String)> {
        let mut policies: HashMap<Uuid, Policy> = HashMap::new();
        let mut unusable = Vec::new();
        let before = self.all();
        for row in schemas.into_iter().filter(|row| row.mode != SchemaMode::Off) {
            let known =
                before.get(&row.application_id).and_then(|policy| policy.schemas.get(row.event_type.as_bytes()));
            let of_type = match known {
                Some(known) if known.row == row => Arc::clone(known),
                _ => {
                    let compiled = JsonSchema::compile(&row.schema);
                    if let Err(problem) = &compiled {
                        unusable.push((row.clone(), problem.clone()));
                    }
                    Arc::new(OfType { row: row.clone(), schema: compiled.ok() })
                }
            };
            let policy = policies.entry(row.application_id).or_default();
            policy.schemas.insert(row.event_type.into_bytes().into_boxed_slice(), of_type);
        }
        for suppression in suppressions {
            let policy = policies.entry(suppression.application_id).or_default();
            policy.suppressed.insert(suppression.player_id.into_bytes().into_boxed_slice());
        }
        drop(before);
        for unreadable in &identities.unreadable {
            policies.entry(unreadable.application_id).or_default().is_sealed = true;
        }
        for identity in &identities.readable {
            if let Some(hashing) = Hashing::new(identity) {
                policies.entry(identity.application_id).or_default().hashing = Some(hashing);
            }
            if let Some(policy) = policies.get_mut(&identity.application_id) {
                policy.know_by_hash(identity);
            }
        }
        let policies = policies.into_iter().map(|(application, policy)| (application, Arc::new(policy))).collect();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, policies);
        // Every batch asks for its policy: to free a long list takes longer than anybody should wait.
        drop(current);
        drop(before);
        unusable
    }

    fn all(&self) -> RwLockReadGuard<'_, HashMap<Uuid, Arc<Policy>>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy {
    /// Players who are suppressed are so by every hash of theirs, whether ids are hashed now or not: events come again out
    /// of the lake and the bad rows, and hold the hash of their time.
    fn know_by_hash(&mut self, identity: &Identity) {
        self.watched = Watched::new(identity, &self.suppressed);
        let hashers: Vec<Hasher> = identity.secrets.iter().map(Secret::hasher).collect();
        let plain = self.suppressed.iter().filter(|player| generation_of_hash(player).is_none());
        let hashes: Vec<_> = plain.flat_map(|player| hashers.iter().map(|hasher| hasher.hash(player))).collect();
        self.suppressed.extend(hashes.into_iter().map(|hash| hash.into_bytes().into_boxed_slice()));
    }

    /// A batch with hashes in the place of ids; `None` where the application has none hashed.
    pub(super) fn hashed(&self, message: &[u8], envelope: Envelope, flaws: &[Flaw], limits: &Limits) -> Option<Hashed> {
        let hashing = self.hashing.as_ref()?;
        Some(hashing.batch(message, envelope, flaws, limits, |player| self.watched.hash_of(player, &self.suppressed)))
    }

    /// Whether no event may be taken, because nobody can tell how its ids are to be hashed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Looks at an event that keeps the rules.
    #[must_use]
    pub fn standing(&self, event: &RawEvent<'_>) -> Standing {
        if self.is_suppressed(event.event_data) { Standing::Suppressed } else { self.fitness(event) }
    }

    /// Whether any event type has a schema.
    #[must_use]
    pub fn has_schemas(&self) -> bool {
        !self.schemas.is_empty()
    }

    /// How an event stands with the schema of its type, whoever it is of. Of one that breaks a rule it says nothing that
    /// would mean anything.
    #[must_use]
    pub fn fitness(&self, event: &RawEvent<'_>) -> Standing {
        let Some(of_type) = self.schemas.get(event.event_type) else { return Standing::Good };
        let Some(schema) = &of_type.schema else { return Standing::Good };
        match schema.check(event.event_data) {
            Ok(()) => Standing::Good,
            Err(violation) if of_type.row.mode == SchemaMode::Enforce => Standing::Unfit(violation),
            Err(violation) => Standing::Warned(violation),
        }
    }

    /// Whether `event_data`, a JSON object, is of a player whose events are not to be kept.
    #[must_use]
    pub fn is_suppressed(&self, event_data: &[u8]) -> bool {
        if self.suppressed.is_empty() {
            return false;
        }
        let Some(player) = member(event_data, "player_id").and_then(scalar) else { return false };
        if player.contains(&b'\\') { self.is_one_of_them(&unescaped(player)) } else { self.is_one_of_them(player) }
    }
}

impl Policy {
    fn is_one_of_them(&self, player: &[u8]) -> bool {
        self.suppressed.contains(player) || self.watched.hash_of(player, &self.suppressed).is_some()
    }

    /// The same of bytes that need be no JSON object: broken behind the id, too deep, or an object that somebody has put
    /// into a string.
    #[must_use]
    pub fn is_suppressed_as_far_as_readable(&self, event_data: &[u8]) -> bool {
        if self.suppressed.is_empty() {
            return false;
        }
        let within = scalar(event_data.trim_ascii()).filter(|_| event_data.trim_ascii().starts_with(b"\""));
        self.is_suppressed(event_data) || within.is_some_and(|text| self.is_suppressed(&unescaped(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: Uuid = Uuid::from_u128(7);

    fn schema(event_type: &str, mode: SchemaMode, schema: &str) -> Schema {
        let (event_type, schema) = (event_type.to_owned(), schema.to_owned());
        Schema { application_id: APP, event_type, version: 1, mode, schema, created_at_ms: 0 }
    }

    fn suppressed(player: &str) -> Suppression {
        Suppression { application_id: APP, player_id: player.to_owned(), since_ms: 0 }
    }

    fn standing(policies: &Policies, event_type: &'static str, event_data: &str) -> Standing {
        let event =
            RawEvent { event_type: event_type.as_bytes(), event_data: event_data.as_bytes(), ..RawEvent::default() };
        policies.of(APP).map_or(Standing::Good, |policy| policy.standing(&event))
    }

    #[test]
    fn who_asks_for_nothing_has_no_policy() {
        let policies = Policies::new();
        assert!(policies.of(APP).is_none());
        let off = schema("login", SchemaMode::Off, "{}");
        assert_eq!(policies.replace(vec![off], Vec::new(), &Identities::default()), []);
        assert!(policies.of(APP).is_none());
    }

    #[test]
    fn a_player_is_found_however_the_id_is_written_and_only_at_its_place() {
        let policies = Policies::new();
        assert_eq!(policies.replace(Vec::new(), vec![suppressed("anna"), suppressed("7")], &Identities::default()), []);
        for event_data in [
            r#"{"player_id":"anna"}"#,
            r#"{ "x" : {"player_id":"b"}, "player_id" : "\u0061nna" }"#,
            r#"{"player\u005fid":"anna"}"#,
            r#"{"player_id":7}"#,
            r#"{"player_id":"7"}"#,
        ] {
            assert_eq!(standing(&policies, "login", event_data), Standing::Suppressed, "{event_data}");
        }
        for event_data in
            ["", "{}", r#"{"player_id":"ann"}"#, r#"{"player_id":["anna"]}"#, r#"{"x":{"player_id":"anna"}}"#]
        {
            assert_eq!(standing(&policies, "login", event_data), Standing::Good, "{event_data}");
        }
        let policy = policies.of(APP).expect("a policy");
        for broken in [r#"{"player_id":"anna","x":NaN}"#, r#" "{\"player_id\":\"anna\"}" "#, r#"{"player_id":"anna""#] {
            assert!(policy.is_suppressed_as_far_as_readable(broken.as_bytes()), "{broken}");
        }
        for other in ["", "\"", "\"anna\"", "[1", r#""{\"player_id\":\"bert\"}""#] {
            assert!(!policy.is_suppressed_as_far_as_readable(other.as_bytes()), "{other}");
        }
        assert_eq!(policies.replace(Vec::new(), Vec::new(), &Identities::default()), []);
        assert_eq!(standing(&policies, "login", r#"{"player_id":"anna"}"#), Standing::Good);
    }

    #[test]
    fn a_schema_holds_for_its_type_in_its_mode() {
        const SCORE: &str = r#"{"properties":{"score":{"type":"integer"}}}"#;
        let policies = Policies::new();
        let schemas = vec![schema("warned", SchemaMode::Warn, SCORE), schema("enforced", SchemaMode::Enforce, SCORE)];
        assert_eq!(policies.replace(schemas, vec![suppressed("anna")], &Identities::default()), []);
        let bad = r#"{"score":"high"}"#;
        assert!(
            matches!(standing(&policies, "warned", bad), Standing::Warned(found) if found.field == "event_data/score")
        );
        assert!(
            matches!(standing(&policies, "enforced", bad), Standing::Unfit(found) if found.field == "event_data/score")
        );
        assert_eq!(standing(&policies, "other", bad), Standing::Good);
        assert_eq!(standing(&policies, "enforced", r#"{"score":1}"#), Standing::Good);
        let both = r#"{"score":"high","player_id":"anna"}"#;
        assert_eq!(standing(&policies, "enforced", both), Standing::Suppressed, "of such a player nothing is told");
    }

    #[test]
    fn what_can_not_be_used_is_told_once_and_what_did_not_change_is_not_made_again() {
        let policies = Policies::new();
        let broken = schema("broken", SchemaMode::Enforce, r#"{"type":"strnig"}"#);
        let good = schema("good", SchemaMode::Enforce, r#"{"required":["a"]}"#);
        let rows = || vec![broken.clone(), good.clone()];
        let unusable = policies.replace(rows(), Vec::new(), &Identities::default());
        assert_eq!(unusable.len(), 1);
        assert_eq!(unusable[0].0, broken);
        assert_eq!(standing(&policies, "broken", "{}"), Standing::Good, "events are not to suffer for it");
        let made = policies.of(APP).expect("a policy").schemas.get(&b"good"[..]).cloned().expect("a schema");
        assert_eq!(policies.replace(rows(), Vec::new(), &Identities::default()), []);
        let again = policies.of(APP).expect("a policy").schemas.get(&b"good"[..]).cloned().expect("a schema");
        assert!(Arc::ptr_eq(&made, &again));
        let other = Schema { version: 2, ..good };
        assert_eq!(policies.replace(vec![other], Vec::new(), &Identities::default()), []);
        let other = policies.of(APP).expect("a policy").schemas.get(&b"good"[..]).cloned().expect("a schema");
        assert!(!Arc::ptr_eq(&made, &other));
    }
}
