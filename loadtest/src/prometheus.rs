//! The run's figures in the Prometheus text format (version 0.0.4), for dashboards that show gateway and load together.
//!
//! It is served without a password, so it listens on loopback unless told otherwise. A scrape takes one look at the
//! figures and never waits for the run; if the endpoint fails, the run goes on.

use std::fmt::{Display, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::progress::Tick;
use crate::record::Latencies;
use crate::result::HealthState;

/// Where it listens unless told otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";

/// The upper bounds of the histogram's buckets, in milliseconds: 1, 2.5 and 5 of each decade from 0.5 ms to 30 s.
const BOUNDS_MS: [f64; 16] = [
    0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 20_000.0, 30_000.0,
];

/// What a scrape shows.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// The latest second.
    pub tick: Tick,
    /// The latencies of the whole run so far, from the instant at which a batch was to leave to its answer.
    pub ack: Latencies,
}

/// Where a scrape's figures come from.
pub type Source = Arc<dyn Fn() -> Scrape + Send + Sync>;

/// The endpoint; it is closed when this is dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl Endpoint {
    /// Where it listens, with the port that was chosen if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves `GET /metrics` on this address until the endpoint is dropped.
///
/// # Errors
/// The address can't be listened on.
pub async fn serve(address: SocketAddr, source: Source) -> std::io::Result<Endpoint> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let metrics = move || {
        let text = encode(&source());
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response() }
    };
    let routes = Router::new().route("/metrics", get(metrics));
    let mut server = JoinSet::new();
    // Serving ends only when it is dropped: errors of single connections are not its own.
    server.spawn(async move { axum::serve(listener, routes).await.unwrap_or_default() });
    Ok(Endpoint { address, _server: server })
}

/// The figures as text.
#[must_use]
pub fn encode(scrape: &Scrape) -> String {
    let Scrape { tick, ack } = scrape;
    let ledger = &tick.ledger;
    let mut text = Text::default();
    text.histogram("ack_seconds", "From the instant at which a batch was to leave to its answer, once an event.", ack);
    for (name, events, help) in [
        ("due", ledger.due, "Events that became due."),
        ("sent", ledger.sent, "Events sent at least once."),
        ("resent", ledger.resent, "Events sent again."),
        ("accepted", ledger.accepted, "Events answered as stored."),
        ("retry", ledger.retry, "Events to be sent again: retry verdicts and refused batches."),
        ("unknown", ledger.unknown, "Events of which the gateway could not say whether they are stored."),
        ("failed", ledger.failed, "Events given up."),
        ("overflow", ledger.overflow, "Events never sent because too many batches were unanswered."),
    ] {
        text.single(&format!("{name}_events_total"), "counter", help, events);
    }
    let rejected = ledger.rejected.iter().map(|(reason, events)| (reason.as_ref(), *events));
    text.labelled("rejected_events_total", "counter", "Events answered as breaking a rule.", "reason", rejected);
    let answers = tick.codes.iter().map(|(code, batches)| (code.as_str(), *batches));
    text.labelled("answered_batches_total", "counter", "Batches answered, by gRPC code.", "code", answers);
    text.single("reconnects_total", "counter", "Connections opened again.", tick.reconnects);

    text.single("in_flight_events", "gauge", "Events without an end yet.", ledger.in_flight);
    text.single("online_players", "gauge", "Players online.", tick.online);
    text.single("connections", "gauge", "Open connections.", tick.connections);
    text.single("planned_events_per_second", "gauge", "Events a second that the plan has due.", tick.planned_per_s);
    text.single("elapsed_seconds", "gauge", "Since the schedule began.", tick.elapsed.as_secs_f64());
    let lag = tick.lag_p99.as_secs_f64();
    text.single("lag_p99_seconds", "gauge", "The load tester's own lateness in the latest second.", lag);
    text.single("cpu_cores", "gauge", "CPU time of the load tester; 1 is one core.", tick.cpu_cores);
    text.single("resident_bytes", "gauge", "Resident memory of the load tester.", tick.resident);
    let states = [("ok", HealthState::Ok), ("late", HealthState::Late), ("saturated", HealthState::Saturated)];
    let states = states.map(|(name, state)| (name, u64::from(state == tick.health)));
    text.labelled("health", "gauge", "Whether the load tester keeps up: 1 for the state it is in.", "state", states);
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP headgate_loadtest_{name} {help}"));
        self.line(format_args!("# TYPE headgate_loadtest_{name} {kind}"));
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("headgate_loadtest_{name} {value}"));
    }

    fn labelled<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.head(name, kind, help);
        for (value_of_label, value) in values {
            let escaped = value_of_label.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            self.line(format_args!("headgate_loadtest_{name}{{{label}=\"{escaped}\"}} {value}"));
        }
    }

    fn histogram(&mut self, name: &str, help: &str, latencies: &Latencies) {
        self.head(name, "histogram", help);
        for bound in BOUNDS_MS {
            let below = latencies.at_most(Duration::from_secs_f64(bound / 1e3));
            self.line(format_args!("headgate_loadtest_{name}_bucket{{le=\"{}\"}} {below}", bound / 1e3));
        }
        self.line(format_args!("headgate_loadtest_{name}_bucket{{le=\"+Inf\"}} {}", latencies.count()));
        self.line(format_args!("headgate_loadtest_{name}_sum {}", latencies.sum_us() as f64 / 1e6));
        self.line(format_args!("headgate_loadtest_{name}_count {}", latencies.count()));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::record::Ledger;

    fn scrape() -> Scrape {
        let mut ack = Latencies::default();
        for (us, events) in [(400, 10), (3_000, 5), (700_000, 3), (45_000_000, 2)] {
            ack.record_us(us, events);
        }
        let rejected = BTreeMap::from([(Cow::Borrowed("a \"quoted\" \\ reason"), 4)]);
        let ledger = Ledger { due: 24, accepted: 20, rejected, ..Ledger::default() };
        let tick = Tick {
            ledger,
            online: 77,
            lag_p99: Duration::from_millis(3),
            health: HealthState::Late,
            ..Tick::default()
        };
        Scrape { tick, ack }
    }

    async fn get(address: SocketAddr, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    /// `name{label="value"} number` for each line; whatever is neither that nor a comment fails.
    fn parse(body: &str) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        let mut typed = String::new();
        for line in body.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let words: Vec<&str> = comment.splitn(3, ' ').collect();
                assert!(words.len() == 3 && ["HELP", "TYPE"].contains(&words[0]), "{line}");
                typed = words[1].to_owned();
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().expect("a name");
            assert!(name.starts_with(&typed), "{name} follows the type of {typed}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{line}"
            );
            assert!(series == name || series.ends_with("\"}"), "{line}");
            let twice = found.insert(series.to_owned(), value.parse().expect("a number"));
            assert_eq!(twice, None, "{series} is there twice");
        }
        found
    }

    #[tokio::test]
    async fn a_scrape_over_a_socket_has_every_figure() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = serve(any, Arc::new(scrape)).await.expect("a free port");
        let (head, body) = get(endpoint.address(), "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
        let found = parse(&body);
        let figure = |name: &str| found.get(&format!("headgate_loadtest_{name}")).copied();
        assert_eq!(figure("ack_seconds_bucket{le=\"0.0005\"}"), Some(10.0));
        assert_eq!(figure("ack_seconds_bucket{le=\"0.005\"}"), Some(15.0));
        assert_eq!(figure("ack_seconds_bucket{le=\"30\"}"), Some(18.0));
        assert_eq!(figure("ack_seconds_bucket{le=\"+Inf\"}"), Some(20.0));
        assert_eq!((figure("ack_seconds_count"), figure("ack_seconds_sum")), (Some(20.0), Some(92.119)));
        assert_eq!((figure("due_events_total"), figure("accepted_events_total")), (Some(24.0), Some(20.0)));
        assert_eq!(figure(r#"rejected_events_total{reason="a \"quoted\" \\ reason"}"#), Some(4.0));
        assert_eq!((figure("online_players"), figure("lag_p99_seconds")), (Some(77.0), Some(0.003)));
        assert_eq!((figure("health{state=\"late\"}"), figure("health{state=\"ok\"}")), (Some(1.0), Some(0.0)));
        assert!(get(endpoint.address(), "/").await.0.starts_with("HTTP/1.1 404"));

        let address = endpoint.address();
        drop(endpoint);
        // The listener goes with the task, which ends at its next step.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn buckets_only_grow() {
        let body = encode(&scrape());
        let counts: Vec<u64> = body
            .lines()
            .filter(|line| line.contains("_bucket{"))
            .map(|line| line.rsplit(' ').next().expect("a value").parse().expect("a number"))
            .collect();
        assert_eq!(counts.len(), BOUNDS_MS.len() + 1);
        assert!(counts.is_sorted());
    }
}
