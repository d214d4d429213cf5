//! The gateway's own memory and descriptors, read from its operator listener: what a soak looks for growth in.

use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::drift;
use crate::config::RunConfig;
use crate::record::lock;
use crate::words;

/// The measures of what it finds.
pub(super) const RESIDENT_SLOPE: &str = "server_rss_slope_mib_per_h";
pub(super) const DESCRIPTORS_GROWN: &str = "server_fds_grown";

/// How often to look.
const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);
/// In less time after the warm-up, growth says nothing: caches, pools and the table of event ids still fill.
const LEAST_JUDGED: Duration = Duration::from_secs(30 * 60);
/// The share of looks that has to succeed.
const LEAST_SEEN: f64 = 0.5;

const RESIDENT: &str = "process_resident_memory_bytes";
const DESCRIPTORS: &str = "process_open_fds";
const STARTED: &str = "process_start_time_seconds";

/// What was seen of the gateway. A listener that hangs is waited for here, and nowhere else.
pub(crate) struct ServerMetrics {
    operate: String,
    seen: Mutex<Vec<Seen>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    at: Instant,
    resident: f64,
    descriptors: f64,
    started: Option<f64>,
}

/// How the gateway grew over the second half of the judged time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Resident memory, in MiB an hour.
    pub(crate) mib_per_hour: f64,
    /// Descriptors at the end of that time more than at its beginning; a trend, and so not whole.
    pub(crate) descriptors: f64,
}

impl ServerMetrics {
    /// Looks at `HOST:PORT`.
    pub(crate) fn new(operate: &str) -> Self {
        let operate = operate.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { operate, seen: Mutex::default() }
    }

    /// Looks every few seconds, for ever; what can't be had is left out.
    pub(crate) async fn watch(&self) {
        loop {
            if let Ok(Some(seen)) = timeout(PATIENCE, self.look()).await {
                lock(&self.seen).push(seen);
            }
            sleep(EVERY).await;
        }
    }

    async fn look(&self) -> Option<Seen> {
        let text = self.scrape().await.ok()?;
        Some(Seen {
            at: Instant::now(),
            resident: figure(&text, RESIDENT)?,
            descriptors: figure(&text, DESCRIPTORS)?,
            started: figure(&text, STARTED),
        })
    }

    async fn scrape(&self) -> std::io::Result<String> {
        let mut socket = TcpStream::connect(&self.operate).await?;
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.operate);
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// How it grew in a run whose schedule began at `start` and lasted for `elapsed`; if that can't be said, why.
    ///
    /// The first half of the judged time is left out: what grows there is mostly what a gateway keeps and bounds.
    pub(crate) fn growth(&self, start: Instant, elapsed: Duration, config: &RunConfig) -> Result<Growth, String> {
        let judged = elapsed.min(config.run_time).saturating_sub(config.warm_up);
        if judged < LEAST_JUDGED {
            return Err(format!(
                "it takes {} after the warm-up, here are {}: before that, caches that fill look like a leak",
                words::duration(LEAST_JUDGED),
                words::duration(judged),
            ));
        }
        let day = drift::day(config);
        drift::trend_fits(day, judged)?;
        let half = judged / 2;
        let from = start + config.warm_up + half;
        let within = |seen: &&Seen| (from..=from + half).contains(&seen.at);
        let seen: Vec<Seen> = lock(&self.seen).iter().filter(within).copied().collect();
        let looks = half.as_secs_f64() / EVERY.as_secs_f64();
        if (seen.len() as f64) < LEAST_SEEN * looks {
            return Err(format!(
                "http://{}/metrics was read {} times in {} with {RESIDENT} and {DESCRIPTORS} in it, too few",
                self.operate,
                seen.len(),
                words::duration(half),
            ));
        }
        if seen.windows(2).any(|pair| pair[0].started != pair[1].started) {
            return Err("the gateway was started anew in the course of it".to_owned());
        }
        let points = |of: fn(&Seen) -> f64| -> Vec<(f64, f64)> {
            seen.iter().map(|seen| (seen.at.duration_since(from).as_secs_f64(), of(seen))).collect()
        };
        let growth = |of| drift::growth_per_second(&points(of), day).ok_or("too little of a day was seen");
        Ok(Growth {
            mib_per_hour: growth(|seen| seen.resident)? * 3_600.0 / f64::from(1 << 20),
            descriptors: growth(|seen| seen.descriptors)? * half.as_secs_f64(),
        })
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
    use crate::config::Profile;
    use crate::slo::testing;

    const MIB: f64 = 1_048_576.0;

    fn config(run_minutes: u32, warm_up_minutes: u32) -> RunConfig {
        testing::result(run_minutes * 60, warm_up_minutes * 60).config
    }

    /// What is seen every 5 s of a gateway whose memory and descriptors are these at so many seconds.
    fn seen(start: Instant, config: &RunConfig, of: impl Fn(f64) -> (f64, f64)) -> ServerMetrics {
        let metrics = ServerMetrics::new("http://127.0.0.1:9090/");
        // It is looked at before the schedule begins and while the last answers come, too.
        for at in (0..config.run_time.as_secs() + 60).step_by(5) {
            let (resident, descriptors) = of(at as f64);
            let at = start + Duration::from_secs(at);
            lock(&metrics.seen).push(Seen { at, resident, descriptors, started: Some(1.79e9) });
        }
        metrics
    }

    fn grown(config: &RunConfig, of: impl Fn(f64) -> (f64, f64)) -> Result<Growth, String> {
        let start = Instant::now();
        seen(start, config, of).growth(start, config.run_time, config)
    }

    #[test]
    fn a_leak_of_a_mebibyte_a_minute_is_seen_as_60_an_hour() {
        let noise = |at: f64| if at % 10.0 < 5.0 { 4_096.0 } else { -4_096.0 };
        let growth = grown(&config(65, 5), |at| (5e7 + at / 60.0 * MIB + noise(at), 40.0 + at / 60.0)).expect("seen");
        assert!((growth.mib_per_hour - 60.0).abs() < 0.5, "{growth:?}");
        assert!((growth.descriptors - 30.0).abs() < 0.1, "{growth:?}");
    }

    #[test]
    fn caches_that_fill_in_the_first_half_are_no_leak() {
        let fills = |at: f64| (5e7 + at.min(1_500.0) * 2e5, 40.0 + at.min(600.0));
        let growth = grown(&config(60, 5), fills).expect("seen");
        assert!(growth.mib_per_hour.abs() < 1e-3 && growth.descriptors.abs() < 1e-3, "{growth:?}");
    }

    #[test]
    fn days_and_nights_are_no_leak() {
        let mut config = config(480, 5);
        let day = Duration::from_secs(7_200);
        config.profile = Profile::Diurnal { peak_to_trough: 3.0, day, begins: Duration::ZERO };
        let hour = |at: f64| (at / 7_200.0 * std::f64::consts::TAU).cos();
        let growth = grown(&config, |at| (2e8 + 60.0 * MIB * hour(at), 500.0 + 100.0 * hour(at))).expect("seen");
        assert!(growth.mib_per_hour.abs() < 0.2 && growth.descriptors.abs() < 1.0, "{growth:?}");
        let leaks = |at: f64| (2e8 + 60.0 * MIB * hour(at) + at / 3_600.0 * 20.0 * MIB, 500.0);
        let growth = grown(&config, leaks).expect("seen");
        assert!((growth.mib_per_hour - 20.0).abs() < 0.5, "{growth:?}");
    }

    #[test]
    fn what_can_not_be_said_is_not_said_but_why() {
        let flat = |_: f64| (5e7, 40.0);
        assert_eq!(
            grown(&config(30, 5), flat),
            Err("it takes 30 min after the warm-up, here are 25 min: before that, caches that fill look like a leak"
                .to_owned())
        );
        let mut days = config(65, 5);
        days.profile =
            Profile::Diurnal { peak_to_trough: 3.0, day: Duration::from_secs(1_800), begins: Duration::ZERO };
        assert!(grown(&days, flat).expect_err("two days").contains("less than 3 of them"));

        let (start, config) = (Instant::now(), config(65, 5));
        let metrics = seen(start, &config, flat);
        for seen in lock(&metrics.seen).iter_mut().skip(700) {
            seen.started = Some(1.8e9);
        }
        let growth = metrics.growth(start, config.run_time, &config);
        assert_eq!(growth, Err("the gateway was started anew in the course of it".to_owned()));
        lock(&metrics.seen).truncate(500);
        let growth = metrics.growth(start, config.run_time, &config).expect_err("too few");
        assert!(growth.contains("http://127.0.0.1:9090/metrics was read 80 times in 30 min"), "{growth}");
        // A run that is ended is judged for as long as it went on.
        assert!(metrics.growth(start, Duration::from_secs(2_400), &config).is_ok());
    }

    #[tokio::test]
    async fn it_reads_what_a_gateway_exposes() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let metrics = ServerMetrics::new(&listener.local_addr().expect("bound").to_string());
        let serve = async {
            let (mut socket, _) = listener.accept().await.expect("someone asks");
            let mut asked = [0; 128];
            let length = socket.read(&mut asked).await.expect("reads");
            assert!(asked[..length].starts_with(b"GET /metrics HTTP/1.0\r\n"));
            let answer = "HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n\
                          # TYPE process_resident_memory_bytes gauge\n\
                          process_resident_memory_bytes 52428800\n\
                          process_open_fds_of_others 9\n\
                          process_open_fds 41\n\
                          process_start_time_seconds 1790000000\n# EOF\n";
            socket.write_all(answer.as_bytes()).await.expect("writes");
        };
        let (seen, ()) = tokio::join!(metrics.look(), serve);
        let seen = seen.expect("both are there");
        assert_eq!((seen.resident, seen.descriptors, seen.started), (52_428_800.0, 41.0, Some(1.79e9)));
    }
}
