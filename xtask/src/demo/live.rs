//! The live view: a block that is drawn again twice a second on a terminal, a line each second elsewhere.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use headgate_loadtest::health::ProcessUsage;
use tokio::time::Instant;

use super::gateway::Gateway;
use headgate_loadtest::terminal::{Line, Look, Screen, bar, sparkline};
use headgate_loadtest::{Snapshot, words};

const BAR: usize = 40;
const SPARKS: usize = 40;

pub(super) struct View<'a> {
    screen: &'a Screen,
    duration: Duration,
    rate: f64,
    drawn: usize,
    sparks: VecDeque<f64>,
    before: Option<(Instant, ProcessUsage)>,
    cpu_percent: f64,
}

impl<'a> View<'a> {
    pub(super) fn new(screen: &'a Screen, duration: Duration, rate: f64) -> Self {
        Self { screen, duration, rate, drawn: 0, sparks: VecDeque::new(), before: None, cpu_percent: 0.0 }
    }

    /// How often to draw.
    pub(super) fn period(&self) -> Duration {
        Duration::from_millis(if self.screen.live { 500 } else { 1_000 })
    }

    /// Draws the figures.
    pub(super) fn draw(&mut self, snapshot: &Snapshot, gateway: &mut Gateway) {
        let usage = self.look_at(gateway);
        if snapshot.elapsed.is_zero() {
            return;
        }
        if self.screen.live {
            if snapshot.elapsed <= self.duration {
                self.sparks.push_back(snapshot.recent.events_per_second);
                while self.sparks.len() > SPARKS {
                    self.sparks.pop_front();
                }
            }
            let lines = self.block(snapshot, usage, gateway);
            self.screen.redraw(&mut self.drawn, &lines);
        } else {
            self.screen.line(&Line::plain(self.single_line(snapshot, usage, gateway)));
        }
    }

    /// Leaves the figures of the end.
    pub(super) fn finish(&mut self, snapshot: &Snapshot, gateway: &mut Gateway) {
        self.draw(snapshot, gateway);
    }

    fn look_at(&mut self, gateway: &mut Gateway) -> ProcessUsage {
        let (now, usage) = (Instant::now(), gateway.usage());
        if let Some((then, before)) = self.before {
            let span = (now - then).as_secs_f64();
            if span > 0.0 {
                self.cpu_percent = 100.0 * usage.cpu.saturating_sub(before.cpu).as_secs_f64() / span;
            }
        }
        self.before = Some((now, usage));
        usage
    }

    fn block(&self, snapshot: &Snapshot, usage: ProcessUsage, gateway: &Gateway) -> Vec<Line> {
        let label = |text: &str| Line::dim(format!("  {text:<10}"));
        let ledger = &snapshot.ledger;
        let ack = snapshot.recent.ack;
        let elapsed = snapshot.elapsed.min(self.duration);
        let done = elapsed.as_secs_f64() / self.duration.as_secs_f64().max(f64::MIN_POSITIVE);
        let (full, empty) = bar(done, BAR);
        let trouble = if ledger.failed + ledger.overflow > 0 { Look::Bad } else { Look::Plain };
        vec![
            label("time").then(Look::Good, full).then(Look::Dim, empty).then_plain(format!(
                "  {:.1} s of {}",
                elapsed.as_secs_f64(),
                words::duration(self.duration)
            )),
            label("events/s")
                .then(Look::Strong, format!("{:>9}  ", words::count(snapshot.recent.events_per_second.round() as u64)))
                .then(Look::Good, self.sparkline()),
            label("latency").then_plain(format!(
                "p50 {}   p99 {}   p99.9 {}   (game server to stored)",
                words::latency(ack.p50),
                words::latency(ack.p99),
                words::latency(ack.p999)
            )),
            label("events")
                .then(Look::Good, format!("{} accepted", words::count(ledger.accepted)))
                .then_plain(format!("   {} rejected", words::count(ledger.rejected_total())))
                .then_plain(format!(
                    "   {} sent again   {} unknown   ",
                    words::count(ledger.resent),
                    words::count(ledger.unknown)
                ))
                .then(trouble, format!("{} failed", words::count(ledger.failed + ledger.overflow)))
                .then_plain(format!("   {} in flight", words::count(ledger.in_flight))),
            label("gateway").then_plain(format!(
                "{:.0} % of a core   {} resident   {} connections   lake {}",
                self.cpu_percent,
                words::bytes(usage.resident),
                snapshot.connections,
                words::bytes(size_of_folder(&gateway.lake()))
            )),
        ]
    }

    fn single_line(&self, snapshot: &Snapshot, usage: ProcessUsage, gateway: &Gateway) -> String {
        let ledger = &snapshot.ledger;
        format!(
            "{:>6.1} s  {} events/s  p50 {}  p99 {}  {} accepted  {} rejected  {} sent again  {} unknown  {} failed  \
             {} in flight  gateway {:.0} % {}  lake {}",
            snapshot.elapsed.as_secs_f64(),
            words::count(snapshot.recent.events_per_second.round() as u64),
            words::latency(snapshot.recent.ack.p50),
            words::latency(snapshot.recent.ack.p99),
            words::count(ledger.accepted),
            words::count(ledger.rejected_total()),
            words::count(ledger.resent),
            words::count(ledger.unknown),
            words::count(ledger.failed + ledger.overflow),
            words::count(ledger.in_flight),
            self.cpu_percent,
            words::bytes(usage.resident),
            words::bytes(size_of_folder(&gateway.lake()))
        )
    }

    /// The latest rates, from nothing to a quarter above the planned one.
    fn sparkline(&self) -> String {
        sparkline(self.sparks.iter().map(|rate| rate / (self.rate * 1.25)))
    }
}

/// The bytes of all files below a folder; what vanishes while one looks counts nothing.
fn size_of_folder(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of_folder(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
