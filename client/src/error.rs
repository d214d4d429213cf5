//! What can go wrong where the caller is told at once, each with its mend.

use std::path::PathBuf;
use std::time::Duration;

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The event itself can't be taken, now or later.
    #[error(transparent)]
    Event(#[from] EventError),
    /// No room, and [`Overflow::Error`](crate::Overflow::Error) is what was chosen for that. Not counted as dropped: the
    /// event is still the caller's.
    #[error(
        "no room: {events} events of {bytes} bytes are held; give it again later, raise the memory limits, or add a log"
    )]
    Full {
        /// Events in memory.
        events: u64,
        /// Bytes in memory.
        bytes: u64,
    },
    /// No room came within the time of [`Overflow::Wait`](crate::Overflow::Wait).
    #[error("no room within {0:?}: the gateway is away or slower than the events come")]
    NoRoomInTime(Duration),
    /// [`Client::close`](crate::Client::close) was called.
    #[error("the client is closed")]
    Closed,
    /// A durable event was given to a client without a log.
    #[error("the client has no log: give one to the builder (`Builder::log`)")]
    NoLog,
    /// The event was taken, and is sent from memory, but it is not on the log: a crash would lose it.
    #[error("taken, but not on the log: {0}")]
    NotDurable(LogProblem),
    /// The system has no random numbers for an event id.
    #[error("no random numbers for an event id: {0}")]
    Random(getrandom::Error),
}

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// A required field is empty.
    #[error("{field} is required")]
    Required {
        /// The field.
        field: &'static str,
    },
    /// A field holds another character than `A-Z a-z 0-9 - _ .`.
    #[error("{field} may hold only `A-Z a-z 0-9 - _ .`")]
    Charset {
        /// The field.
        field: &'static str,
    },
    /// A field is too long.
    #[error("{field} is longer than {max}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its longest: bytes, and of `partition_key` characters.
        max: usize,
    },
    /// Its time is outside years 1 to 9999.
    #[error("the event's time is outside years 1 to 9999")]
    TimestampRange,
    /// The event as a whole is too large.
    #[error("the event takes {bytes} bytes, the limit is {max}: put less into its data")]
    TooLarge {
        /// What it takes.
        bytes: usize,
        /// The most.
        max: usize,
    },
}

/// Why a batch is not on the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogProblem {
    /// It is as large as it may be.
    #[error("the log is full: raise its limit, or wait until the gateway is back")]
    Full,
    /// The file system refused.
    #[error("the log can't be written: {0}")]
    Io(std::io::ErrorKind),
    /// It took too long.
    #[error("the log did not take it in time: the disk is too slow")]
    Slow,
}

/// Why a client can't be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The gateway's address is no URL that can be used.
    #[error("the endpoint `{endpoint}` can't be used: {problem}; write it as https://HOST:PORT or http://HOST:PORT")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A setting is outside its range.
    #[error("{setting} is {value}, but has to be {range}")]
    Setting {
        /// Its name, that of the builder's method.
        setting: &'static str,
        /// As given.
        value: String,
        /// What it may be.
        range: String,
    },
    /// TLS was asked for, and the crate was built without it.
    #[error("TLS was asked for, but headgate-client was built without its feature `tls`")]
    NoTls,
    /// The authority or the identity is no PEM that can be used, or they were given for an `http` endpoint.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
    /// The key can't be read, or is no header value.
    #[error("the API key can't be used: {0}")]
    Key(#[from] KeyError),
    /// The log can't be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system has no random numbers for event ids.
    #[error("no random numbers for event ids: {0}")]
    Random(getrandom::Error),
    /// The client's thread can't be started.
    #[error("the client's thread can't be started: {0}")]
    Thread(std::io::Error),
}

/// Why an API key can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Its file can't be read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is no header value.
    #[error("it holds characters that no key has: check that it was copied whole")]
    Malformed,
}

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Another client has it: two of them would overwrite each other.
    #[error("the log {} is in use by another client: give each its own folder", .0.display())]
    InUse(PathBuf),
    /// The file system refused.
    #[error("the log can't be opened: {}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}
