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
mod tests;
