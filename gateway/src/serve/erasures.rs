//! The deletion of what is stored of players: what it works on, and the task that does it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ServeError;
use super::names::Names;
use crate::admin::Admin;
use crate::admin::erasures::{Erasures, GRACE, Parts, Places, Running, streamed};
use crate::clock::Clock;
use crate::config::Settings;
use crate::delivery::lake::{FileLayer, Lake, LakeParts};
use crate::delivery::rejects::Rejects;
use crate::ingest::policy::PolicyFeed;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::operate::tasks::Tasks;
use crate::registry::RegistryError;

/// From an open bucket's end to the lake's queue, on a very busy machine.
const SETTLING: Duration = Duration::from_secs(1);

/// What the gateway does for a deletion.
struct Here {
    feed: Arc<PolicyFeed>,
    live: Arc<Live>,
}

#[async_trait]
impl Running for Here {
    async fn heed(&self) -> Result<(), RegistryError> {
        self.feed.refresh().await
    }

    fn forget_tail(&self, application: Uuid) {
        self.live.forget_tail(application);
    }
}

pub(super) struct Builder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) files: &'a Arc<dyn FileLayer>,
    pub(super) names: Arc<Names>,
    pub(super) lake: Option<Arc<Lake>>,
    pub(super) rejects: &'a Arc<Rejects>,
    pub(super) feed: Arc<PolicyFeed>,
    pub(super) live: &'a Arc<Live>,
    pub(super) clock: &'a Clock,
    pub(super) metrics: &'a Arc<Metrics>,
}

impl Builder<'_> {
    pub(super) async fn open(self, admin: &Arc<Admin>) -> Result<Arc<Erasures>, ServeError> {
        let lake_parts = LakeParts {
            files: Arc::clone(self.files),
            names: self.names,
            metrics: Arc::clone(self.metrics),
            clock: self.clock.clone(),
        };
        let places = Places {
            data_dir: self.settings.data_dir.clone(),
            lake_settings: self.settings.lake.clone(),
            lake_parts,
            lake: self.lake,
            rejects: Some(Arc::clone(self.rejects)),
            streamed: streamed(self.settings),
        };
        let parts = Parts {
            admin: Arc::clone(admin),
            places,
            grace: GRACE,
            linger: self.settings.gather.linger.unwrap_or_default() + SETTLING,
            running: Some(Arc::new(Here { feed: self.feed, live: Arc::clone(self.live) })),
            clock: self.clock.clone(),
        };
        let opened = tokio::task::spawn_blocking(move || Erasures::open(parts)).await;
        let failed = |error: &dyn std::fmt::Display| ServeError::part("deletions of players' data", error);
        opened.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

/// Works the jobs off until `stop`.
pub(super) fn run(erasures: &Arc<Erasures>, background: &Tasks, stop: &CancellationToken) {
    let (erasures, stop) = (Arc::clone(erasures), stop.clone());
    // Never cut off: it ends by itself soon after the stop, and until then it may be writing to the lake.
    background.supervise("erasures", &CancellationToken::new(), move || {
        let (erasures, stop) = (Arc::clone(&erasures), stop.clone());
        async move { erasures.run(stop).await }
    });
}
