//! What the gRPC door serves beside events: administration, health and reflection.

use tonic::service::Routes as Services;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::ServeError;
use crate::door::admin::{self, ADMIN_SERVICE};

/// The largest message to the health and reflection services, which ask for no key.
const MAX_OTHER_MESSAGE: usize = 4 << 10;

/// The services that can be asked for, by their names.
const NAMES: [&str; 2] = ["headgate.v1.IngestService", ADMIN_SERVICE];

/// Says of every service that it serves, or that it does not any more.
pub(super) async fn set_health(health: &HealthReporter, status: ServingStatus) {
    // The empty name is the gateway as a whole.
    for name in NAMES.into_iter().chain([""]) {
        health.set_service_status(name, status).await;
    }
}

/// Every service but the ingest service.
pub(super) async fn others(parts: admin::Parts) -> Result<(HealthReporter, Services), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let health_service = health_service.max_decoding_message_size(MAX_OTHER_MESSAGE);
    set_health(&health, ServingStatus::Serving).await;
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(headgate_proto::FILE_DESCRIPTOR_SET);
        NAMES.into_iter().fold(builder, |builder, name| builder.with_service_name(name))
    };
    let failed = |error| ServeError::part("reflection", error);
    // grpcurl and other tools still ask the older version.
    let services = Services::new(health_service)
        .add_service(admin::service(parts))
        .add_service(reflection().build_v1().map_err(failed)?.max_decoding_message_size(MAX_OTHER_MESSAGE))
        .add_service(reflection().build_v1alpha().map_err(failed)?.max_decoding_message_size(MAX_OTHER_MESSAGE));
    Ok((health, services.prepare()))
}
