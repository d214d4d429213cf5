//! API keys: how they look, how they are made and recognised, and how they are kept out of sight.
//!
//! A key of ours is `hg_`, 40 characters that carry 200 random bits, and 7 characters of checksum: one that was typed
//! wrong or cut short is told from an unknown one without a look-up. Any other text of 1 to 256 visible ASCII characters
//! is taken as a key that another system issued, such as the AWS solution, and is looked up as it is.

use std::fmt;

use crc_fast::{CrcAlgorithm, checksum};

pub use crate::registry::{KeyHash, KeyHashError};

const PREFIX: &str = "hg_";
const RANDOM_BYTES: usize = 25;
const RANDOM_CHARS: usize = RANDOM_BYTES * 8 / 5;
// A CRC-32 in characters of 5 bits.
const CHECKSUM_CHARS: usize = 7;
const OWN_LEN: usize = PREFIX.len() + RANDOM_CHARS + CHECKSUM_CHARS;
const MAX_LEN: usize = 256;
// Crockford's base 32 in lower case: no i, l, o or u, which people take for 1, 0 and v.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
// Below this many characters the last four would give too much of a key away.
const MASKABLE_LEN: usize = 16;

/// An API key. A secret: it has no `Display`, and its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct ApiKey(Box<str>);

/// Why a text can't be an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormatError {
    /// Nothing there.
    #[error("the API key is empty")]
    Empty,
    /// Longer than any key.
    #[error("the API key is longer than {MAX_LEN} characters")]
    TooLong,
    /// A blank, a control character or something beyond ASCII.
    #[error("the API key holds something else than visible ASCII characters")]
    NotVisibleAscii,
    /// One of our keys, but not as it was issued.
    #[error("the API key's checksum is wrong: it was mistyped or not copied whole")]
    Checksum,
}

/// The operating system gave no random numbers, so no key can be made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no random numbers: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

impl ApiKey {
    /// A new key, from the operating system's random numbers.
    ///
    /// # Errors
    /// Only if the operating system has none to give.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(NoRandomness)?;
        let mut key = String::with_capacity(OWN_LEN);
        key.push_str(PREFIX);
        for group in random.chunks_exact(5) {
            let bits = group.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
            push_base32(&mut key, bits, 8);
        }
        let sum = checksum(CrcAlgorithm::Crc32IsoHdlc, key.as_bytes());
        push_base32(&mut key, sum, CHECKSUM_CHARS);
        Ok(Self(key.into_boxed_str()))
    }

    /// Recognises a key, in time bounded by the longest key's length.
    ///
    /// # Errors
    /// If the text can't be a key: see [`KeyFormatError`].
    pub fn parse(text: &str) -> Result<Self, KeyFormatError> {
        check_format(text)?;
        Ok(Self(text.into()))
    }

    /// The key itself, to be given to its owner and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown of it: the prefix and the last four characters; of a short foreign key, nothing.
    #[must_use]
    pub fn masked(&self) -> String {
        let prefix = if self.0.starts_with(PREFIX) { PREFIX } else { "" };
        let last = if self.0.len() < MASKABLE_LEN { "" } else { &self.0[self.0.len() - 4..] };
        format!("{prefix}****{last}")
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// Whether the text can be a key, without keeping it.
pub(super) fn check_format(text: &str) -> Result<(), KeyFormatError> {
    if text.is_empty() {
        return Err(KeyFormatError::Empty);
    }
    if text.len() > MAX_LEN {
        return Err(KeyFormatError::TooLong);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(KeyFormatError::NotVisibleAscii);
    }
    if text.starts_with(PREFIX) && !has_right_checksum(text) {
        return Err(KeyFormatError::Checksum);
    }
    Ok(())
}

fn has_right_checksum(text: &str) -> bool {
    if text.len() != OWN_LEN {
        return false;
    }
    let (body, sum) = text.split_at(OWN_LEN - CHECKSUM_CHARS);
    let mut right = String::with_capacity(CHECKSUM_CHARS);
    push_base32(&mut right, checksum(CrcAlgorithm::Crc32IsoHdlc, body.as_bytes()), CHECKSUM_CHARS);
    sum == right
}

fn push_base32(text: &mut String, bits: u64, characters: usize) {
    for position in (0..characters).rev() {
        let digit = (bits >> (5 * position)) & 31;
        text.push(char::from(ALPHABET[digit as usize]));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn generated() -> ApiKey {
        ApiKey::generate().expect("the operating system has random numbers")
    }

    #[test]
    fn a_generated_key_is_recognised_and_no_two_are_alike() {
        let keys: Vec<ApiKey> = (0..1_000).map(|_| generated()).collect();
        for key in &keys {
            assert_eq!(key.expose().len(), OWN_LEN);
            assert!(key.expose()[PREFIX.len()..].bytes().all(|byte| ALPHABET.contains(&byte)));
            let parsed = ApiKey::parse(key.expose()).expect("a generated key parses");
            assert_eq!(parsed.hash(), key.hash());
        }
        let distinct: HashSet<&str> = keys.iter().map(ApiKey::expose).collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn the_random_part_uses_every_character_at_every_place() {
        let mut seen = vec![HashSet::new(); RANDOM_CHARS];
        for _ in 0..1_000 {
            for (place, byte) in generated().expose()[PREFIX.len()..].bytes().take(RANDOM_CHARS).enumerate() {
                seen[place].insert(byte);
            }
        }
        // The odds that one of 1,280 never came up in 1,000 draws are below 10^-10.
        assert!(seen.iter().all(|characters| characters.len() == ALPHABET.len()));
    }

    #[test]
    fn any_wrong_character_and_any_swap_of_neighbours_is_noticed() {
        let key = generated();
        let original = key.expose().as_bytes();
        for place in PREFIX.len()..OWN_LEN {
            let mut wrong = original.to_vec();
            for other in ALPHABET.iter().filter(|other| **other != original[place]) {
                wrong[place] = *other;
                let text = std::str::from_utf8(&wrong).expect("ASCII");
                assert_eq!(ApiKey::parse(text).map(|_| ()), Err(KeyFormatError::Checksum), "place {place}");
            }
        }
        for place in PREFIX.len()..OWN_LEN - 1 {
            let mut swapped = original.to_vec();
            swapped.swap(place, place + 1);
            if swapped != original {
                let text = std::str::from_utf8(&swapped).expect("ASCII");
                assert_eq!(ApiKey::parse(text).map(|_| ()), Err(KeyFormatError::Checksum), "place {place}");
            }
        }
        assert!(ApiKey::parse(&key.expose()[..OWN_LEN - 1]).is_err());
        assert!(ApiKey::parse(&format!("{}0", key.expose())).is_err());
        assert!(ApiKey::parse(&key.expose().to_uppercase().replace("HG_", PREFIX)).is_err());
    }

    #[test]
    fn a_key_that_another_system_issued_is_accepted_as_it_is() {
        let longest = "x".repeat(MAX_LEN);
        for text in ["a", "zKf8+/=Wq9~!", "HG_1", "hg", longest.as_str()] {
            assert_eq!(ApiKey::parse(text).expect("a foreign key parses").expose(), text);
        }
    }

    #[test]
    fn what_can_not_be_a_key_is_refused_with_the_reason() {
        let refused = |text: &str| ApiKey::parse(text).map(|_| ()).expect_err("refused");
        assert_eq!(refused(""), KeyFormatError::Empty);
        assert_eq!(refused(&"x".repeat(MAX_LEN + 1)), KeyFormatError::TooLong);
        for text in ["two words", "tab\t", "nul\0", "new\nline", "schlüssel", "del\u{7f}"] {
            assert_eq!(refused(text), KeyFormatError::NotVisibleAscii, "{text:?}");
        }
        assert_eq!(refused("hg_"), KeyFormatError::Checksum);
    }

    #[test]
    fn nothing_of_a_key_shows_in_debug_output_and_little_in_its_mask() {
        let key = generated();
        let shown = format!("{key:?} {:?} {:#?}", Some(&key), vec![key.clone()]);
        let random = &key.expose()[PREFIX.len()..];
        assert!((0..random.len() - 4).all(|at| !shown.contains(&random[at..at + 4])), "{shown}");

        assert_eq!(key.masked(), format!("hg_****{}", &key.expose()[OWN_LEN - 4..]));
        assert_eq!(ApiKey::parse("secret").expect("a foreign key").masked(), "****");
        assert_eq!(ApiKey::parse("0123456789abcdef").expect("a foreign key").masked(), "****cdef");
    }
}
