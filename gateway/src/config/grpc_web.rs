//! `grpc_web.*`: gRPC for browsers and for consoles without HTTP/2, on the REST listener.

use serde::{Deserialize, Serialize};

/// gRPC-Web (`PublishEvents`), and whose pages may call it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcWebSettings {
    /// Whether calls are taken. Default `true`. What a message may be is said by `grpc.max_message`.
    pub enabled: bool,
    /// Origins whose pages may call, such as `https://play.example.com` or an app's `capacitor://localhost`; `loopback`:
    /// every page of this machine, on any port; `*`: every page. The origin at which pages reach the gateway itself is no
    /// exception. Clients that are no browsers name no origin and are not asked for one. Default `["loopback"]`.
    pub origins: Vec<String>,
}

impl GrpcWebSettings {
    /// Pages of `localhost`, 127.0.0.1 and `[::1]`.
    pub const LOOPBACK: &'static str = "loopback";
    /// Pages of everywhere.
    pub const ANY: &'static str = "*";
}

impl Default for GrpcWebSettings {
    fn default() -> Self {
        Self { enabled: true, origins: vec![Self::LOOPBACK.to_owned()] }
    }
}
