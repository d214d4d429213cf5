//! `operate.*`: the operators' listener and the log.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// What operators see.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperateSettings {
    /// Address of the console, `/metrics`, `/healthz` and `/readyz`. Default `127.0.0.1:9090`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What is logged, as a `tracing` filter such as `info,headgate::door=debug`. Default `info`.
    pub log: String,
    /// The log's form. Default `auto`: readable on a terminal, JSON otherwise.
    pub log_format: LogFormat,
}

/// The log's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Readable on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for OperateSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            log: "info".to_owned(),
            log_format: LogFormat::Auto,
        }
    }
}
