//! The ways out: builds the destinations that the settings name, the lanes that lead to them, and what keeps them running.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ServeError;
use super::names::Names;
use crate::clock::Clock;
use crate::config::{BadRowsKind, DestinationKind, Settings, Size};
use crate::delivery::lake::{FileLayer, Lake, LakeParts};
use crate::delivery::packing::kinesis_packing;
use crate::delivery::rejects::Rejects;
use crate::delivery::route::{Outlet, Routes};
use crate::delivery::spill::Spill;
use crate::delivery::{Destination, Discard};
use crate::gather::{BucketSink, InFlight, Lanes, LanesParts, Packing, ShardRange};
use crate::metrics::Metrics;
use crate::operate::tasks::Tasks;

/// Buckets of a discarding destination linger as long as the lake's.
const DISCARD_LINGER: Duration = Duration::from_millis(2);

/// What was built.
pub(super) struct Outlets {
    pub(super) routes: Arc<Routes>,
    /// In the order in which they are to be closed: what one can't deliver may go to one after it.
    pub(super) destinations: Vec<Arc<dyn Destination>>,
    /// The lake, where it is the destination.
    pub(super) lake: Option<Arc<Lake>>,
    /// Closed after the destinations, which may still hand over what they could not deliver.
    pub(super) spills: Vec<Arc<Spill>>,
}

/// What the ways out are built with.
#[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "what keeps senders running"))]
pub(super) struct Builder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) files: &'a Arc<dyn FileLayer>,
    #[cfg(feature = "aws")]
    pub(super) credentials: Option<&'a aws_credential_types::provider::SharedCredentialsProvider>,
    pub(super) names: Arc<Names>,
    pub(super) clock: &'a Clock,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) background: &'a Tasks,
    pub(super) stop: &'a CancellationToken,
    pub(super) delivered: &'a CancellationToken,
}

impl Builder<'_> {
    /// `given` in place of the destination that the settings name.
    pub(super) async fn build(&self, given: Option<Arc<dyn Destination>>) -> Result<Outlets, ServeError> {
        let in_flight = InFlight::new();
        let single = |destination: Arc<dyn Destination>, lake| {
            let default = self.outlet(Arc::clone(&destination), &in_flight, None);
            Outlets { routes: Routes::single(default), destinations: vec![destination], lake, spills: Vec::new() }
        };
        if let Some(destination) = given {
            return Ok(single(destination, None));
        }
        match self.settings.delivery.destination {
            DestinationKind::Discard => {
                tracing::warn!("delivery.destination is discard: events are acknowledged and dropped");
                Ok(single(self.discard(), None))
            }
            _ if self.is_local() => {
                let lake = self.lake().await?;
                Ok(single(Arc::clone(&lake) as Arc<dyn Destination>, Some(lake)))
            }
            #[cfg(feature = "aws")]
            _ => self.aws(&in_flight).await,
            #[cfg(not(feature = "aws"))]
            _ => Err(ServeError::part("destination", "this headgate was built without the feature `aws`")),
        }
    }

    /// Where rejected events go.
    pub(super) async fn rejects(&self) -> Result<Arc<Rejects>, ServeError> {
        match self.settings.delivery.bad_rows {
            BadRowsKind::Local => {
                let settings = self.settings;
                Rejects::open(self.files, &settings.data_dir, &settings.lake, self.metrics, self.clock)
                    .map_err(|error| ServeError::part("bad rows", error))
            }
            #[cfg(feature = "aws")]
            BadRowsKind::Firehose => self.rejects_to_firehose().await,
            #[cfg(not(feature = "aws"))]
            BadRowsKind::Firehose => {
                Err(ServeError::part("bad rows", "this headgate was built without the feature `aws`"))
            }
        }
    }

    fn is_local(&self) -> bool {
        self.settings.delivery.destination == DestinationKind::Lake
            && self.settings.kinesis.stream.is_empty()
            && self.settings.firehose.delivery_stream.is_empty()
    }

    /// Buckets as they are made for Kinesis.
    fn discard(&self) -> Arc<Discard> {
        let (gather, packing) = (&self.settings.gather, kinesis_packing(&self.settings.kinesis));
        let units = |target: Size| u32::try_from(packing.units(target.as_usize())).unwrap_or(u32::MAX);
        let max_units = gather.target.map_or(packing.max_units, units);
        let linger = gather.linger.unwrap_or(DISCARD_LINGER);
        let bytes_a_call = self.settings.kinesis.max_call.as_usize();
        let discard = Arc::new(Discard::new(Packing { max_units, linger, ..packing }, bytes_a_call));
        let runs = Arc::clone(&discard);
        self.background.supervise("discard", self.delivered, move || Arc::clone(&runs).run());
        discard
    }

    async fn lake(&self) -> Result<Arc<Lake>, ServeError> {
        // Recovery reads what is left of the log, which may take a while.
        let settings = self.settings.clone();
        let parts = LakeParts {
            files: Arc::clone(self.files),
            names: Arc::clone(&self.names) as _,
            metrics: Arc::clone(self.metrics),
            clock: self.clock.clone(),
        };
        let opened = tokio::task::spawn_blocking(move || {
            Lake::open(&settings.data_dir, &settings.lake, &settings.gather, parts)
        });
        let lake = opened.await.map_err(|error| ServeError::part("lake", error))?;
        Ok(Arc::new(lake.map_err(|error| ServeError::part("lake", error))?))
    }

    /// Lanes to a destination; `keyed`: one for each of these shards.
    fn outlet(
        &self,
        destination: Arc<dyn Destination>,
        in_flight: &Arc<InFlight>,
        keyed: Option<&[ShardRange]>,
    ) -> Outlet {
        let packing = destination.packing();
        let parts = LanesParts {
            sink: Arc::clone(&destination) as Arc<dyn BucketSink>,
            packing,
            deadline: self.settings.delivery.deadline,
            in_flight: Arc::clone(in_flight),
            clock: self.clock.clone(),
        };
        let count = match self.settings.gather.lanes {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            lanes => lanes as usize,
        };
        let lanes = match keyed {
            Some(shards) => Lanes::keyed(shards, parts, self.metrics),
            None => Lanes::sticky(count, parts, self.metrics),
        };
        Outlet { lanes, destination }
    }
}

#[cfg(feature = "aws")]
mod aws;
