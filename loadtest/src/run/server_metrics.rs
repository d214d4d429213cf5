//! The gateway's own memory, descriptors, tasks and books, read from its operator listener: what a soak looks for growth in,
//! and what the report plots.

use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::drift;
use crate::config::RunConfig;
use crate::record::lock;
use crate::result::{Gateway, Look, MOST_LOOKS, RunResult};
use crate::words;

// The measures of what it finds.
const RESIDENT_SLOPE: &str = "server_rss_slope_mib_per_h";
const DESCRIPTORS_GROWN: &str = "server_fds_grown";
const TASKS_GROWN: &str = "server_tasks_grown";
const UNSETTLED_AT_END: &str = "server_unsettled_at_end";

/// How often to look.
const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait, after the last answer, for verdicts that nobody is told any more.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
const LAST_PAUSE: Duration = Duration::from_millis(200);
/// In less time after the warm-up, growth says nothing: caches, pools and the table of event ids still fill.
const LEAST_JUDGED: Duration = Duration::from_secs(30 * 60);
/// The share of looks that has to succeed.
const LEAST_SEEN: f64 = 0.5;

const RESIDENT: &str = "process_resident_memory_bytes";
const DESCRIPTORS: &str = "process_open_fds";
const STARTED: &str = "process_start_time_seconds";
const TASKS: &str = "headgate_tasks";
const BUDGET: &str = "headgate_in_flight_bytes";
const RECEIVED: &str = "headgate_events_received_total";
const SETTLED: &str = "headgate_events_settled_total";

/// What was seen of the gateway. A listener that hangs is waited for here, and nowhere else.
pub(crate) struct ServerMetrics {
    operate: String,
    seen: Mutex<Vec<Seen>>,
    /// The look after the last answer.
    last: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    at: Instant,
    resident: f64,
    descriptors: f64,
    started: Option<f64>,
    tasks: Option<f64>,
    /// Events received less those that have a verdict.
    unsettled: Option<f64>,
    /// Bytes that the budget holds.
    in_flight_bytes: Option<f64>,
}

/// How the gateway grew over the second half of the judged time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Resident memory, in MiB an hour.
    pub(crate) mib_per_hour: f64,
    /// Descriptors at the end of that time more than at its beginning; a trend, and so not whole.
    pub(crate) descriptors: f64,
    /// Tasks, likewise; none of a gateway that does not count them.
    pub(crate) tasks: Option<f64>,
}

/// Enters what was seen into the result of a run whose schedule began at `start`: the looks, and what follows from them or
/// why nothing does.
pub(super) fn tell(server: Option<&ServerMetrics>, start: Option<Instant>, result: &mut RunResult) {
    let (growth, unsettled) = match (server, start) {
        (Some(server), Some(start)) => {
            result.gateways.extend(server.looks(start, result.config.shard.index));
            (server.growth(start, result.elapsed, &result.config), server.unsettled_at_end())
        }
        (server, _) => {
            let why = match server {
                Some(_) => "the schedule never began",
                None => "the gateway was not asked: give its operator listener, --operate HOST:PORT",
            };
            (Err(why.to_owned()), Err(why.to_owned()))
        }
    };
    let uncounted = || format!("the gateway's /metrics has no {TASKS}: it is of an earlier version");
    let of = |figure: fn(&Growth) -> f64| growth.as_ref().map(figure).map_err(String::clone);
    let tasks = growth.as_ref().map_err(String::clone).and_then(|growth| growth.tasks.ok_or_else(uncounted));
    for (name, figure) in [
        (RESIDENT_SLOPE, of(|growth| growth.mib_per_hour)),
        (DESCRIPTORS_GROWN, of(|growth| growth.descriptors)),
        (TASKS_GROWN, tasks),
        (UNSETTLED_AT_END, unsettled),
    ] {
        match figure {
            Ok(figure) => drop(result.measures.insert(name.to_owned(), figure)),
            Err(why) => drop(result.unmeasured.insert(name.to_owned(), why)),
        }
    }
}

impl ServerMetrics {
    /// Looks at `HOST:PORT`.
    pub(crate) fn new(operate: &str) -> Self {
        let operate = operate.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { operate, seen: Mutex::default(), last: Mutex::default() }
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

    /// Looks once more when the last answer is there, and again for a while as long as events have no verdict: those whose
    /// answers nobody waited for get theirs a little later.
    pub(crate) async fn look_last(&self) {
        let until = Instant::now() + LAST_PATIENCE;
        loop {
            let seen = timeout(PATIENCE, self.look()).await.ok().flatten();
            let open = seen.and_then(|seen| seen.unsettled).is_some_and(|events| events > 0.0);
            if open && Instant::now() < until {
                sleep(LAST_PAUSE).await;
                continue;
            }
            lock(&self.seen).extend(seen);
            *lock(&self.last) = seen;
            return;
        }
    }

    async fn look(&self) -> Option<Seen> {
        let text = self.scrape().await.ok()?;
        let in_flight_bytes = figure(&text, BUDGET);
        // The counters are read one after the other: an event that got its verdict in between is none without one. Before
        // the first event they are not there at all.
        let unsettled = || (sum(&text, RECEIVED) - sum(&text, SETTLED)).max(0.0);
        Some(Seen {
            at: Instant::now(),
            resident: figure(&text, RESIDENT)?,
            descriptors: figure(&text, DESCRIPTORS)?,
            started: figure(&text, STARTED),
            tasks: figure(&text, TASKS),
            unsettled: in_flight_bytes.map(|_| unsettled()),
            in_flight_bytes,
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

    /// The looks since the schedule began; none if none succeeded.
    fn looks(&self, start: Instant, shard: u32) -> Option<Gateway> {
        let seen = lock(&self.seen);
        let looks = seen.iter().filter(|seen| seen.at >= start).map(|seen| seen.look(start));
        let looks: Vec<Look> = looks.collect();
        let started_s = seen.iter().find(|seen| seen.at >= start)?.started;
        let mut gateway = Gateway { shard, operate: self.operate.clone(), started_s, looks };
        gateway.thin(MOST_LOOKS);
        Some(gateway)
    }

    /// Events without a verdict when the last answer was there; if that can't be said, why.
    fn unsettled_at_end(&self) -> Result<f64, String> {
        let operate = &self.operate;
        let last = lock(&self.last).ok_or_else(|| format!("http://{operate}/metrics could not be read at the end"))?;
        last.unsettled.ok_or_else(|| format!("http://{operate}/metrics has no {BUDGET}: it is no Headgate gateway's"))
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
        let points = |of: fn(&Seen) -> Option<f64>| -> Option<Vec<(f64, f64)>> {
            seen.iter().map(|seen| Some((seen.at.duration_since(from).as_secs_f64(), of(seen)?))).collect()
        };
        let growth =
            |points: &[(f64, f64)]| drift::growth_per_second(points, day).ok_or("too little of a day was seen");
        let of = |of: fn(&Seen) -> Option<f64>| growth(&points(of).unwrap_or_default());
        let tasks = points(|seen| seen.tasks).map(|points| growth(&points)).transpose()?;
        Ok(Growth {
            mib_per_hour: of(|seen| Some(seen.resident))? * 3_600.0 / f64::from(1 << 20),
            descriptors: of(|seen| Some(seen.descriptors))? * half.as_secs_f64(),
            tasks: tasks.map(|per_second| per_second * half.as_secs_f64()),
        })
    }
}

impl Seen {
    fn look(&self, start: Instant) -> Look {
        // Figures of the text format; what they count is whole and not below zero.
        let whole = |figure: f64| figure as u64;
        Look {
            at_s: self.at.saturating_duration_since(start).as_secs() as u32,
            resident_bytes: whole(self.resident),
            descriptors: whole(self.descriptors),
            tasks: self.tasks.map(whole),
            unsettled: self.unsettled.map(whole),
            in_flight_bytes: self.in_flight_bytes.map(whole),
        }
    }
}

/// The figure of a sample in the text format.
fn figure(text: &str, name: &str) -> Option<f64> {
    figures(text, name).next()
}

/// The sum over all labels.
fn sum(text: &str, name: &str) -> f64 {
    figures(text, name).sum()
}

fn figures(text: &str, name: &str) -> impl Iterator<Item = f64> {
    let is_of = move |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    text.lines().filter(is_of).filter_map(|line| line.rsplit(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Profile, ShardOf};
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
            // Three tasks for each descriptor.
            let tasks = Some(descriptors * 3.0);
            let (started, unsettled, in_flight_bytes) = (Some(1.79e9), Some(50.0), Some(9_000.0));
            let seen = Seen { at, resident, descriptors, started, tasks, unsettled, in_flight_bytes };
            lock(&metrics.seen).push(seen);
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
        assert!((growth.tasks.expect("counted") - 90.0).abs() < 0.3, "{growth:?}");
    }

    #[test]
    fn a_gateway_that_does_not_count_its_tasks_is_judged_by_the_rest() {
        let mut result = testing::result(65 * 60, 5 * 60);
        let start = Instant::now();
        let metrics = seen(start, &result.config, |_| (5e7, 40.0));
        lock(&metrics.seen)[600].tasks = None;
        tell(Some(&metrics), Some(start), &mut result);
        assert!(result.measures["server_fds_grown"].abs() < 1e-3);
        let why = &result.unmeasured["server_tasks_grown"];
        assert_eq!(why, "the gateway's /metrics has no headgate_tasks: it is of an earlier version");
    }

    #[test]
    fn what_was_seen_goes_into_the_result() {
        let mut result = testing::result(120, 5);
        result.config.shard = ShardOf { index: 2, of: 3 };
        let start = Instant::now();
        let metrics = seen(start, &result.config, |at| (5e7 + at, 40.0));
        // Looked at before the schedule began, too: which is no part of the run.
        lock(&metrics.seen)[0].at = start.checked_sub(Duration::from_secs(4)).expect("up for so long");
        let last = Seen { unsettled: Some(0.0), ..lock(&metrics.seen)[35] };
        *lock(&metrics.last) = Some(last);
        tell(Some(&metrics), Some(start), &mut result);
        let gateway = &result.gateways[0];
        assert_eq!((gateway.shard, gateway.operate.as_str()), (2, "127.0.0.1:9090"));
        assert_eq!((gateway.started_s, gateway.looks.len()), (Some(1.79e9), 35));
        let first = Look {
            at_s: 5,
            resident_bytes: 50_000_005,
            descriptors: 40,
            tasks: Some(120),
            unsettled: Some(50),
            in_flight_bytes: Some(9_000),
        };
        assert_eq!(gateway.looks[0], first);
        assert_eq!(result.measures["server_unsettled_at_end"], 0.0);
        assert!(result.unmeasured["server_tasks_grown"].contains("30 min"), "{:?}", result.unmeasured);

        *lock(&metrics.last) = None;
        tell(Some(&metrics), Some(start), &mut result);
        let why = &result.unmeasured["server_unsettled_at_end"];
        assert_eq!(why, "http://127.0.0.1:9090/metrics could not be read at the end");
        let mut not_asked = testing::result(120, 5);
        tell(None, Some(start), &mut not_asked);
        assert!(not_asked.gateways.is_empty() && not_asked.unmeasured.len() == 4, "{:?}", not_asked.unmeasured);
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

    /// Answers each look with the next of these, and the rest of the looks with the last.
    async fn serve(listener: tokio::net::TcpListener, texts: &[String]) {
        for place in 0.. {
            let (mut socket, _) = listener.accept().await.expect("someone asks");
            let mut asked = [0; 128];
            let length = socket.read(&mut asked).await.expect("reads");
            assert!(asked[..length].starts_with(b"GET /metrics HTTP/1.0\r\n"));
            let text = &texts[place.min(texts.len() - 1)];
            let answer = format!("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n{text}# EOF\n");
            socket.write_all(answer.as_bytes()).await.expect("writes");
        }
    }

    const PROCESS: &str = "# TYPE process_resident_memory_bytes gauge\n\
                           process_resident_memory_bytes 52428800\n\
                           process_open_fds_of_others 9\n\
                           process_open_fds 41\n\
                           process_start_time_seconds 1790000000\n";

    /// What a gateway exposes of which two applications have sent events, and some of them wait.
    fn exposed(received: u64) -> String {
        format!(
            "headgate_events_received_total{{application=\"a b\"}} {received}\n\
             headgate_events_received_total{{application=\"c\"}} 10\n\
             headgate_events_settled_total{{application=\"a b\",verdict=\"accepted\"}} 80\n\
             headgate_events_settled_total{{application=\"a b\",verdict=\"rejected\"}} 5\n\
             headgate_events_settled_total{{application=\"c\",verdict=\"suppressed\"}} 10\n\
             headgate_in_flight_bytes 4096\nheadgate_in_flight_limit_bytes 8192\nheadgate_tasks 77\n{PROCESS}"
        )
    }

    #[tokio::test]
    async fn it_reads_what_a_gateway_exposes() {
        for (text, tasks, unsettled, in_flight_bytes) in [
            (exposed(120), Some(77.0), Some(35.0), Some(4_096.0)),
            // A verdict given between the two readings.
            (exposed(84), Some(77.0), Some(0.0), Some(4_096.0)),
            // Before the first event; and no gateway at all.
            (format!("headgate_in_flight_bytes 0\n{PROCESS}"), None, Some(0.0), Some(0.0)),
            (PROCESS.to_owned(), None, None, None),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let metrics = ServerMetrics::new(&listener.local_addr().expect("bound").to_string());
            let texts = [text];
            let seen = tokio::select! {
                seen = metrics.look() => seen.expect("both are there"),
                () = serve(listener, &texts) => unreachable!("it serves for ever"),
            };
            let at = seen.at;
            let (resident, descriptors, started) = (52_428_800.0, 41.0, Some(1.79e9));
            assert_eq!(seen, Seen { at, resident, descriptors, started, tasks, unsettled, in_flight_bytes });
        }
    }

    /// Events whose answers nobody waits for get their verdicts after the last answer.
    #[tokio::test]
    async fn the_last_look_waits_for_the_last_verdict() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let metrics = ServerMetrics::new(&listener.local_addr().expect("bound").to_string());
        let texts = [120, 90, 85].map(exposed);
        tokio::select! {
            () = metrics.look_last() => {}
            () = serve(listener, &texts) => unreachable!("it serves for ever"),
        }
        assert_eq!(metrics.unsettled_at_end(), Ok(0.0));
        assert_eq!(lock(&metrics.seen).len(), 1, "the one that counts");
    }
}
