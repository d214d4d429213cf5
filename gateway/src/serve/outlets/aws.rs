//! Kinesis and Firehose, and the routes that lead to one of them or to both.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;

use super::{Builder, InFlight, Outlet, Outlets, Routes, ServeError, ShardRange};
use crate::aws::{AwsError, shared_config, shared_config_from, warm_credentials};
use crate::config::{Aggregation, DestinationKind, FirehoseSettings, Routing};
use crate::delivery::Destination;
use crate::delivery::aws::{FirehoseStream, KinesisStream};
use crate::delivery::packing::{FIREHOSE_UNIT, ON_DEMAND_UNIT, PUT_UNIT, firehose_packing, kinesis_packing};
use crate::delivery::rejects::Rejects;
use crate::delivery::route::{Both, Fallback};
use crate::delivery::sender::wire::{CallError, CallFailure, Describe, StreamMode, Wire};
use crate::delivery::sender::{Billing, Keeper, Sender, SenderLimits, SenderParts, StreamParts, StreamPrices};
use crate::delivery::spill::{Spill, SpillError, SpillParts};
use crate::registry::Route;

const GIGABYTE: f64 = (1_u64 << 30) as f64;

/// How long a stream that can't be reached holds up the start.
const START_PATIENCE: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_secs(1);

struct Kinesis {
    sender: Arc<Sender>,
    shards: Option<Vec<ShardRange>>,
    spill: Option<Arc<Spill>>,
}

impl Builder<'_> {
    pub(super) async fn aws(&self, in_flight: &Arc<InFlight>) -> Result<Outlets, ServeError> {
        let settings = self.settings;
        let failed = |error: AwsError| ServeError::part("AWS", error);
        let sdk = self.sdk().await.map_err(failed)?;
        warm_credentials(&sdk).await.map_err(failed)?;

        let kinesis = match settings.kinesis.stream.as_str() {
            "" => None,
            _ => Some(self.kinesis(Arc::new(KinesisStream::new(&sdk, &settings.kinesis))).await?),
        };
        let firehose = match settings.firehose.delivery_stream.as_str() {
            "" => None,
            _ => Some(self.firehose(Arc::new(FirehoseStream::new(&sdk, &settings.firehose))).await?),
        };
        let lake = match settings.delivery.destination {
            DestinationKind::Lake => Some(self.lake().await?),
            _ => None,
        };

        let shards = kinesis.as_ref().and_then(|kinesis| kinesis.shards.clone());
        let mut routes: Vec<(Route, Outlet)> = Vec::new();
        let mut add = |route, destination: Arc<dyn Destination>, keyed: Option<&[ShardRange]>| {
            routes.push((route, self.outlet(destination, in_flight, keyed)));
        };
        let mut destinations: Vec<Arc<dyn Destination>> = Vec::new();
        let to_kinesis = kinesis.as_ref().map(|kinesis| Arc::clone(&kinesis.sender) as Arc<dyn Destination>);
        let to_firehose = firehose.as_ref().map(|(sender, _)| Arc::clone(sender) as Arc<dyn Destination>);
        if let Some(kinesis) = &to_kinesis {
            add(Route::Kinesis, Arc::clone(kinesis), shards.as_deref());
            destinations.push(Arc::clone(kinesis));
        }
        if let Some(firehose) = &to_firehose {
            add(Route::Firehose, Arc::clone(firehose), None);
            destinations.push(Arc::clone(firehose));
        }
        if let (Some(kinesis), Some(firehose)) = (&to_kinesis, &to_firehose) {
            let fallback = Fallback::new(Arc::clone(kinesis), Arc::clone(firehose));
            add(Route::KinesisWithFirehoseFallback, Arc::new(fallback), shards.as_deref());
            let both = Both::new(Arc::clone(kinesis), Arc::clone(firehose));
            add(Route::KinesisAndFirehose, Arc::new(both), shards.as_deref());
        }
        if let Some(lake) = &lake {
            add(Route::Lake, Arc::clone(lake) as Arc<dyn Destination>, None);
            destinations.push(Arc::clone(lake) as Arc<dyn Destination>);
        }
        if let Some(Kinesis { sender, shards: Some(_), .. }) = &kinesis {
            self.follow_shards(sender, routes.iter().map(|(_, outlet)| outlet));
        }
        let default = match settings.delivery.destination {
            DestinationKind::Kinesis => Route::Kinesis,
            DestinationKind::Firehose => Route::Firehose,
            DestinationKind::KinesisWithFirehoseFallback => Route::KinesisWithFirehoseFallback,
            DestinationKind::KinesisAndFirehose => Route::KinesisAndFirehose,
            DestinationKind::Lake | DestinationKind::Discard => Route::Lake,
        };
        let place = routes.iter().position(|(route, _)| *route == default);
        let routes = place.and_then(|place| Routes::new(place, routes));
        let routes = routes.ok_or_else(|| ServeError::part("destination", format!("{default} is not set up")))?;
        let kinesis_spill = kinesis.and_then(|kinesis| kinesis.spill);
        let spills = kinesis_spill.into_iter().chain(firehose.and_then(|(_, spill)| spill)).collect();
        Ok(Outlets { routes, destinations, lake, spills })
    }

    async fn sdk(&self) -> Result<SdkConfig, AwsError> {
        match self.credentials {
            Some(source) => shared_config_from(&self.settings.aws, source.clone()).await,
            None => shared_config(&self.settings.aws).await,
        }
    }

    async fn kinesis(&self, stream: Arc<KinesisStream>) -> Result<Kinesis, ServeError> {
        let settings = &self.settings.kinesis;
        let problem = |error| ServeError::part("Kinesis", format!("stream {}: {error}", settings.stream));
        let description = self.at_start(|| stream.describe()).await.map_err(problem)?;
        let aggregates = settings.aggregation == Aggregation::Kpl;
        let keyed = settings.routing == Routing::Keyed;
        if description.auto_distribution {
            if keyed {
                let refusal = "spreads records itself (RecordDistributionStrategy=AUTO), so it keeps no order: set \
                               kinesis.routing = \"sticky\", or the stream's strategy to its default";
                return Err(ServeError::part("Kinesis", format!("stream {} {refusal}", settings.stream)));
            }
            tracing::warn!(
                "the stream spreads records itself; one event goes into one record, since consumers of such a stream drop aggregated records"
            );
        }
        let prices = StreamPrices {
            put_units_million: settings.price_put_unit_per_million,
            on_demand_gb: settings.price_on_demand_gb,
        };
        let parts = SenderParts {
            wire: Arc::clone(&stream) as Arc<dyn Wire>,
            packing: kinesis_packing(settings),
            limits: SenderLimits {
                bytes_a_call: settings.max_call.as_usize(),
                calls_in_flight: settings.max_calls_in_flight,
                records_in_flight_a_shard: settings.max_records_in_flight_per_shard,
                bytes_a_call_a_shard: settings.max_call_per_shard.as_usize(),
                attempt_timeout: settings.attempt_timeout,
            },
            billing: billing_of(description.mode, &prices),
            clock: self.clock.clone(),
            tasks: self.background.clone(),
            metrics: Arc::clone(self.metrics),
        };
        let shards = keyed.then(|| description.shards.clone());
        tracing::info!(stream = settings.stream, shards = description.shards.len(), mode = ?description.mode, "Kinesis");
        let stream = StreamParts {
            describe: stream as Arc<dyn Describe>,
            stream: description,
            aggregates,
            keyed,
            refresh_interval: settings.refresh_interval,
            billing_of,
            prices,
        };
        let spill = self.spill("kinesis").await?;
        let sender = Sender::to_stream(parts, stream, spill.clone().map(|spill| spill as Arc<dyn Keeper>));
        self.run_sender(&sender, spill.as_ref());
        Ok(Kinesis { sender, shards, spill })
    }

    async fn firehose(&self, stream: Arc<FirehoseStream>) -> Result<(Arc<Sender>, Option<Arc<Spill>>), ServeError> {
        let settings = &self.settings.firehose;
        let problem =
            |error| ServeError::part("Firehose", format!("delivery stream {}: {error}", settings.delivery_stream));
        self.at_start(|| stream.check()).await.map_err(problem)?;
        let parts = SenderParts {
            wire: stream as Arc<dyn Wire>,
            packing: firehose_packing(settings),
            limits: SenderLimits {
                bytes_a_call: settings.max_call.as_usize(),
                calls_in_flight: settings.max_calls_in_flight,
                records_in_flight_a_shard: usize::MAX,
                bytes_a_call_a_shard: usize::MAX,
                attempt_timeout: settings.attempt_timeout,
            },
            billing: Billing { unit: FIREHOSE_UNIT, price: settings.price_gb * FIREHOSE_UNIT as f64 / GIGABYTE },
            clock: self.clock.clone(),
            tasks: self.background.clone(),
            metrics: Arc::clone(self.metrics),
        };
        tracing::info!(delivery_stream = settings.delivery_stream, "Firehose");
        let spill = self.spill("firehose").await?;
        let sender = Sender::to_firehose(parts, spill.clone().map(|spill| spill as Arc<dyn Keeper>));
        self.run_sender(&sender, spill.as_ref());
        Ok((sender, spill))
    }

    /// Where what can't be delivered in time is kept; none where that is off and nothing was left by an earlier start.
    async fn spill(&self, name: &'static str) -> Result<Option<Arc<Spill>>, ServeError> {
        let bound = self.settings.delivery.spill.0;
        let (files, metrics, clock) = (Arc::clone(self.files), Arc::clone(self.metrics), self.clock.clone());
        let (data_dir, deadline) = (self.settings.data_dir.clone(), self.settings.delivery.deadline);
        let opened = tokio::task::spawn_blocking(move || {
            if bound == 0 && !Spill::is_left(&*files, &data_dir, name)? {
                return Ok(None);
            }
            let data_dir = &data_dir;
            Spill::open(SpillParts { files, data_dir, name, bound, deadline, clock, metrics: &metrics }).map(Some)
        });
        let opened = opened.await.map_err(|error| ServeError::part("spill", error))?;
        opened.map_err(|error: SpillError| ServeError::part("spill", error))
    }

    /// Where rejected events go, where that is a delivery stream.
    pub(super) async fn rejects_to_firehose(&self) -> Result<Arc<Rejects>, ServeError> {
        let settings = self.settings;
        let firehose = &settings.firehose;
        let sdk = self.sdk().await.map_err(|error| ServeError::part("AWS", error))?;
        let stream = FirehoseSettings { delivery_stream: firehose.bad_rows_stream.clone(), ..firehose.clone() };
        let wire = Arc::new(FirehoseStream::new(&sdk, &stream));
        let problem =
            |error| ServeError::part("bad rows", format!("delivery stream {}: {error}", firehose.bad_rows_stream));
        self.at_start(|| wire.check()).await.map_err(problem)?;
        let (metrics, clock) = (self.metrics, self.clock);
        Ok(Rejects::to_firehose(wire, firehose, &settings.lake, metrics, clock, self.background))
    }

    fn run_sender(&self, sender: &Arc<Sender>, spill: Option<&Arc<Spill>>) {
        let sending = Arc::clone(sender);
        self.background.supervise("sender", self.delivered, move || Arc::clone(&sending).run());
        let looking = Arc::clone(sender);
        self.background.supervise("look after sender", self.delivered, move || Arc::clone(&looking).look_after());
        if let Some(spill) = spill {
            let (spill, destination) = (Arc::clone(spill), Arc::clone(sender));
            self.background.supervise("spill", self.stop, move || {
                Arc::clone(&spill).run(Arc::clone(&destination) as Arc<dyn Destination>)
            });
        }
    }

    /// Keyed lanes change with the stream's shards.
    fn follow_shards<'a>(&self, sender: &Arc<Sender>, outlets: impl Iterator<Item = &'a Outlet>) {
        let lanes: Vec<_> = outlets.map(|outlet| Arc::clone(&outlet.lanes)).collect();
        let Some(mut stream) = sender.stream() else { return };
        // The shards may have changed since the lanes were made.
        stream.mark_changed();
        self.background.supervise("follow shards", self.stop, move || {
            let (lanes, mut stream) = (lanes.clone(), stream.clone());
            async move {
                while stream.changed().await.is_ok() {
                    let shards = stream.borrow_and_update().shards.clone();
                    lanes.iter().for_each(|lanes| lanes.follow(&shards));
                }
            }
        });
    }

    /// What answers in time: a service that can't be reached yet is asked again for a while.
    async fn at_start<T, F>(&self, ask: impl Fn() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let until = self.clock.now() + START_PATIENCE;
        loop {
            match ask().await {
                Err(error) if error.failure != CallFailure::Permanent && self.clock.now() + START_PAUSE < until => {
                    tracing::warn!(%error, "not ready to start; trying again");
                    tokio::time::sleep(START_PAUSE).await;
                }
                answered => return answered,
            }
        }
    }
}

fn billing_of(mode: StreamMode, prices: &StreamPrices) -> Billing {
    match mode {
        StreamMode::Provisioned => Billing { unit: PUT_UNIT, price: prices.put_units_million / 1e6 },
        StreamMode::OnDemand => {
            Billing { unit: ON_DEMAND_UNIT, price: prices.on_demand_gb * ON_DEMAND_UNIT as f64 / GIGABYTE }
        }
    }
}
