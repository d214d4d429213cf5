//! What the fuzz targets run (`fuzz/`): one function for each parser that meets the network or the disk. Each stands
//! beside its parser, in that module's `fuzz.rs`, and panics when a promise of the parser's does not hold. The test suite
//! replays the same functions on every committed input and on mutations of it.

mod door;
mod records;
mod seeds;

pub use self::door::{grpc_door, rest_door};
pub use self::records::{aggregated_record, stream_record};
pub use crate::admission::fuzz::api_key;
pub use crate::config::fuzz::settings;
pub use crate::delivery::lake::fuzz::{lake_log, lake_recovery, manifest};
pub use crate::delivery::rejects::fuzz::bad_row;
pub use crate::delivery::spill::fuzz::spill_file;
pub use crate::door::fuzz::decompression;
pub use crate::door::grpc::fuzz::grpc_frames;
pub use crate::door::otlp::fuzz::otlp_logs;
pub use crate::door::rest::fuzz::{rest_batch, signature};
pub use crate::ingest::fuzz::{envelope, event_scan, json_object};
pub use crate::registry::fuzz::schema;

/// A fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, that of its folder in `fuzz/corpus`, too.
    pub name: &'static str,
    /// Runs it on one input. Panics when a promise does not hold.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every fuzz target, the most exposed ones first.
pub const TARGETS: [Target; 20] = [
    Target { name: "grpc_frames", run: grpc_frames, seeds: seeds::grpc_frames },
    Target { name: "event_scan", run: event_scan, seeds: seeds::event_scan },
    Target { name: "json_object", run: json_object, seeds: seeds::json_object },
    Target { name: "envelope", run: envelope, seeds: seeds::envelope },
    Target { name: "decompression", run: decompression, seeds: seeds::decompression },
    Target { name: "rest_batch", run: rest_batch, seeds: seeds::rest_batch },
    Target { name: "otlp_logs", run: otlp_logs, seeds: seeds::otlp_logs },
    Target { name: "api_key", run: api_key, seeds: seeds::api_key },
    Target { name: "signature", run: signature, seeds: seeds::signature },
    Target { name: "grpc_door", run: grpc_door, seeds: seeds::grpc_door },
    Target { name: "rest_door", run: rest_door, seeds: seeds::rest_door },
    Target { name: "lake_log", run: lake_log, seeds: seeds::lake_log },
    Target { name: "lake_recovery", run: lake_recovery, seeds: seeds::lake_recovery },
    Target { name: "spill_file", run: spill_file, seeds: seeds::spill_file },
    Target { name: "manifest", run: manifest, seeds: seeds::manifest },
    Target { name: "bad_row", run: bad_row, seeds: seeds::bad_row },
    Target { name: "aggregated_record", run: aggregated_record, seeds: seeds::aggregated_record },
    Target { name: "stream_record", run: stream_record, seeds: seeds::stream_record },
    Target { name: "schema", run: schema, seeds: seeds::schema },
    Target { name: "settings", run: settings, seeds: seeds::settings },
];

/// An input that tells several things one after the other; past its end it tells zeros and nothing.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let taken = self.take(8);
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }

    /// A number below `end`, which is at most 65,536; 0 where `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())).checked_rem(end).unwrap_or(0)
    }

    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// As many bytes as the next byte says.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.take(len)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
