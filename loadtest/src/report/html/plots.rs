//! Which figures are plotted, and how.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::axis::{key, time_axis};
use super::plot::{Axis, Chart, Data, Scale, Series, Style, Unit, figure, heat};
use super::spectrum::spectrum;
use super::table::errors;
use super::timeline::{Point, Timeline};
use crate::record::Latencies;
use crate::result::{Interval, RunResult};

/// Colours of things without an order; the same place is the same thing in all plots of a page.
pub(super) const COLOURS: [&str; 6] = ["c1", "c2", "c3", "c4", "c5", "c6"];

/// All plots of a run.
pub(super) fn plots(run: &RunResult, timeline: &Timeline, data: &mut Data) -> Markup {
    let axis = time_axis(run, timeline);
    let plot = Plotter { run, timeline, axis: &axis };
    html! {
        section #plots {
            h2 { "Over time" }
            (key(run, timeline, &axis))
            div .plots {
                (plot.latency(data))
                (figure("heatmap", "Latency heatmap", "How many events waited how long for their answer.", true,
                    &[heat(timeline, &axis, "latency", data)]))
                (plot.events(data))
                (plot.errors(data))
                (plot.in_flight(data))
                (plot.players(data))
                (plot.health(data))
                (spectrum(run, data))
            }
        }
    }
}

/// A rate: its name, its colour, and what is counted.
type Rate = (&'static str, &'static str, fn(&Interval) -> f64);

struct Plotter<'a> {
    run: &'a RunResult,
    timeline: &'a Timeline,
    axis: &'a Axis,
}

impl Plotter<'_> {
    fn latency(&self, data: &mut Data) -> Markup {
        let of = |name: &str, class, figure: fn(&Latencies) -> f64| Series {
            name: name.into(),
            class,
            values: self.timeline.answered(|point| figure(&point.of.ack)),
            seldom: false,
        };
        let series = vec![
            of("p50", "p50", |ack| us(ack, 0.5)),
            of("p90", "p90", |ack| us(ack, 0.9)),
            of("p99", "p99", |ack| us(ack, 0.99)),
            of("p99.9", "p999", |ack| us(ack, 0.999)),
            of("max", "max", |ack| ack.max().as_micros() as f64),
        ];
        let scale = Scale::log(Unit::Time, series.iter().flat_map(|series| series.values.iter().flatten().copied()));
        let chart = chart(self.axis, "latency", "Latency percentiles over time", 280, scale, series);
        let says = "From the instant at which a batch was to leave to its answer, once for each event, on a log axis. \
                    Waiting counts in the second in which the batch was to leave.";
        figure("latencies", "Latency", says, true, &[chart.draw(data)])
    }

    fn events(&self, data: &mut Data) -> Markup {
        let always: [Rate; 3] = [
            ("accepted", "c3", |one| one.accepted as f64),
            ("offered", "c1", |one| one.due as f64),
            ("planned", "plan", |one| one.planned),
        ];
        let seldom: [Rate; 5] = [
            ("sent again", "c4", |one| one.resent as f64),
            ("rejected", "c2", |one| one.rejected as f64),
            ("overflow", "c5", |one| one.overflow as f64),
            ("failed", "c6", |one| one.failed as f64),
            ("to retry", "c7", |one| one.retry as f64),
        ];
        let happened = seldom.into_iter().filter(|(_, _, of)| self.run.intervals.iter().any(|one| of(one) > 0.0));
        let series: Vec<Series> = always
            .into_iter()
            .map(|one| self.rate(one, false))
            .chain(happened.map(|one| self.rate(one, true)))
            .collect();
        let scale = Scale::linear(Unit::Count, highest(&series));
        let chart = chart(self.axis, "events", "Events a second", 220, scale, series);
        let says = "Planned by the profile, offered by the players, accepted by the gateway.";
        figure("rates", "Events/s", says, false, &[chart.draw(data)])
    }

    fn rate(&self, (name, class, of): Rate, seldom: bool) -> Series {
        Series { name: name.into(), class, values: self.timeline.each(|point| point.rate(of)), seldom }
    }

    fn errors(&self, data: &mut Data) -> Markup {
        let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
        for (code, batches) in self.run.intervals.iter().flat_map(|one| &one.codes).filter(|(code, _)| *code != "OK") {
            *totals.entry(code).or_default() += batches;
        }
        let mut codes: Vec<&str> = totals.keys().copied().collect();
        codes.sort_by_key(|code| std::cmp::Reverse(totals[code]));
        // More than there are colours: the rarest together.
        let own: Vec<&str> = codes.iter().copied().take(if codes.len() > COLOURS.len() { 5 } else { 6 }).collect();
        let others: BTreeSet<&str> = codes.into_iter().skip(own.len()).collect();
        let of = |names: &[&str], point: &Point| {
            point.rate(|one| names.iter().filter_map(|name| one.codes.get(*name)).sum::<u64>() as f64)
        };
        let mut series: Vec<Series> = own
            .iter()
            .zip(COLOURS)
            .map(|(code, class)| Series {
                name: (*code).into(),
                class,
                values: self.timeline.each(|point| of(&[code], point)),
                seldom: true,
            })
            .collect();
        if !others.is_empty() {
            let names: Vec<&str> = others.into_iter().collect();
            let values = self.timeline.each(|point| of(&names, point));
            series.push(Series { name: "others".into(), class: COLOURS[5], values, seldom: true });
        }
        let highest = self.timeline.each(|point| point.rate(|one| errors(&one.codes) as f64));
        let scale = Scale::linear(Unit::Count, highest.into_iter().flatten().fold(0.0, f64::max));
        let mut chart = chart(self.axis, "codes", "Errors a second by gRPC code", 220, scale, series);
        chart.style = Style::Stack;
        chart.empty = "No batch was answered with an error.";
        figure(
            "errors",
            "Errors/s by code",
            "Batches answered with an error, on top of one another.",
            false,
            &[chart.draw(data)],
        )
    }

    fn in_flight(&self, data: &mut Data) -> Markup {
        let series = vec![Series {
            name: "in flight".into(),
            class: "c1",
            values: self.timeline.each(|point| point.in_flight as f64),
            seldom: false,
        }];
        let scale = Scale::linear(Unit::Count, highest(&series));
        let chart = chart(self.axis, "flight", "Events in flight", 220, scale, series);
        figure(
            "in-flight",
            "In flight",
            "Events sent or waiting to be sent, without an end yet.",
            false,
            &[chart.draw(data)],
        )
    }

    fn players(&self, data: &mut Data) -> Markup {
        let one = |name: &str, class, of: fn(&Point) -> f64| Series {
            name: name.into(),
            class,
            values: self.timeline.each(of),
            seldom: false,
        };
        let series = vec![
            one("online", "c3", |point| point.of.online as f64),
            one("planned", "plan", |point| point.of.planned_online),
        ];
        let scale = Scale::linear(Unit::Count, highest(&series));
        let chart = chart(self.axis, "online", "Players online against the plan", 220, scale, series);
        figure("players", "Players online", "Concurrent players against the profile.", false, &[chart.draw(data)])
    }

    fn health(&self, data: &mut Data) -> Markup {
        let one = |name: &str, class, of: fn(&Point) -> f64| Series {
            name: name.into(),
            class,
            values: self.timeline.each(of),
            seldom: name == "throttled",
        };
        let lag = vec![one("lag p99", "c1", |point| point.of.health.lag_p99_us as f64)];
        let cores = vec![
            one("used", "c3", |point| point.rate(|one| one.health.cpu_s)),
            one("waited for", "c2", |point| point.rate(|one| one.health.run_queue_s)),
        ];
        let mut shares = vec![
            one("busiest worker", "c1", |point| point.of.health.busy),
            one("throttled", "c5", |point| point.of.health.throttled),
        ];
        if self.run.intervals.iter().any(|one| one.health.pressure.is_some()) {
            let values = self.timeline.points.iter().map(|point| point.as_ref()?.of.health.pressure).collect();
            shares.push(Series { name: "CPU pressure".into(), class: "c4", values, seldom: false });
        }
        let lag_scale = Scale::log(Unit::Time, lag.iter().flat_map(|series| series.values.iter().flatten().copied()));
        let core_scale = Scale::linear(Unit::Count, highest(&cores));
        let mut charts = Vec::new();
        for (id, title, scale, series) in [
            ("lag", "Lag p99: how late batches left", lag_scale, lag),
            ("cores", "Cores used and waited for", core_scale, cores),
            ("shares", "Shares of a second", Scale::linear(Unit::Share, 1.0), shares),
        ] {
            let mut chart = chart(self.axis, id, title, 76, scale, series);
            chart.heading = Some(title);
            charts.push(chart.draw(data));
        }
        let says = "Whether the load tester itself kept up.";
        figure("health", "Load tester", says, false, &charts)
    }
}

/// A chart of lines.
pub(super) fn chart<'a>(
    axis: &'a Axis,
    id: &'static str,
    title: &'a str,
    height: u32,
    scale: Scale,
    series: Vec<Series>,
) -> Chart<'a> {
    let empty = "Nothing was measured.";
    let style = Style::Lines;
    Chart { id, title, heading: None, height, axis, scale, style, series, spots: Vec::new(), empty }
}

/// A percentile in microseconds.
pub(super) fn us(latencies: &Latencies, share: f64) -> f64 {
    latencies.quantile(share).as_micros() as f64
}

/// The highest value of all series.
pub(super) fn highest(series: &[Series]) -> f64 {
    series.iter().flat_map(|series| series.values.iter().flatten().copied()).fold(0.0, f64::max)
}
