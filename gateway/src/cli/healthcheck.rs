//! `headgate healthcheck`: asks a running gateway whether it is well, for whoever has no shell and no curl to ask with,
//! such as the image of `deploy/container`.
//!
//! By default it asks for liveness. Whoever starts a gateway again when this fails (ECS does) must not ask for readiness:
//! a gateway whose destination is down, or that drains, is not ready, and does its work all the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;

use super::report::{Report, printable};
use super::{CliError, Context};

/// What is read of an answer, bytes: readiness says its reason in far less.
const LONGEST_ANSWER: usize = 16 << 10;

/// What to ask. Where: `operate.listen`, from the same settings as the gateway's.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// Ask whether it takes events (/readyz), not whether it lives (/healthz)
    #[arg(long)]
    ready: bool,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

#[derive(Serialize)]
struct Healthy {
    url: String,
    status: u16,
}

/// Asks, and says in one line what was answered.
///
/// # Errors
/// Exit code 1 if the answer is not 200, or there is none in time; 64 if the settings name no port.
pub async fn run(args: HealthcheckArgs, context: &Context) -> Result<(), CliError> {
    let address = reachable(context.settings.operate.listen)?;
    let url = format!("http://{address}{}", if args.ready { "/readyz" } else { "/healthz" });
    let (status, text) = match tokio::time::timeout(args.timeout, ask(&url)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => return Err(CliError::failed(format!("{url} can't be asked: {problem}"))),
        Err(_) => return Err(CliError::failed(format!("{url} did not answer within {:?}", args.timeout))),
    };
    if status != StatusCode::OK {
        return Err(CliError::failed(format!("{url} answered {status}: {}", printable(text.trim_end()))));
    }
    let shown = format!("{url} answered {status}");
    Report::new(shown, &Healthy { url, status: status.as_u16() })?.show(context.output)
}

/// Where a listener of this machine can be asked: one that takes calls on every address takes them on loopback, too.
fn reachable(listen: SocketAddr) -> Result<SocketAddr, CliError> {
    if listen.port() == 0 {
        return Err(CliError::configuration(
            "operate.listen has port 0, which is another one at each start: name the port to ask, such as --set \
             operate.listen=127.0.0.1:9090",
        ));
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, listen.port()))
}

async fn ask(url: &str) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(Request::get(url).body(Empty::<Bytes>::new())?).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("127.0.0.1:9091", "127.0.0.1:9091"),
            ("10.1.2.3:9090", "10.1.2.3:9090"),
        ] {
            let listen = listen.parse().expect("an address");
            assert_eq!(reachable(listen).expect("a port").to_string(), asked);
        }
    }

    #[test]
    fn a_port_that_nobody_knows_can_not_be_asked() {
        let error = reachable("127.0.0.1:0".parse().expect("an address")).expect_err("no port");
        assert_eq!(error.exit_code(), 64);
        assert!(error.to_string().contains("operate.listen"), "{error}");
    }
}
