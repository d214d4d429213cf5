//! What a client is made of, with its defaults, and the checks that they are given before anything is started.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::client::Client;
use crate::connect::{Connector, TlsChoice};
use crate::error::BuildError;
use crate::failure::Failure;
use crate::ids::Ids;
use crate::key::Key;
use crate::limits::{Limits, Overflow};
use crate::log::{Fsync, Log};
use crate::shared::{Callees, Shared};
use crate::store::Store;
use crate::stored::Stored;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Makes a [`Client`]. Every setting has a default; the defaults suit a game server in the gateway's region.
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    endpoint: String,
    key: Key,
    tls: TlsChoice,
    compress: bool,
    limits: Limits,
    overflow: Overflow,
    longest_backoff: Duration,
    log: Option<Log>,
    callees: Callees,
}

impl Builder {
    pub(crate) fn new(endpoint: String, key: Key) -> Self {
        Self {
            endpoint,
            key,
            tls: TlsChoice::default(),
            compress: false,
            limits: Limits {
                batch_events: 500,
                batch_bytes: 256 * KIB,
                linger: Duration::from_millis(100),
                in_flight: 16,
                memory_bytes: 32 * MIB,
                memory_events: 1_000_000,
                answer_timeout: Duration::from_secs(60),
            },
            overflow: Overflow::default(),
            longest_backoff: Duration::from_secs(10),
            log: None,
            callees: Callees::default(),
        }
    }

    /// Trusts what this authority (certificates in PEM) signed, in place of the authorities that the machine trusts.
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.authority = Some(pem.into());
        self
    }

    /// Shows this certificate (chain and private key, each in PEM) to a gateway that asks for one. Default: none.
    pub fn identity(mut self, certificate: impl Into<Vec<u8>>, private_key: impl Into<Vec<u8>>) -> Self {
        self.tls.identity = Some((certificate.into(), private_key.into()));
        self
    }

    /// Whether batches are compressed (zstd): across regions, where bytes cost more than processors. Default: no.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// The most events in a batch: 1 to 10,000, default 500. Not more than the application's burst.
    pub fn batch_events(mut self, events: u32) -> Self {
        self.limits.batch_events = events;
        self
    }

    /// A batch is sent once it has so many bytes: 1 KiB to 3 MiB, default 256 KiB. An event that is larger by itself, up to
    /// 900 KiB, is a batch of its own.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.limits.batch_bytes = bytes;
        self
    }

    /// How long a batch waits for more events: 0 to 60 s, default 100 ms. With a log, also how long an event may wait until
    /// it is handed to it, unless somebody waits for that.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.limits.linger = linger;
        self
    }

    /// The most batches that are sent and have no answer: 1 to 1,024, default 16. They may take half of the memory.
    pub fn batches_in_flight(mut self, batches: usize) -> Self {
        self.limits.in_flight = batches;
        self
    }

    /// The memory that events may take until they are stored, bytes: 1 MiB and at least four batches, to 64 GiB, default
    /// 32 MiB. Beside it the connection's buffers take about two batches more.
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.limits.memory_bytes = bytes;
        self
    }

    /// The most events in memory: at least one batch, to 1,000,000,000, default 1,000,000.
    pub fn memory_events(mut self, events: u64) -> Self {
        self.limits.memory_events = events;
        self
    }

    /// What happens when memory is full. Default [`Overflow::Error`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How long a batch may have no answer before its stream is given up and it is sent again: 1 s to 10 min, default 60 s.
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.limits.answer_timeout = timeout;
        self
    }

    /// The longest wait before something is tried again, unless the gateway asks for a longer one: 100 ms to 5 min, default
    /// 10 s. Waits double from 100 ms up to it and are drawn from nothing to twice the one before (full jitter).
    pub fn longest_backoff(mut self, longest: Duration) -> Self {
        self.longest_backoff = longest;
        self
    }

    /// Keeps events on disk until they are stored: for crashes, and for times offline that memory is too small for. What an
    /// earlier client left there is sent first. Default: none.
    pub fn log(mut self, log: Log) -> Self {
        self.log = Some(log);
        self
    }

    /// Is told of events when they are stored, a batch at a time: for a caller that keeps events until then, or wants to know
    /// how long it takes. Each time that an event was given it is told of once by this client. After a crash the next client
    /// with the log may tell of it again, or nobody does of what had just been settled: an outbox gives again what it does
    /// not know of, under the same id. [`Client::close`] returns after the last call of this, [`Client::flush`] perhaps before.
    /// What [`Builder::on_failure`] says of how to be called holds here too. Default: they are only counted.
    pub fn on_stored(mut self, callee: impl Fn(Stored) + Send + Sync + 'static) -> Self {
        self.callees.on_stored = Some(Box::new(callee));
        self
    }

    /// Is told of each event that will never be stored: rejected, refused for good, or dropped for a newer one. It is called
    /// by the client's thread, and by `send` where that drops the oldest: it should be quick, it must not flush or close
    /// the client nor wait for room in it, and it must not own one: that client would never be dropped. Default: they are
    /// only counted.
    pub fn on_failure(mut self, callee: impl Fn(Failure) + Send + Sync + 'static) -> Self {
        self.callees.on_failure = Some(Box::new(callee));
        self
    }

    /// Starts the client. It needs no gateway yet: events wait until there is one.
    ///
    /// # Errors
    /// If a setting is outside its range, the endpoint or the key can't be used, or the log can't be opened.
    pub fn build(self) -> Result<Client, BuildError> {
        self.check()?;
        let connector = Connector::new(&self.endpoint, &self.tls, self.compress)?;
        let key = self.key.read()?;
        let ids = Ids::new().map_err(BuildError::Random)?;
        let backoff = || Backoff::new(self.longest_backoff).map_err(BuildError::Random);
        let (for_batches, for_streams) = (backoff()?, backoff()?);
        let window = self.limits.in_flight;
        let store = Store::new(self.limits, window, ids, for_batches);
        let shared = Shared::new(store, self.callees, self.key);
        Client::start(shared, connector, key, for_streams, self.overflow, self.log.as_ref())
    }

    fn check(&self) -> Result<(), BuildError> {
        let limits = &self.limits;
        range("batch_events", limits.batch_events, 1..=10_000)?;
        range("batch_bytes", limits.batch_bytes, KIB..=3 * MIB)?;
        range("linger", Millis(limits.linger), Millis(Duration::ZERO)..=seconds(60))?;
        range("batches_in_flight", limits.in_flight, 1..=1_024)?;
        range("memory_bytes", limits.memory_bytes, MIB.max(4 * limits.batch_bytes)..=64 << 30)?;
        range("memory_events", limits.memory_events, u64::from(limits.batch_events)..=1_000_000_000)?;
        range("answer_timeout", Millis(limits.answer_timeout), seconds(1)..=seconds(600))?;
        range("longest_backoff", Millis(self.longest_backoff), Millis(Duration::from_millis(100))..=seconds(300))?;
        if let Some(log) = &self.log {
            range("log.max_bytes", log.max_bytes, 1 << 20..=1 << 40)?;
            if let Fsync::Every(interval) = log.fsync {
                range("log.fsync", Millis(interval), Millis(Duration::from_millis(1))..=seconds(3_600))?;
            }
        }
        Ok(())
    }
}

#[derive(PartialEq, PartialOrd)]
struct Millis(Duration);

fn seconds(seconds: u64) -> Millis {
    Millis(Duration::from_secs(seconds))
}

impl Display for Millis {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", self.0)
    }
}

fn range<T: PartialOrd + Display>(setting: &'static str, value: T, range: RangeInclusive<T>) -> Result<(), BuildError> {
    if range.contains(&value) {
        return Ok(());
    }
    let range = format!("{} to {}", range.start(), range.end());
    Err(BuildError::Setting { setting, value: value.to_string(), range })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> Builder {
        Client::builder("http://127.0.0.1:1", Key::value("hg_key"))
    }

    #[test]
    fn a_setting_outside_its_range_is_named_with_its_range() {
        let wrong: [(Builder, &str); 10] = [
            (builder().batch_events(0), "batch_events is 0, but has to be 1 to 10000"),
            (builder().batch_bytes(4 << 20), "batch_bytes is 4194304, but has to be 1024 to 3145728"),
            (builder().linger(Duration::from_secs(61)), "linger is 61s, but has to be 0ns to 60s"),
            (builder().batches_in_flight(0), "batches_in_flight is 0, but has to be 1 to 1024"),
            (builder().memory_bytes(MIB - 1), "memory_bytes is 1048575, but has to be 1048576 to 68719476736"),
            (builder().memory_events(499), "memory_events is 499, but has to be 500 to 1000000000"),
            (builder().answer_timeout(Duration::ZERO), "answer_timeout is 0ns, but has to be 1s to 600s"),
            (builder().longest_backoff(Duration::ZERO), "longest_backoff is 0ns, but has to be 100ms to 300s"),
            (builder().log(Log::new("x").max_bytes(1)), "log.max_bytes is 1, but has to be 1048576 to 1099511627776"),
            (
                builder().log(Log::new("x").fsync(Fsync::Every(Duration::ZERO))),
                "log.fsync is 0ns, but has to be 1ms to 3600s",
            ),
        ];
        for (builder, message) in wrong {
            assert_eq!(builder.build().err().map(|error| error.to_string()).as_deref(), Some(message));
        }
    }

    #[test]
    fn an_endpoint_or_key_that_can_never_work_is_refused_at_once() {
        for endpoint in ["127.0.0.1:50051", "ftp://host:1", "http://", ""] {
            let result = Client::builder(endpoint, Key::value("hg_key")).build();
            assert!(matches!(result, Err(BuildError::Endpoint { .. })), "{endpoint}: {result:?}");
        }
        let no_key = Client::builder("http://127.0.0.1:1", Key::value(" ")).build();
        assert!(matches!(no_key, Err(BuildError::Key(_))), "{no_key:?}");
        let no_tls = builder().authority("-----BEGIN CERTIFICATE-----").build();
        assert!(matches!(no_tls, Err(BuildError::Tls(_))), "{no_tls:?}");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_the_feature_an_https_endpoint_is_refused_with_the_mend() {
        let result = Client::builder("https://127.0.0.1:1", Key::value("hg_key")).build();
        assert!(matches!(result, Err(BuildError::NoTls)), "{result:?}");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn an_authority_that_is_none_is_refused_at_once() {
        let result = Client::builder("https://127.0.0.1:1", Key::value("hg_key")).authority("rubbish").build();
        assert!(matches!(result, Err(BuildError::Tls(_))), "{result:?}");
    }
}
