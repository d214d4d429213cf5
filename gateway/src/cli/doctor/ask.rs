//! Asks an operators' listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A gateway on this machine answers in milliseconds; what takes longer is none, or a busy one.
const PATIENCE: Duration = Duration::from_secs(3);
/// Metrics of a gateway with many applications take some hundred KiB.
const LARGEST_ANSWER: usize = 8 << 20;

/// Status and text of the answer; an error in words.
pub(super) async fn get(listener: SocketAddr, path: &str) -> Result<(StatusCode, String), String> {
    let address = reachable(listener);
    let asking = async {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let request = Request::get(format!("http://{address}{path}")).body(Empty::new());
        let response = client.request(request.map_err(|error| error.to_string())?).await;
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        let body =
            Limited::new(response.into_body(), LARGEST_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")))
}

/// Where to connect to reach what listens on this address.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}
