//! The API key, and where it comes from.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use tonic::metadata::{Ascii, MetadataValue};

use crate::error::KeyError;

/// The application's API key. Its `Debug` does not show it.
#[derive(Clone)]
pub struct Key(Source);

#[derive(Clone)]
enum Source {
    Value(String),
    File(PathBuf),
}

impl Key {
    /// This key.
    pub fn value(key: impl Into<String>) -> Self {
        Self(Source::Value(key.into()))
    }

    /// The key in this file, without the white space around it. The file is read again whenever a stream is opened, so that
    /// a key that is rotated there is taken up when the gateway turns the old one away.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// As it goes into a request.
    pub(crate) fn read(&self) -> Result<MetadataValue<Ascii>, KeyError> {
        let text = match &self.0 {
            Source::Value(key) => key.clone(),
            Source::File(path) => {
                fs::read_to_string(path).map_err(|error| KeyError::File { path: path.clone(), error })?
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        let mut key: MetadataValue<Ascii> = text.parse().map_err(|_| KeyError::Malformed)?;
        key.set_sensitive(true);
        Ok(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Value(_) => out.write_str("Key(hidden)"),
            Source::File(path) => write!(out, "Key({})", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_each_time_and_a_key_is_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let key = Key::file(&path);
        assert!(matches!(key.read(), Err(KeyError::File { .. })));
        for text in ["hg_first", "hg_second"] {
            fs::write(&path, format!("{text}\n")).expect("it can be written");
            assert_eq!(key.read().expect("a key"), text);
        }
        fs::write(&path, " \n").expect("it can be written");
        assert!(matches!(key.read(), Err(KeyError::Empty)));
        let value = Key::value("hg_secret");
        assert!(!format!("{value:?} {:?}", value.read()).contains("hg_secret"));
        assert!(matches!(Key::value("a\nb").read(), Err(KeyError::Malformed)));
    }
}
