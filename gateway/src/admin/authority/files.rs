//! The files that admin credentials come from.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{ADMIN_TOKEN, Actor};
use crate::config::{Secret, problem_of_secret};
use crate::registry::private_file;

const PREFIX: &str = "hga_";
const RANDOM_BYTES: usize = 24;
const OTHERS: u32 = 0o077;
/// As AWS has it.
const MAX_ID_CHARS: usize = 128;

/// Why admin credentials can't be used. Never holds one.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file can't be read or made.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The token in a file is none.
    #[error("the admin token in {} {problem}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A file of access keys is none.
    #[error("{}, line {line}: {problem}", path.display())]
    AccessKeys {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A file of access keys holds none.
    #[error("{} holds no access key: write one a line, as ACCESS_KEY_ID SECRET", path.display())]
    NoAccessKeys {
        /// The file.
        path: PathBuf,
    },
    /// No token can be made.
    #[error("no admin token can be made: the operating system gave no random numbers: {0}")]
    NoRandomness(getrandom::Error),
}

/// The token in a file that an operator keeps.
pub(super) fn read_token(path: &Path) -> Result<Secret, AuthorityError> {
    let content = read(path)?;
    token(path, &content)
}

/// The token in this file, made where there is no file; and whether it was made.
pub(super) fn read_or_make_token(path: &Path) -> Result<(Secret, bool), AuthorityError> {
    match read(path) {
        Ok(content) => Ok((token(path, &content)?, false)),
        Err(AuthorityError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            let made = random_token()?;
            private_file::write(path, format!("{}\n", made.expose()).as_bytes())
                .map_err(|error| AuthorityError::File { path: path.to_owned(), error })?;
            Ok((made, true))
        }
        Err(error) => Err(error),
    }
}

fn token(path: &Path, content: &str) -> Result<Secret, AuthorityError> {
    let text = content.trim();
    match problem_of_secret(text) {
        None => Ok(Secret::from(text)),
        Some(problem) => Err(AuthorityError::Token { path: path.to_owned(), problem }),
    }
}

fn random_token() -> Result<Secret, AuthorityError> {
    let mut random = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(AuthorityError::NoRandomness)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Secret::from(format!("{PREFIX}{digits}").as_str()))
}

/// Access keys by their ids: `ACCESS_KEY_ID SECRET` a line; empty lines and lines that start with `#` are passed over.
pub(super) fn read_access_keys(path: &Path) -> Result<BTreeMap<String, Secret>, AuthorityError> {
    let content = read(path)?;
    let mut keys = BTreeMap::new();
    for (place, line) in content.lines().enumerate() {
        let bad = |problem: String| AuthorityError::AccessKeys { path: path.to_owned(), line: place + 1, problem };
        let mut words = line.split_whitespace();
        let Some(id) = words.next().filter(|id| !id.starts_with('#')) else { continue };
        let (Some(secret), None) = (words.next(), words.next()) else {
            return Err(bad("must be ACCESS_KEY_ID SECRET, two words".to_owned()));
        };
        if let Some(problem) = problem_of_id(id) {
            return Err(bad(format!("the access key's id {problem}")));
        }
        if let Some(problem) = problem_of_secret(secret) {
            return Err(bad(format!("the secret {problem}")));
        }
        if keys.insert(id.to_owned(), Secret::from(secret)).is_some() {
            return Err(bad("the access key's id stands in an earlier line already: use each id once".to_owned()));
        }
    }
    if keys.is_empty() {
        return Err(AuthorityError::NoAccessKeys { path: path.to_owned() });
    }
    Ok(keys)
}

/// What is wrong with an access key's id, if anything is. It stands between slashes in a signature's scope, and by
/// itself in the audit log.
fn problem_of_id(id: &str) -> Option<String> {
    let allowed = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !allowed || id.len() > MAX_ID_CHARS {
        return Some(format!("must be 1 to {MAX_ID_CHARS} letters, digits, `_` or `-`"));
    }
    [ADMIN_TOKEN, Actor::local().name.as_str()]
        .contains(&id)
        .then(|| "means somebody else in the audit log: use another".to_owned())
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    let failed = |error| AuthorityError::File { path: path.to_owned(), error };
    let content = fs::read_to_string(path).map_err(failed)?;
    if is_readable_by_others(path).map_err(failed)? {
        tracing::warn!(file = %path.display(), "others than its owner may read these admin credentials: chmod 600");
    }
    Ok(content)
}

pub(super) fn is_readable_by_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & OTHERS != 0)
}
