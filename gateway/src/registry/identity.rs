//! Ids of people in `event_data`, and how an application has them hashed before anything of an event is kept.
//!
//! The hash is keyed (HMAC-SHA-256) with a secret of the application: without it nobody can find out whose hash it is by
//! hashing every id there is, and one game's players can't be found in another's events. One id has one hash, wherever it
//! stands, so events can be joined and counted as before.
//!
//! A secret that takes another's place begins a new generation, which its hashes name. Earlier ones are kept so that a
//! player's earlier events can be found and deleted, until somebody has them forgotten: then nobody can any more.

use std::fmt::{self, Write};
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::RegistryError;

const SECRET_LEN: usize = 32;
/// Of SHA-256.
const BLOCK_LEN: usize = 64;
/// Of 32 bytes of the HMAC 16 are kept: a billion players share a hash with a probability of 10^-21.
const HASH_LEN: usize = 16;

/// A member of `event_data` that holds an id of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum IdentityField {
    /// Players: `player_id`, and `victim_id` and `reported_id`, which name others.
    #[value(name = "player_id")]
    PlayerId,
    /// Sessions: `session_id`, and `crashed_session_id`, which names an earlier one.
    #[value(name = "session_id")]
    SessionId,
    /// `device`, or `device.id` where `device` is an object.
    #[value(name = "device")]
    Device,
}

/// A text that names no [`IdentityField`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no field that can be hashed: give player_id, session_id or device")]
pub struct UnknownIdentityField(String);

impl IdentityField {
    /// Every field.
    pub const ALL: [Self; 3] = [Self::PlayerId, Self::SessionId, Self::Device];

    /// The members of `event_data` that it covers: all that hold an id of its kind, so that none of them tells what another
    /// one hides. These are those of the event library (`docs/events.md`).
    #[must_use]
    pub const fn members(self) -> &'static [&'static str] {
        match self {
            Self::PlayerId => &["player_id", "victim_id", "reported_id"],
            Self::SessionId => &["session_id", "crashed_session_id"],
            Self::Device => &["device"],
        }
    }

    /// Its name: that of the first member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlayerId => "player_id",
            Self::SessionId => "session_id",
            Self::Device => "device",
        }
    }
}

impl fmt::Display for IdentityField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IdentityField {
    type Err = UnknownIdentityField;

    fn from_str(text: &str) -> Result<Self, UnknownIdentityField> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownIdentityField(text.to_owned()))
    }
}

/// What an application's ids are hashed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Which of the application's secrets it is, from 1.
    generation: u32,
    key: [u8; SECRET_LEN],
}

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn generate(generation: u32) -> Result<Self, getrandom::Error> {
        let mut key = [0; SECRET_LEN];
        getrandom::fill(&mut key)?;
        Ok(Self { generation, key })
    }

    /// Which of the application's secrets it is, from 1.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Ready to hash.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        // As HMAC does itself with a key that is shorter than a block.
        let mut block = [0; BLOCK_LEN];
        block[..SECRET_LEN].copy_from_slice(&self.key);
        Hasher { generation: self.generation, keyed: Hmac::new(&block.into()) }
    }

    /// The form in which a registry keeps it, and nobody else: generation, colon, 64 hexadecimal digits.
    pub(super) fn stored(&self) -> String {
        let mut text = format!("{}:", self.generation);
        push_hex(&mut text, &self.key);
        text
    }

    fn of_stored(text: &str) -> Option<Self> {
        let (generation, digits) = text.split_once(':')?;
        let generation = generation.parse().ok().filter(|generation| *generation > 0)?;
        if digits.len() != 2 * SECRET_LEN || !digits.is_ascii() {
            return None;
        }
        let mut key = [0; SECRET_LEN];
        for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self { generation, key })
    }
}

impl fmt::Debug for Secret {
    /// Everything but the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Hashes ids with one secret.
#[derive(Clone)]
pub struct Hasher {
    generation: u32,
    keyed: Hmac<Sha256>,
}

impl Hasher {
    /// Which of the application's secrets it is, from 1.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The hash in the place of an id, such as `h1-9f86d081884c7d659a2feaa0c55ad015`: the secret's generation, then 32
    /// hexadecimal digits.
    #[must_use]
    pub fn hash(&self, id: &[u8]) -> String {
        let code = self.keyed.clone().chain_update(id).finalize().into_bytes();
        let mut text = format!("h{}-", self.generation);
        push_hex(&mut text, &code[..HASH_LEN]);
        text
    }
}

impl fmt::Debug for Hasher {
    /// Everything but the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// The generation of a text that has the form of a hash; such a text is not hashed again. So an event that comes a second
/// time, from the bad rows or out of the lake, stays the same.
#[must_use]
pub fn generation_of_hash(text: &[u8]) -> Option<u32> {
    let (generation, digits) = text.strip_prefix(b"h")?.split_at_checked(text.len().checked_sub(2 * HASH_LEN + 1)?)?;
    let generation = std::str::from_utf8(generation.strip_suffix(b"-")?).ok()?;
    let is_hash = digits.len() == 2 * HASH_LEN && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let is_number = !generation.starts_with(['0', '+']);
    if is_hash && is_number { generation.parse().ok() } else { None }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // A string takes whatever is written.
        let _ = write!(text, "{byte:02x}");
    }
}

/// How an application has ids hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The application.
    pub application_id: Uuid,
    /// Counts its changes, from 1.
    pub version: u32,
    /// Which ids are hashed: each once, in the order of [`IdentityField::ALL`]; none: hashing is off.
    pub fields: Vec<IdentityField>,
    /// The secrets, oldest first. The last one hashes; the others are kept to find what they have hashed.
    pub secrets: Vec<Secret>,
    /// When it was last changed, milliseconds since 1970-01-01 UTC.
    pub changed_at_ms: i64,
}

/// How all applications have ids hashed.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    /// Of those whose row can be read.
    pub readable: Vec<Identity>,
    /// Of the others.
    pub unreadable: Vec<UnreadableIdentity>,
}

/// An application of which nobody can tell how it has ids hashed. No id of its events may be kept.
#[derive(Clone, Debug)]
pub struct UnreadableIdentity {
    /// The application.
    pub application_id: Uuid,
    /// What is wrong with the row.
    pub error: RegistryError,
}

impl From<Vec<Identity>> for Identities {
    /// All of them can be read.
    fn from(readable: Vec<Identity>) -> Self {
        Self { readable, unreadable: Vec::new() }
    }
}

impl FromIterator<Result<Identity, UnreadableIdentity>> for Identities {
    fn from_iter<T: IntoIterator<Item = Result<Identity, UnreadableIdentity>>>(rows: T) -> Self {
        let mut all = Self::default();
        for row in rows {
            match row {
                Ok(identity) => all.readable.push(identity),
                Err(unreadable) => all.unreadable.push(unreadable),
            }
        }
        all
    }
}

/// What may be told of it: everything but the secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityOverview {
    /// The application.
    pub application_id: Uuid,
    /// Which ids are hashed; none: hashing is off.
    pub fields: Vec<IdentityField>,
    /// The generations of the secrets that are kept, ascending; the last one hashes.
    pub generations: Vec<u32>,
    /// When it was last changed, milliseconds since 1970-01-01 UTC; `None` where nothing was ever hashed.
    pub changed_at_ms: Option<i64>,
}

impl IdentityOverview {
    /// Of an application.
    #[must_use]
    pub fn of(application_id: Uuid, identity: Option<&Identity>) -> Self {
        Self {
            application_id,
            fields: identity.map_or_else(Vec::new, |identity| identity.fields.clone()),
            generations: identity.iter().flat_map(|identity| &identity.secrets).map(Secret::generation).collect(),
            changed_at_ms: identity.map(|identity| identity.changed_at_ms),
        }
    }
}

/// A text that is no list of fields or of secrets as a registry keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not what was written there")]
pub(super) struct NotStored;

impl Identity {
    /// What hashes, if anything is hashed.
    #[must_use]
    pub fn hasher(&self) -> Option<Hasher> {
        let newest = self.secrets.last()?;
        (!self.fields.is_empty()).then(|| newest.hasher())
    }

    /// Every id under which events of `id` may be stored: itself, and its hash of each generation, newest first. Of a hash
    /// nobody can tell whose it is, so it stands for itself alone.
    #[must_use]
    pub fn ids_of(&self, id: &str) -> Vec<String> {
        let mut ids = vec![id.to_owned()];
        if generation_of_hash(id.as_bytes()).is_none() {
            ids.extend(self.secrets.iter().rev().map(|secret| secret.hasher().hash(id.as_bytes())));
        }
        ids
    }

    pub(super) fn stored_fields(&self) -> String {
        self.fields.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(",")
    }

    pub(super) fn stored_secrets(&self) -> String {
        self.secrets.iter().map(Secret::stored).collect::<Vec<_>>().join(",")
    }

    pub(super) fn fields_of(text: &str) -> Result<Vec<IdentityField>, NotStored> {
        listed(text).map(|name| name.parse().map_err(|_| NotStored)).collect()
    }

    pub(super) fn secrets_of(text: &str) -> Result<Vec<Secret>, NotStored> {
        listed(text).map(|secret| Secret::of_stored(secret).ok_or(NotStored)).collect()
    }
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn secret(generation: u32, byte: u8) -> Secret {
        Secret { generation, key: [byte; SECRET_LEN] }
    }

    fn identity(secrets: Vec<Secret>) -> Identity {
        let fields = vec![IdentityField::PlayerId, IdentityField::Device];
        Identity { application_id: Uuid::from_u128(7), version: 1, fields, secrets, changed_at_ms: 0 }
    }

    #[test]
    fn the_hash_is_hmac_sha_256() {
        // RFC 4231, test case 2: key "Jefe", which HMAC fills up with zeros as it is filled up here.
        let mut key = [0; SECRET_LEN];
        key[..4].copy_from_slice(b"Jefe");
        let hash = Secret { generation: 1, key }.hasher().hash(b"what do ya want for nothing?");
        assert_eq!(hash, "h1-5bdcc146bf60754e6a042426089575c7");
    }

    #[test]
    fn a_hash_depends_on_the_id_and_on_the_secret() {
        let (one, other) = (secret(1, 1).hasher(), secret(2, 2).hasher());
        assert_eq!(one.hash(b"anna"), one.hash(b"anna"));
        assert_ne!(one.hash(b"anna"), one.hash(b"bert"));
        assert_ne!(one.hash(b"anna")[3..], other.hash(b"anna")[3..]);
    }

    /// A member of the library that ends in `_id` is either covered, or tells of no person.
    #[test]
    fn every_id_of_a_person_in_the_event_library_is_covered() {
        const OF_THINGS: [&str; 9] = [
            "bundle_id",
            "country_id",
            "item_id",
            "level_id",
            "map_id",
            "match_id",
            "spell_id",
            "transaction_id",
            "tutorial_screen_id",
        ];
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/schemas/headgate/events/v1");
        let mut found = BTreeSet::new();
        for file in fs::read_dir(folder).expect("lists") {
            let text = fs::read(file.expect("reads").path()).expect("reads");
            let schema: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            let names = schema["properties"].as_object().expect("members").keys().cloned();
            found.extend(names.filter(|name| name.ends_with("_id")));
        }
        let covered: Vec<&str> = IdentityField::ALL.iter().flat_map(|field| field.members()).copied().collect();
        for name in &found {
            assert!(covered.contains(&name.as_str()) != OF_THINGS.contains(&name.as_str()), "{name}: whose id is it?");
        }
        for name in covered.iter().filter(|name| **name != "device") {
            assert!(found.contains(*name), "{name} is no member of the library");
        }
    }

    #[test]
    fn a_hash_is_known_by_its_form() {
        for generation in [1, 2, 17, u32::MAX] {
            let hash = secret(generation, 3).hasher().hash(b"anna");
            assert_eq!(generation_of_hash(hash.as_bytes()), Some(generation), "{hash}");
            assert_eq!(generation_of_hash(hash.to_uppercase().as_bytes()), None);
            assert_eq!(generation_of_hash(&hash.as_bytes()[..hash.len() - 1]), None);
            assert_eq!(generation_of_hash(format!("{hash}0").as_bytes()), None);
        }
        for other in [
            "",
            "h",
            "anna",
            "h1-",
            "h-00000000000000000000000000000000",
            "h01-00000000000000000000000000000000",
            "h+1-00000000000000000000000000000000",
            "hx-00000000000000000000000000000000",
            "h99999999999-00000000000000000000000000000000",
            "00000000-0000-4000-8000-00000000000a",
        ] {
            assert_eq!(generation_of_hash(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_player_is_found_under_every_generation() {
        let identity = identity(vec![secret(1, 1), secret(2, 2)]);
        let expected = ["anna".to_owned(), secret(2, 2).hasher().hash(b"anna"), secret(1, 1).hasher().hash(b"anna")];
        assert_eq!(identity.ids_of("anna"), expected);
        assert_eq!(identity.ids_of(&expected[1]), expected[1..2]);
    }

    #[test]
    fn what_is_stored_is_read_back_and_what_is_shown_has_no_secret() {
        let identity = identity(vec![secret(1, 0xab), secret(12, 0x0c)]);
        assert_eq!(Identity::fields_of(&identity.stored_fields()), Ok(identity.fields.clone()));
        assert_eq!(Identity::secrets_of(&identity.stored_secrets()), Ok(identity.secrets.clone()));
        assert_eq!((Identity::fields_of(""), Identity::secrets_of("")), (Ok(vec![]), Ok(vec![])));
        assert_eq!(Identity::fields_of("player_id,name"), Err(NotStored));
        for broken in ["1", "1:ab", "0:", &format!("0:{}", "ab".repeat(32)), &format!("1:{}", "é".repeat(32))] {
            assert_eq!(Identity::secrets_of(broken), Err(NotStored), "{broken}");
        }
        let shown = format!("{identity:?} {:?}", identity.hasher());
        assert!(!shown.contains("abab") && !shown.contains("171") && shown.contains("generation: 12"), "{shown}");
    }

    #[test]
    fn nothing_is_hashed_where_no_field_is_named() {
        let off = Identity { fields: Vec::new(), ..identity(vec![secret(1, 1)]) };
        assert!(off.hasher().is_none());
        assert!(identity(vec![secret(1, 1)]).hasher().is_some());
    }
}
