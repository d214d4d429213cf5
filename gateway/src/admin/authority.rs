//! Who may administer from outside: whoever has the admin token, and over the REST API whoever signs with an admin access
//! key. With neither configured nobody may.
//!
//! The token is kept as a hash and compared in constant time. The secrets of access keys are kept as they are: a
//! signature can't be checked otherwise.

mod files;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{Actor, Via};
use crate::config::{Secret, Settings};
use crate::registry::KeyHash;

pub use files::AuthorityError;

/// The name of whoever has the admin token, see [`crate::registry::AuditEntry::actor`].
pub const ADMIN_TOKEN: &str = "admin-token";

/// The file in the data folder with a token that a first start made.
const FILE: &str = "admin-token";

/// Says who somebody is that wants to administer.
pub struct Authority {
    token: Option<KeyHash>,
    access_keys: BTreeMap<String, Secret>,
    made: Option<MadeToken>,
}

/// A token that a start on one machine made for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeToken {
    path: PathBuf,
    is_new: bool,
}

impl MadeToken {
    /// The file that keeps it, readable by its owner only.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this start made it; otherwise an earlier one did.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

impl Authority {
    /// What the settings say. Reads their files; makes a token where [`Settings::makes_admin_token`] says so, in the data
    /// folder, which must be there. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// If a file can't be read or what it holds can't be used; says where, never what.
    pub fn open(settings: &Settings) -> Result<Self, AuthorityError> {
        let admin = &settings.admin;
        let of_file = admin.token_file.as_deref().map(files::read_token).transpose()?;
        let token = of_file.as_ref().or(admin.token.as_ref());
        let access_keys = admin.access_keys_file.as_deref().map(files::read_access_keys).transpose()?;
        let mut authority = Self::new(token, access_keys.unwrap_or_default());
        if settings.makes_admin_token() {
            let path = settings.data_dir.join(FILE);
            let (token, is_new) = files::read_or_make_token(&path)?;
            authority.token = Some(KeyHash::of(token.expose()));
            authority.made = Some(MadeToken { path, is_new });
        }
        Ok(authority)
    }

    /// Of this token and these access keys, by their ids.
    #[must_use]
    pub fn new(token: Option<&Secret>, access_keys: BTreeMap<String, Secret>) -> Self {
        Self { token: token.map(|token| KeyHash::of(token.expose())), access_keys, made: None }
    }

    /// Whether anybody may administer from outside. If not, the doors say so rather than that a credential is wrong.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.token.is_some() || !self.access_keys.is_empty()
    }

    /// Who has presented this token; `None`: nobody who may administer.
    #[must_use]
    pub fn bearer(&self, presented: &str, via: Via) -> Option<Actor> {
        let token = self.token.as_ref()?;
        KeyHash::of(presented).matches(token).then(|| Actor { name: ADMIN_TOKEN.to_owned(), via })
    }

    /// What whoever has this access key signs with. Whoever has signed so is an [`Actor`] of the access key's id.
    #[must_use]
    pub fn secret_of(&self, access_key_id: &str) -> Option<&Secret> {
        self.access_keys.get(access_key_id)
    }

    /// The token that this gateway made for itself, where it did.
    #[must_use]
    pub fn made_token(&self) -> Option<&MadeToken> {
        self.made.as_ref()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("token", &self.token.is_some())
            .field("access_keys", &self.access_keys.keys())
            .field("made", &self.made)
            .finish()
    }
}

#[cfg(test)]
mod tests;
