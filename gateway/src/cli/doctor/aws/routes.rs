//! Applications as the registry has them: read as the gateway reads them, and whether their routes lead somewhere here.

use aws_config::SdkConfig;

use super::super::check::{Check, Verdict};
use super::super::sqlite::routes;
use crate::clock::Clock;
use crate::config::Settings;
use crate::registry::Registry;
use crate::registry::aws::DynamoDbRegistry;

pub(super) fn check(shared: &SdkConfig, settings: &Settings, clock: &Clock) -> Check {
    let (registry, settings) = (DynamoDbRegistry::new(shared, settings, clock.clone()), settings.clone());
    Check::new("applications", async move {
        let applications = match registry.list_applications().await {
            Ok(applications) => applications,
            Err(error) => return Verdict::fail(error.to_string(), "see what the checks of the tables say"),
        };
        let own: Vec<(String, String)> = applications
            .iter()
            .filter_map(|application| Some((application.name.clone(), application.route?.to_string())))
            .collect();
        routes(&settings, &own, &format!("{} registered, {} with a route of their own", applications.len(), own.len()))
    })
}
