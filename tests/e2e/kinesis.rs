//! Delivery to Kinesis and Firehose, against a stand-in that throttles, fails, hangs and loses answers at will, and
//! against a real emulator: what is acknowledged is in the stream, in order where order is promised, and at its price.

mod efficiency;
mod emulator;
mod failures;
mod keyed;
mod partial;
mod routes;
mod spill;

use std::sync::Arc;
use std::time::Duration;

use headgate_tests::aws::kinesis::{Stream, StreamSettings};
use headgate_tests::aws::{Settings, StandIn, kcl};
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::lake::Row;
use headgate_tests::oracle::Judgement;
use headgate_tests::{ministack, stream};
use tempfile::TempDir;

use crate::NO_RATE_LIMIT;

const STREAM: &str = "events";
const DELIVERY_STREAM: &str = "events-to-s3";

/// A gateway that streams to a stand-in.
struct Streaming {
    stand_in: StandIn,
    stream: Arc<Stream>,
    gateway: GatewayProcess,
    _data: TempDir,
}

impl Streaming {
    /// With a stream of so many shards and a delivery stream; `settings` on top of what that takes.
    async fn start(stand_in: Settings, shards: u32, settings: &[&str]) -> Self {
        let stand_in = StandIn::start(stand_in).await;
        let stream = stand_in.create_stream(StreamSettings::new(STREAM, shards));
        stand_in.create_delivery_stream(DELIVERY_STREAM);
        let data = tempfile::tempdir().expect("a folder");
        let settings = [
            &NO_RATE_LIMIT[..],
            &[
                "delivery.destination=kinesis",
                "kinesis.stream=events",
                // As it is where the endpoint is AWS's.
                "kinesis.encoding=cbor",
                "firehose.delivery_stream=events-to-s3",
            ],
            settings,
        ]
        .concat();
        let environment = ministack::environment(stand_in.address());
        let gateway = GatewayProcess::start_in(data.path(), &settings, &environment).await;
        Self { stand_in, stream, gateway, _data: data }
    }

    /// What the consumers of the stream get, with KCL's rules; nothing of it may be dropped.
    fn consumed(&self) -> Vec<Row> {
        let reading = kcl::read(&self.stream.shards());
        assert_eq!(reading.discarded_aggregates, 0, "consumers drop what does not belong to a shard");
        assert_eq!(reading.broken_aggregates, 0);
        reading.records().map(|record| stream::row(&record.data)).collect()
    }

    /// What Firehose was given.
    fn delivered(&self) -> Vec<Row> {
        self.stand_in.delivered(DELIVERY_STREAM).iter().flat_map(|record| stream::rows(record)).collect()
    }

    /// How many records are in the stream more often than once: the same user records, maybe under another hash key.
    fn doubled_records(&self) -> u64 {
        let mut seen = std::collections::HashSet::new();
        let shards = self.stream.shards();
        let reading = kcl::read(&shards);
        let firsts = reading.records().filter(|record| record.place.is_none_or(|place| place == 0));
        firsts.filter(|record| !seen.insert(record.data.clone())).count() as u64
    }

    /// Nothing is on its way any more, and nothing of the budget is held.
    async fn assert_quiet(&self) {
        headgate_tests::poll::until("everything is given back", Duration::from_secs(10), async || {
            let metrics = self.gateway.metrics().await;
            let held = metrics.sum("headgate_in_flight_bytes", &[]) + metrics.sum("headgate_in_flight_buckets", &[]);
            (held == 0.0).then_some(())
        })
        .await;
        assert_eq!(self.gateway.metrics().await.sum("headgate_accounting_violations_total", &[]), 0.0);
    }

    /// Every promise of a run is kept, with duplicates only where the service did not answer for what it had stored.
    fn assert_kept(&self, judgement: Judgement, least: u64) {
        let ambiguous = self.stand_in.tally().kinesis.ambiguous_records;
        let doubled = self.doubled_records();
        println!("ambiguous records {ambiguous}, doubled {doubled}");
        assert!(doubled <= ambiguous, "{doubled} records are there twice, {ambiguous} were not answered for");
        judgement.at_least_once().assert_kept(least);
    }
}
