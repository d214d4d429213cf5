//! `otlp.*`: OpenTelemetry's logs as a second way in.

use serde::{Deserialize, Serialize};

/// The receiver of log records, on the gRPC listener (`LogsService.Export`) and the REST listener (`POST /v1/logs`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpSettings {
    /// Whether log records are taken. Default `true`. What a request may be is said by `grpc.max_message`,
    /// `rest.max_body` and `ingest.*`.
    pub enabled: bool,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}
