//! The gateway's own memory and descriptors, read from its operator listener: what a soak looks for drift in.

use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::record::lock;

/// How often to look.
const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);
/// What is looked at after the warm-up only, so that caches and pools are full.
const RESIDENT: &str = "process_resident_memory_bytes";
const DESCRIPTORS: &str = "process_open_fds";

/// What was seen of the gateway. A listener that hangs is waited for here, and nowhere else.
pub(crate) struct ServerMetrics {
    operate: String,
    /// Seconds since the first look, resident bytes, open descriptors.
    seen: Mutex<Vec<(f64, f64, f64)>>,
}

impl ServerMetrics {
    /// Looks at `HOST:PORT`.
    pub(crate) fn new(operate: &str) -> Self {
        let operate = operate.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { operate, seen: Mutex::default() }
    }

    /// Looks every few seconds, from `after` on and for ever; what can't be had is left out.
    pub(crate) async fn watch(&self, after: Duration) {
        sleep(after).await;
        let begun = Instant::now();
        loop {
            if let Ok(Ok(text)) = timeout(PATIENCE, self.scrape()).await
                && let (Some(resident), Some(descriptors)) = (figure(&text, RESIDENT), figure(&text, DESCRIPTORS))
            {
                lock(&self.seen).push((begun.elapsed().as_secs_f64(), resident, descriptors));
            }
            sleep(EVERY).await;
        }
    }

    async fn scrape(&self) -> std::io::Result<String> {
        let mut socket = TcpStream::connect(&self.operate).await?;
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.operate);
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// How fast its memory grows, in MiB an hour (least squares), and how many descriptors it holds more than at first.
    pub(crate) fn drift(&self) -> Option<(f64, f64)> {
        let seen = lock(&self.seen);
        let (first, last) = (seen.first()?, seen.last()?);
        if seen.len() < 3 {
            return None;
        }
        let n = seen.len() as f64;
        let mean = |of: fn(&(f64, f64, f64)) -> f64| seen.iter().map(of).sum::<f64>() / n;
        let (mean_t, mean_r) = (mean(|seen| seen.0), mean(|seen| seen.1));
        let covariance: f64 = seen.iter().map(|seen| (seen.0 - mean_t) * (seen.1 - mean_r)).sum();
        let variance: f64 = seen.iter().map(|seen| (seen.0 - mean_t).powi(2)).sum();
        let bytes_per_second = covariance / variance;
        Some((bytes_per_second * 3_600.0 / f64::from(1 << 20), last.2 - first.2))
    }
}

/// The figure of a sample in the text format.
fn figure(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_of_a_mebibyte_a_minute_is_seen_as_60_an_hour() {
        let metrics = ServerMetrics::new("http://127.0.0.1:9090/");
        assert_eq!(metrics.drift(), None);
        for minute in 0..20 {
            let noise = if minute % 2 == 0 { 4_096.0 } else { -4_096.0 };
            let resident = 5e7 + f64::from(minute) * f64::from(1 << 20) + noise;
            lock(&metrics.seen).push((f64::from(minute) * 60.0, resident, 40.0 + f64::from(minute)));
        }
        let (slope, descriptors) = metrics.drift().expect("enough was seen");
        assert!((slope - 60.0).abs() < 0.5, "{slope} MiB an hour");
        assert_eq!(descriptors, 19.0);
    }
}
