//! What a key lets its holder do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a key may be used for. At least one; a key that says nothing (as those of the AWS solution) may send, from
/// anywhere, and not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes {
    /// `ingest-client`: send single batches, by REST or `PublishEvents`, as a game client does.
    pub ingest_client: bool,
    /// `ingest-server`: send by every way there is, long-lived streams included, as a game server does.
    pub ingest_server: bool,
    /// `read`: read the application's live counters.
    pub read: bool,
}

/// A text that names no [`Scopes`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} are no scopes: give one or more of ingest-client, ingest-server and read, separated by commas")]
pub struct UnknownScopes(String);

impl Scopes {
    /// Sending, from anywhere.
    pub const INGEST: Self = Self { ingest_client: true, ingest_server: true, read: false };

    /// Whether a key of these scopes may be used for this.
    #[must_use]
    pub const fn allow(self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::SendBatch => self.ingest_client || self.ingest_server,
            Purpose::SendStream => self.ingest_server,
            Purpose::Read => self.read,
        }
    }

    /// Whether it is none at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !(self.ingest_client || self.ingest_server || self.read)
    }

    /// As bits, to be kept in an atomic.
    pub(crate) const fn bits(self) -> u8 {
        self.ingest_client as u8 | (self.ingest_server as u8) << 1 | (self.read as u8) << 2
    }

    /// From [`Self::bits`].
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self { ingest_client: bits & 1 != 0, ingest_server: bits & 2 != 0, read: bits & 4 != 0 }
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        [(self.ingest_client, "ingest-client"), (self.ingest_server, "ingest-server"), (self.read, "read")]
            .into_iter()
            .filter_map(|(held, name)| held.then_some(name))
    }
}

/// What somebody wants to do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Send a single batch: `PublishEvents`, or the REST API's events.
    SendBatch,
    /// Send by a long-lived stream: `StreamEvents`.
    SendStream,
    /// Read the application's live counters.
    Read,
}

impl Purpose {
    /// The scopes of which one is needed, in words.
    #[must_use]
    pub const fn needed(self) -> &'static str {
        match self {
            Self::SendBatch => "ingest-client or ingest-server",
            Self::SendStream => "ingest-server",
            Self::Read => "read",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.needed())
    }
}

impl Default for Scopes {
    fn default() -> Self {
        Self::INGEST
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names().enumerate() {
            write!(f, "{}{name}", if place == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Scopes {
    type Err = UnknownScopes;

    fn from_str(text: &str) -> Result<Self, UnknownScopes> {
        let mut scopes = Self { ingest_client: false, ingest_server: false, read: false };
        for name in text.split(',') {
            match name.trim() {
                "ingest-client" => scopes.ingest_client = true,
                "ingest-server" => scopes.ingest_server = true,
                "read" => scopes.read = true,
                _ => return Err(UnknownScopes(text.to_owned())),
            }
        }
        Ok(scopes)
    }
}

impl TryFrom<String> for Scopes {
    type Error = UnknownScopes;

    fn try_from(text: String) -> Result<Self, UnknownScopes> {
        text.parse()
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in ["ingest-client", "ingest-server,read", "ingest-client,ingest-server,read"] {
            assert_eq!(text.parse::<Scopes>().map(|scopes| scopes.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Scopes::default().to_string(), "ingest-client,ingest-server");
        for bits in 1..8 {
            let scopes = Scopes::from_bits(bits);
            assert_eq!((scopes.bits(), scopes.to_string().parse()), (bits, Ok(scopes)));
        }
        for wrong in ["", "read,", "write"] {
            assert!(wrong.parse::<Scopes>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_client_may_send_batches_and_only_a_server_may_keep_a_stream_open() {
        let may = |scopes: &str| {
            let scopes: Scopes = scopes.parse().expect("scopes");
            [Purpose::SendBatch, Purpose::SendStream, Purpose::Read].map(|purpose| scopes.allow(purpose))
        };
        assert_eq!(may("ingest-client"), [true, false, false]);
        assert_eq!(may("ingest-server"), [true, true, false]);
        assert_eq!(may("read"), [false, false, true]);
        assert_eq!(may("ingest-client,read"), [true, false, true]);
    }
}
