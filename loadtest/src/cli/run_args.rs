//! The flags of `run`: Goose's own, and ours.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use goose::config::GooseConfiguration;
use serde::Serialize;

use crate::config::{Connections, Driver, HotApp, Profile, Retry, ShardOf, Transport};

/// Flags of `run`. Settings that are not given come from the scenario, and from the defaults.
#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) goose: GooseConfiguration,
    #[command(flatten)]
    pub(super) load: LoadArgs,
    /// Goose, or plain tasks; Goose's flags need Goose.
    #[arg(long, help_heading = "Load", value_parser = parsed::<Driver>, value_name = "goose|native")]
    pub(super) driver: Option<Driver>,
    /// A rule that the run has to hold, such as "ack.p99 < 100ms during hold"; repeatable, and instead of the scenario's.
    #[arg(long, help_heading = "Judgement", value_name = "RULE")]
    pub(super) slo: Vec<String>,
    /// End the run once a rule has failed.
    #[arg(long, help_heading = "Judgement")]
    pub(super) abort_on_slo: bool,
    /// A result to which rules with "x baseline" compare.
    #[arg(long, help_heading = "Judgement", value_name = "RESULT")]
    pub(super) baseline: Option<PathBuf>,
    /// Judge the rules even if this load tester was the limit.
    #[arg(long, help_heading = "Judgement")]
    pub(super) allow_invalid: bool,
    /// Ask the destination whether every acknowledged event is there: lake:PATH or kinesis:STREAM.
    #[arg(long, help_heading = "Judgement", value_name = "DESTINATION", num_args = 0..=1, default_missing_value = "lake:headgate-data")]
    pub(super) verify: Option<String>,
    /// How long to wait for events that are not there yet.
    #[arg(long, help_heading = "Judgement", value_name = "TIME", value_parser = duration, default_value = "2m")]
    pub(super) verify_timeout: Duration,
    /// The gateway's operator listener: it is asked to turn the lake's log into Parquet, and for its memory in a soak.
    #[arg(long, help_heading = "Target", value_name = "HOST:PORT")]
    pub(super) operate: Option<String>,
    /// API keys, one for each application, one a line. Without it: HEADGATE_API_KEY, or the embedded default's own key.
    #[arg(long, help_heading = "Target", value_name = "FILE")]
    pub(super) api_key_file: Option<PathBuf>,
    /// The certificate authority of an https target, in PEM. Default: those that this machine trusts.
    #[arg(long, help_heading = "Target", value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,
    /// Needed for a target that is not this machine: names it once more.
    #[arg(long, help_heading = "Target", value_name = "HOST")]
    pub(super) i_own_this_target: Vec<String>,
    /// Where the result and the report go: a folder, or s3://BUCKET/PREFIX, and then the files are kept in the default folder,
    /// too. No result in it is written over. Default: headgate-loadtest/SCENARIO-TIME.
    #[arg(long, help_heading = "Output", value_name = "DIR|S3")]
    pub(super) result_dir: Option<PathBuf>,
    /// What is shown while it runs: auto, plain, json or off.
    #[arg(long, help_heading = "Output", value_name = "MODE", default_value = "auto")]
    pub(super) progress: String,
    /// Serve figures to Prometheus here, such as 127.0.0.1:9464.
    #[arg(long, help_heading = "Output", value_name = "ADDRESS")]
    pub(super) prometheus: Option<std::net::SocketAddr>,
    /// Show Goose's own summary at the end too.
    #[arg(long, help_heading = "Output")]
    pub(super) goose_summary: bool,
    /// When the schedule begins, in seconds of Unix time; the same for all shards.
    #[arg(long, help_heading = "Shards", value_name = "UNIX")]
    pub(super) start_at: Option<f64>,
    /// Refuse a plan that needs more than this share of what this machine can offer.
    #[arg(long, help_heading = "Judgement", value_name = "PERCENT", default_value_t = 70.0)]
    pub(super) cpu_limit_pct: f64,
}

/// Flags that say what load is made; `plan` takes them too.
#[derive(Args)]
pub(super) struct LoadArgs {
    /// A built-in scenario, or a TOML file: see `plan --list` and `plan --show`.
    #[arg(long, help_heading = "Load", value_name = "NAME|FILE")]
    pub(super) workload: Option<String>,
    /// Players, online or not.
    #[arg(long, help_heading = "Load", value_name = "N", value_parser = count)]
    players: Option<u32>,
    /// Players on a game server, where --users is not given.
    #[arg(long, help_heading = "Load", value_name = "N", value_parser = count)]
    players_per_server: Option<u32>,
    /// How many are online when: flat, diurnal, launch, spike, or a file of `seconds,level` lines.
    #[arg(long, help_heading = "Load", value_name = "NAME|FILE")]
    pub(super) profile: Option<String>,
    /// What players do: a built-in model or a TOML file, see `plan --show-model`.
    #[arg(long, help_heading = "Load", value_name = "NAME|FILE")]
    pub(super) model: Option<String>,
    /// Events a second, where the profile is at 1; game time passes as fast as that needs.
    #[arg(long, help_heading = "Load", value_name = "EVENTS", conflicts_with = "speed", value_parser = rate)]
    event_rate: Option<f64>,
    /// How many times faster than in real life game time passes.
    #[arg(long, help_heading = "Load", value_name = "TIMES")]
    speed: Option<f64>,
    /// What the gateway lets through for the application, in events a second; three times as much is offered.
    #[arg(long, help_heading = "Load", value_name = "EVENTS", value_parser = rate)]
    quota: Option<f64>,
    /// The share of players online where the profile is at 1.
    #[arg(long, help_heading = "Load", value_name = "SHARE")]
    online: Option<f64>,
    /// Everything random follows from it.
    #[arg(long, help_heading = "Load", value_name = "N")]
    seed: Option<u64>,
    /// How batches travel: stream, unary, or by the client that game servers use.
    #[arg(long, help_heading = "Load", value_name = "stream|unary|client", value_parser = parsed::<Transport>)]
    transport: Option<Transport>,
    /// How often a server sends what happened, or how long its client waits for more, in milliseconds.
    #[arg(long, help_heading = "Load", value_name = "MS")]
    linger_ms: Option<u64>,
    /// The most events in a batch.
    #[arg(long, help_heading = "Load", value_name = "N")]
    max_batch: Option<u32>,
    /// Connections of all servers together, or per-server.
    #[arg(long, help_heading = "Load", value_name = "N|per-server", value_parser = connections)]
    connections: Option<Connections>,
    /// Unanswered batches of a server; what is due past them is counted as overflow.
    #[arg(long, help_heading = "Load", value_name = "N")]
    max_in_flight: Option<u32>,
    /// How long to wait for answers at the end.
    #[arg(long, help_heading = "Load", value_name = "TIME", value_parser = duration)]
    drain: Option<Duration>,
    /// The size of event_data.
    #[arg(long, help_heading = "Load", value_name = "MIN..MAX", value_parser = bytes)]
    payload_bytes: Option<[u32; 2]>,
    /// Applications that servers belong to.
    #[arg(long, help_heading = "Load", value_name = "N")]
    apps: Option<u32>,
    /// The exponent of Zipf's law by which servers are spread over applications.
    #[arg(long, help_heading = "Load", value_name = "S")]
    zipf: Option<f64>,
    /// An application that offers many times its share, such as 0:100.
    #[arg(long, help_heading = "Load", value_name = "APP:TIMES", value_parser = hot_app)]
    hot_app: Option<HotApp>,
    /// The share of events that break a rule on purpose.
    #[arg(long, help_heading = "Load", value_name = "SHARE")]
    bad_share: Option<f64>,
    /// The share of events that are sent twice.
    #[arg(long, help_heading = "Load", value_name = "SHARE")]
    duplicate_share: Option<f64>,
    /// What happens to refused batches: none, sdk or careless.
    #[arg(long, help_heading = "Load", value_name = "POLICY", value_parser = parsed::<Retry>)]
    retry: Option<Retry>,
    /// Shown, but judged by no rule.
    #[arg(long, help_heading = "Load", value_name = "TIME", value_parser = duration)]
    warm_up: Option<Duration>,
    /// This many Goose users of all shards that wait for each answer, beside the game servers, for comparison.
    #[arg(long, help_heading = "Load", value_name = "N")]
    closed_loop: Option<u32>,
    /// This process's part of the load, from 1: such as 2/5.
    #[arg(long, help_heading = "Shards", value_name = "I/N", value_parser = shard)]
    pub(super) shard: Option<ShardOf>,
}

/// What the flags say, as a layer over the scenario: the fields of [`crate::RunConfig`].
#[derive(Default, Serialize)]
pub(super) struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) driver: Option<Driver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    players: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) servers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    players_per_server: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<crate::Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<Transport>,
    #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
    pub(super) run_time: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
    linger: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_batch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Connections>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
    drain: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_bytes: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apps: Option<AppFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
    warm_up: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_loop: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) slos: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<ShardOf>,
}

#[derive(Serialize)]
struct AppFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zipf: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hot: Option<HotApp>,
}

impl LoadArgs {
    /// The layer of these flags.
    pub(super) fn layer(&self) -> Flags {
        let apps = (self.apps.is_some() || self.zipf.is_some() || self.hot_app.is_some()).then(|| AppFlags {
            count: self.apps,
            zipf: self.zipf,
            hot: self.hot_app.clone(),
        });
        Flags {
            players: self.players,
            players_per_server: self.players_per_server,
            events_per_second: self.event_rate,
            speed: self.speed,
            quota: self.quota,
            online: self.online,
            seed: self.seed,
            transport: self.transport,
            linger: self.linger_ms.map(Duration::from_millis),
            max_batch: self.max_batch,
            connections: self.connections,
            max_in_flight: self.max_in_flight,
            drain: self.drain,
            payload_bytes: self.payload_bytes,
            apps,
            bad_share: self.bad_share,
            duplicate_share: self.duplicate_share,
            retry: self.retry,
            warm_up: self.warm_up,
            closed_loop: self.closed_loop,
            shard: self.shard,
            ..Flags::default()
        }
    }
}

/// A time in words, or in seconds as Goose has it: `90s`, `1h 30m`, `1h30m20s`, `90`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}

/// One of an enumeration's names.
fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

/// A count in words: `1_000_000`, `500k`, `10M`.
fn count(text: &str) -> Result<u32, String> {
    let count = rate(text)?;
    if count.fract() == 0.0 && count <= f64::from(u32::MAX) {
        Ok(count as u32)
    } else {
        Err(format!("give a whole number up to {}", u32::MAX))
    }
}

/// A rate in words: `40000`, `40k`, `1.5M`.
fn rate(text: &str) -> Result<f64, String> {
    let plain = text.replace(['_', ','], "");
    let (digits, factor) = match plain.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => plain.strip_suffix('M').map_or((plain.as_str(), 1.0), |digits| (digits, 1e6)),
    };
    let number: f64 = digits.parse().map_err(|_| "give a number, such as 40000, 40k or 1.5M".to_owned())?;
    if number.is_finite() && number >= 0.0 { Ok(number * factor) } else { Err("give a number of 0 or more".to_owned()) }
}

fn connections(text: &str) -> Result<Connections, String> {
    match text {
        "per-server" => Ok(Connections::PerServer),
        _ => text.parse().map(Connections::Shared).map_err(|_| "give a number, or per-server".to_owned()),
    }
}

fn bytes(text: &str) -> Result<[u32; 2], String> {
    let parse = |text: &str| text.trim().parse::<u32>().ok();
    let pair = text.split_once("..").and_then(|(least, most)| Some([parse(least)?, parse(most)?]));
    pair.ok_or_else(|| "give MIN..MAX, such as 60..600".to_owned())
}

fn hot_app(text: &str) -> Result<HotApp, String> {
    let pair = text.split_once(':').and_then(|(app, times)| Some((app.parse().ok()?, times.parse().ok()?)));
    pair.map(|(app, times)| HotApp { app, times }).ok_or_else(|| "give APP:TIMES, such as 0:100".to_owned())
}

fn shard(text: &str) -> Result<ShardOf, String> {
    let pair = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    match pair {
        Some((index, of)) if (1..=of).contains(&index) => Ok(ShardOf { index, of }),
        _ => Err("give I/N with 1 <= I <= N, such as 2/5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_in_words() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m20s"), Ok(Duration::from_secs(5_420)));
        assert_eq!((count("1_000_000"), count("500k"), count("10M")), (Ok(1_000_000), Ok(500_000), Ok(10_000_000)));
        assert_eq!(rate("1.5M"), Ok(1.5e6));
        assert_eq!(parsed::<Transport>("unary"), Ok(Transport::Unary));
        assert_eq!(connections("8"), Ok(Connections::Shared(8)));
        assert_eq!(bytes("60..600"), Ok([60, 600]));
        assert_eq!(hot_app("0:100"), Ok(HotApp { app: 0, times: 100.0 }));
        assert_eq!(shard("2/5"), Ok(ShardOf { index: 2, of: 5 }));
        for wrong in [count("1.5"), count("many"), count("-3")] {
            assert!(wrong.is_err());
        }
        assert!(shard("6/5").is_err() && shard("0/5").is_err() && bytes("60").is_err() && hot_app("x").is_err());
        assert!(parsed::<Retry>("never").unwrap_err().contains("sdk"));
    }
}
