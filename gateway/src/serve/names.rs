//! The names of applications, for the lake.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::ServeError;
use crate::admission::app::Apps;
use crate::delivery::lake::ApplicationNames;
use crate::registry::Registry;

/// Names of applications for the lake: those that have sent something, and those that were registered at the start (the
/// lake may hold events of theirs from before).
pub(super) struct Names {
    at_start: HashMap<Uuid, String>,
    apps: Arc<Apps>,
}

impl Names {
    pub(super) async fn load(registry: &dyn Registry, apps: &Arc<Apps>) -> Result<Arc<Self>, ServeError> {
        let known = registry.list_applications().await.map_err(|error| ServeError::part("registry", error))?;
        let at_start = known.into_iter().map(|application| (application.application_id, application.name)).collect();
        Ok(Arc::new(Self { at_start, apps: Arc::clone(apps) }))
    }
}

impl ApplicationNames for Names {
    fn name(&self, application_id: &str) -> Option<String> {
        let id = Uuid::try_parse(application_id).ok()?;
        self.apps.name(id).map(|name| name.to_string()).or_else(|| self.at_start.get(&id).cloned())
    }
}
