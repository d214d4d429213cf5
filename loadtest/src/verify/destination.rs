//! What can be asked, and asking it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use super::{Expectation, lake};
use crate::result::Verification;

/// Where acknowledged events ought to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nobody is asked.
    None,
    /// The gateway's local lake: its folder, the data folder it is in, or its `raw_events`.
    Lake(PathBuf),
    /// The Kinesis stream of this name; region, endpoint and credentials come from the SDK's usual variables.
    Kinesis(String),
}

impl Destination {
    /// Reads `lake:PATH`, `kinesis:STREAM` or `none`.
    ///
    /// # Errors
    /// It is none of them; the error lists what is allowed.
    pub fn parse(text: &str) -> Result<Self, VerifyError> {
        let refused = || VerifyError::Destination(text.to_owned());
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            Some(("lake", path)) if !path.is_empty() => Ok(Self::Lake(path.into())),
            Some(("kinesis", stream)) if is_stream_name(stream) && cfg!(feature = "aws") => {
                Ok(Self::Kinesis(stream.to_owned()))
            }
            _ => Err(refused()),
        }
    }
}

/// As the service has it: 1 to 128 letters, digits, `_`, `.` and `-`.
fn is_stream_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

impl FromStr for Destination {
    type Err = VerifyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Lake(path) => write!(f, "lake:{}", path.display()),
            Self::Kinesis(stream) => write!(f, "kinesis:{stream}"),
        }
    }
}

/// How to ask.
#[derive(Clone, Debug)]
pub struct Options {
    /// When the run began; what the destination held a minute before is not of it and need not be read.
    pub since: SystemTime,
    /// How long to wait for events that are not there, once what is there was read. Default 2 min.
    pub timeout: Duration,
    /// The operators' listener of the gateway, `HOST:PORT` or `http://HOST:PORT`, which is asked to turn the lake's log
    /// into Parquet. If none is given, the running gateway says it itself, in the lock file of the lake's data folder.
    pub operate: Option<String>,
}

impl Options {
    /// The defaults, for a run that began then.
    #[must_use]
    pub fn new(since: SystemTime) -> Self {
        Self { since, timeout: Duration::from_secs(120), operate: None }
    }

    /// What was written before this is of no interest: the clocks may be apart by a minute.
    pub(super) fn horizon(&self) -> SystemTime {
        self.since.checked_sub(Duration::from_secs(60)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events that have to be there.
    pub acknowledged: u64,
    /// Records read from the destination so far.
    pub read: u64,
    /// Acknowledged events found when the two were last compared.
    pub found: u64,
}

/// The destination's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// In figures.
    pub verification: Verification,
    /// Whether missing events are lost for certain; if not, they may be in the lake's log, as the notes say.
    pub conclusive: bool,
    /// What else a reader ought to know, such as where missing events may still be; one sentence each.
    pub notes: Vec<String>,
}

/// Why the destination can't be asked. It says nothing about the events.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// No such destination.
    #[error("`{0}` can't be verified: give lake:PATH, kinesis:STREAM (in a build with feature `aws`) or none")]
    Destination(String),
    /// The operators' address can't be used.
    #[error("the operators' address `{0}` can't be used: give HOST:PORT or http://HOST:PORT")]
    Operate(String),
    /// The folder is no lake.
    #[error(
        "{} holds no lake: give the gateway's data folder, or the lake's folder with `raw_events` in it", .0.display()
    )]
    NotALake(PathBuf),
    /// A file or folder of the lake can't be read.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file of the lake is not one of its Parquet files.
    #[error("{}: {error}", .path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        error: lake::ParquetFault,
    },
    /// Ids that do not fit into memory can't be kept in the temporary folder.
    #[error("can't keep ids in the temporary folder (set TMPDIR to one with 16 bytes for each event): {0}")]
    Temporary(#[from] io::Error),
    /// The stream can't be read.
    #[error("can't read the stream {stream}: {error}")]
    Kinesis {
        /// Which.
        stream: String,
        /// Why not, and what to do.
        error: String,
    },
    /// A part of the verification panicked.
    #[error("the verification stopped: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Asks the destination until every acknowledged event is there or the time is over, and says what it holds; none if
/// nobody is to be asked. Blocking work is done on the runtime's blocking threads.
///
/// # Errors
/// The destination can't be asked; this says nothing about the events.
pub async fn verify(
    destination: &Destination,
    expectation: Arc<dyn Expectation>,
    options: &Options,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Option<Verified>, VerifyError> {
    let mut verified = match destination {
        Destination::None => return Ok(None),
        Destination::Lake(path) => lake::verify(path, expectation, options, &mut progress).await?,
        #[cfg(feature = "aws")]
        Destination::Kinesis(stream) => super::kinesis::verify(stream, expectation, options, &mut progress).await?,
        #[cfg(not(feature = "aws"))]
        Destination::Kinesis(_) => return Err(VerifyError::Destination(destination.to_string())),
    };
    verified.verification.destination = destination.to_string();
    verified.verification.inconclusive = !verified.conclusive && verified.verification.missing > 0;
    Ok(Some(verified))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_read_back_what_they_show_and_anything_else_is_told_what_is_allowed() {
        for text in ["none", "lake:headgate-data/lake", "lake:/a:b"] {
            assert_eq!(Destination::parse(text).expect("allowed").to_string(), text);
        }
        #[cfg(feature = "aws")]
        assert_eq!(Destination::parse("kinesis:events.v1").expect("allowed"), Destination::Kinesis("events.v1".into()));
        for text in ["", "lake", "lake:", "kinesis:", "kinesis:a/b", "s3:bucket", "None"] {
            let error = Destination::parse(text).expect_err("refused").to_string();
            assert!(error.contains("lake:PATH, kinesis:STREAM"), "{error}");
        }
    }
}
