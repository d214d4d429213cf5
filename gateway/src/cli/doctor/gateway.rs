//! The gateway that runs here, if one does: whether it takes events, and what it knows of its stream.

use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::ask;
use super::check::{Check, Verdict};
use crate::config::Settings;

const OUR_VERSION: &str = env!("CARGO_PKG_VERSION");
/// So many missed refreshes of the shard map are more than bad luck.
const MISSED_REFRESHES: u32 = 5;

/// What `/readyz` says.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    ready: bool,
    phase: String,
    destination: String,
    reason: Option<String>,
    /// Earlier gateways say none.
    #[serde(default)]
    version: Option<String>,
}

/// Asks whether a gateway answers there.
///
/// # Errors
/// Why not, in words.
pub(super) async fn ask(operate: SocketAddr) -> Result<Answer, String> {
    if operate.port() == 0 {
        return Err("operate.listen names no port".to_owned());
    }
    let (status, text) = ask::get(operate, "/readyz").await?;
    match serde_json::from_str(&text) {
        Ok(answer) if matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE) => Ok(answer),
        _ => Err(format!("what answers is no gateway: status {status}")),
    }
}

pub(super) fn check(settings: &Settings) -> Check {
    let (operate, refresh) = (settings.operate.listen, settings.kinesis.refresh_interval);
    Check::new("gateway", async move {
        match ask(operate).await {
            Ok(answer) => running(&answer, operate, refresh).await,
            Err(why) => Verdict::skip(format!("none answers at {operate} ({why})")),
        }
    })
}

async fn running(answer: &Answer, operate: SocketAddr, refresh: Duration) -> Verdict {
    let Answer { ready, phase, destination, reason, version } = answer;
    if !ready {
        let reason = reason.as_deref().unwrap_or(phase);
        let mend = "the reason names what is missing; what the other checks say of it comes with its mend";
        return Verdict::fail(format!("runs and takes no events: {reason}"), mend);
    }
    let version = version.as_deref().unwrap_or("of an earlier version");
    if version != OUR_VERSION {
        let says = format!("takes events, and is {version}; this command is {OUR_VERSION}");
        return Verdict::warn(says, "run `doctor` from the gateway's own image");
    }
    let metrics = ask::get(operate, "/metrics").await.map(|(_, text)| text).unwrap_or_default();
    if let Some(age) = shard_map_age(&metrics)
        && age > refresh.as_secs_f64() * f64::from(MISSED_REFRESHES)
    {
        let mend = "see what the check of the stream says: kinesis:ListShards and DescribeStreamSummary";
        return Verdict::warn(format!("takes events; its shard map is {age:.0} s old"), mend);
    }
    Verdict::ok(format!("{version} takes events, for {destination}"))
}

/// None where no stream has been described.
fn shard_map_age(metrics: &str) -> Option<f64> {
    let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    let shards = value("headgate_open_shards ")?;
    value("headgate_shard_map_age_seconds ").filter(|_| shards > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_shard_map_is_one_only_where_there_are_shards() {
        let metrics = |shards: u32| format!("# EOF\nheadgate_open_shards {shards}\nheadgate_shard_map_age_seconds 7\n");
        assert_eq!(shard_map_age(&metrics(4)), Some(7.0));
        assert_eq!(shard_map_age(&metrics(0)), None);
        assert_eq!(shard_map_age(""), None);
    }
}
