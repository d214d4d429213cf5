//! `admin.*`: who may administer the gateway from outside: over the REST API, `AdminService` and the console.
//!
//! With none of these set those doors refuse everybody, except on one machine (the embedded registry, every listener on
//! a loopback address): there the first start makes a token and keeps it in `DATA_DIR/admin-token`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{RegistryKind, Secret, Settings};

/// The shortest token and the shortest secret of an access key that are taken, in characters.
pub(crate) const MIN_SECRET_CHARS: usize = 16;

/// What administrators identify themselves with.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// The token that administrators send as `authorization: Bearer TOKEN` and sign in with at the console: 16 or more
    /// visible ASCII characters, which must be random. None by default. Never shown; `HEADGATE_ADMIN__TOKEN` or
    /// `token_file` keep it out of the settings' file.
    pub token: Option<Secret>,
    /// A file that holds the token in place of `token`, such as a mounted secret. None by default. Read at the start.
    pub token_file: Option<PathBuf>,
    /// A file with the access keys that may sign calls of the REST API's admin routes (AWS Signature Version 4), one a
    /// line: `ACCESS_KEY_ID SECRET`. None by default. It should be readable by its owner only. Read at the start.
    pub access_keys_file: Option<PathBuf>,
}

impl AdminSettings {
    /// Whether somebody may administer from outside.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.token.is_some() || self.token_file.is_some() || self.access_keys_file.is_some()
    }
}

impl Settings {
    /// Whether a start makes an admin token of its own: nobody was told how to administer this gateway, it has the
    /// embedded registry, and nobody but this machine reaches it.
    #[must_use]
    pub fn makes_admin_token(&self) -> bool {
        let rest = if self.rest.enabled { self.rest.listen } else { self.grpc.listen };
        let listeners = [self.grpc.listen, rest, self.operate.listen];
        !self.admin.is_set()
            && self.registry.kind == RegistryKind::Sqlite
            && listeners.iter().all(|address| address.ip().is_loopback())
    }
}

/// What is wrong with a token or a secret, if anything is. The text is not repeated.
pub(crate) fn problem_of_secret(text: &str) -> Option<String> {
    if text.chars().count() < MIN_SECRET_CHARS {
        return Some(format!("must be {MIN_SECRET_CHARS} or more characters: openssl rand -hex 32 makes a good one"));
    }
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    (!visible).then(|| "must be visible ASCII characters without blanks".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gateway_that_nobody_else_reaches_makes_a_token_of_its_own() {
        assert!(Settings::default().makes_admin_token());
        let open = [
            |settings: &mut Settings| settings.grpc.listen = "0.0.0.0:1".parse().expect("an address"),
            |settings: &mut Settings| settings.rest.listen = "0.0.0.0:1".parse().expect("an address"),
            |settings: &mut Settings| settings.operate.listen = "[::]:1".parse().expect("an address"),
            |settings: &mut Settings| settings.registry.kind = RegistryKind::Dynamodb,
            |settings: &mut Settings| settings.admin.token_file = Some(PathBuf::from("token")),
            |settings: &mut Settings| settings.admin.access_keys_file = Some(PathBuf::from("keys")),
        ];
        for change in open {
            let mut settings = Settings::default();
            change(&mut settings);
            assert!(!settings.makes_admin_token(), "{:?}", settings.admin);
        }
    }

    #[test]
    fn a_secret_that_could_be_guessed_or_not_be_sent_is_refused() {
        assert_eq!(problem_of_secret(&"x".repeat(16)), None);
        for wrong in ["", "x", &"x".repeat(15), "sixteen or more chars", "sëchzehn-oder-mehr"] {
            let problem = problem_of_secret(wrong).unwrap_or_else(|| panic!("{wrong:?} is taken"));
            assert!(wrong.is_empty() || wrong == "x" || !problem.contains(wrong), "{problem}");
        }
    }
}
