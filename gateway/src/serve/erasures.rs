//! The deletion of what is stored of players: what it works on, and the task that does it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::ServeError;
use super::names::Names;
use crate::admin::Admin;
use crate::admin::erasures::{Erasures, GRACE, Parts, Places, streamed};
use crate::clock::Clock;
use crate::config::Settings;
use crate::delivery::lake::{FileLayer, Lake, LakeParts};
use crate::delivery::rejects::Rejects;
use crate::metrics::Metrics;
use crate::operate::tasks::Tasks;

pub(super) struct Builder<'a> {
    pub(super) settings: &'a Settings,
    pub(super) files: &'a Arc<dyn FileLayer>,
    pub(super) names: Arc<Names>,
    pub(super) lake: Option<Arc<Lake>>,
    pub(super) rejects: &'a Arc<Rejects>,
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
        let parts = Parts { admin: Arc::clone(admin), places, grace: GRACE, clock: self.clock.clone() };
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
