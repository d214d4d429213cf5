//! The result's file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use super::{RunResult, SCHEMA};

/// Why a result can't be read or written.
#[derive(Debug, Error)]
pub enum ResultError {
    /// The file can't be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It is no result.
    #[error("{path} is no result of `headgate-loadtest run`: {error}")]
    Shape {
        /// Which.
        path: String,
        /// What does not fit.
        error: serde_json::Error,
    },
    /// It was written by a version that this one does not know.
    #[error("{path} has schema {found}, and this version reads {SCHEMA}: use the version that wrote it")]
    Schema {
        /// Which.
        path: String,
        /// Its schema.
        found: u32,
    },
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
}

/// Reads a result.
///
/// # Errors
/// The file can't be read, or is no result of this schema.
pub fn read(path: &Path) -> Result<RunResult, ResultError> {
    let name = || path.display().to_string();
    let open = || File::open(path).map_err(|error| ResultError::File { path: name(), error });
    let shape = |error| ResultError::Shape { path: name(), error };
    let Head { schema } = serde_json::from_reader(BufReader::new(open()?)).map_err(shape)?;
    if schema != SCHEMA {
        return Err(ResultError::Schema { path: name(), found: schema });
    }
    serde_json::from_reader(BufReader::new(open()?)).map_err(shape)
}

/// Writes a result; a reader never sees half of it.
///
/// # Errors
/// The file can't be written.
pub fn write(result: &RunResult, path: &Path) -> Result<(), ResultError> {
    let failed = |error| ResultError::File { path: path.display().to_string(), error };
    let partial = path.with_extension("partial");
    let mut out = BufWriter::new(File::create(&partial).map_err(failed)?);
    serde_json::to_writer(&mut out, result).map_err(|error| failed(error.into()))?;
    out.flush().map_err(failed)?;
    std::fs::rename(&partial, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Gateway, Look};
    use crate::slo::testing;

    #[test]
    fn what_was_seen_of_the_gateway_is_read_back_and_files_without_it_are_read_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("result.json");
        let mut result = testing::result(3, 0);
        let look = Look { at_s: 5, tasks: None, unsettled: Some(3), ..Look::default() };
        let gateway = Gateway { shard: 1, operate: "a:9090".to_owned(), started_s: Some(1.79e9), looks: vec![look] };
        result.gateways = vec![gateway.clone()];
        write(&result, &path).expect("writes");
        assert_eq!(read(&path).expect("a result").gateways, [gateway]);

        let text = std::fs::read_to_string(&path).expect("it is there");
        let mut earlier: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        earlier.as_object_mut().expect("an object").remove("gateways").expect("it was there");
        std::fs::write(&path, earlier.to_string()).expect("writes");
        assert_eq!(read(&path).expect("a result").gateways, []);
    }
}
