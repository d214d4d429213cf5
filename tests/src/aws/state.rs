//! Everything behind the port: the streams, the faults, the connections and the books.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use super::Settings;
use super::error::{Refusal, Service};
use super::faults::Faults;
use super::firehose::DeliveryStream;
use super::kinesis::{Stream, StreamSettings};
use super::link::Links;
use super::tally::{Books, Tally};

/// See the module.
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    pub(super) links: Arc<Links>,
    pub(super) books: Books,
    streams: RwLock<BTreeMap<String, Arc<Stream>>>,
    delivery_streams: RwLock<BTreeMap<String, Arc<DeliveryStream>>>,
    requests: AtomicU64,
    /// How far its clock is ahead, seconds.
    pub(super) clock_offset: AtomicI64,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            faults: Faults::new(settings.seed),
            settings,
            links: Arc::default(),
            books: Books::default(),
            streams: RwLock::default(),
            delivery_streams: RwLock::default(),
            requests: AtomicU64::new(0),
            clock_offset: AtomicI64::new(0),
        }
    }

    pub(super) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            kinesis: self.books.of(Service::Kinesis),
            firehose: self.books.of(Service::Firehose),
            faults: self.faults.happened(),
            connections: self.links.accepted.load(Ordering::Relaxed),
            wire_bytes_in: self.links.bytes_in.load(Ordering::Relaxed),
            wire_bytes_out: self.links.bytes_out.load(Ordering::Relaxed),
        }
    }

    pub(super) fn create_stream(&self, settings: StreamSettings) -> Result<Arc<Stream>, Refusal> {
        let mut streams = self.streams.write().expect("nothing panics with it");
        if streams.contains_key(&settings.name) {
            return Err(Refusal::in_use(&settings.name));
        }
        let name = settings.name.clone();
        let stream = Arc::new(Stream::new(settings, self.settings.throttle, self.settings.keep));
        streams.insert(name, Arc::clone(&stream));
        Ok(stream)
    }

    pub(super) fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.streams.read().expect("nothing panics with it").get(name).cloned()
    }

    pub(super) fn create_delivery_stream(&self, name: &str) -> Result<Arc<DeliveryStream>, Refusal> {
        let mut streams = self.delivery_streams.write().expect("nothing panics with it");
        if streams.contains_key(name) {
            return Err(Refusal::in_use(name));
        }
        let stream = Arc::new(DeliveryStream::new(name, self.settings.keep));
        streams.insert(name.to_owned(), Arc::clone(&stream));
        Ok(stream)
    }

    pub(super) fn delivery_stream(&self, name: &str) -> Option<Arc<DeliveryStream>> {
        self.delivery_streams.read().expect("nothing panics with it").get(name).cloned()
    }
}
