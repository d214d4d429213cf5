//! The gateway itself: where events go and what that costs, its shards, its settings.

use std::env::consts::{ARCH, OS};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use headgate_proto::build;
use maud::{Markup, html};

use super::Refresh;
use crate::config::{RegistryKind, Source};
use crate::delivery::Health;
use crate::operate::console::components::{self, badge, live, tile};
use crate::operate::console::failure::{Answer, Failure};
use crate::operate::console::figures::Figures;
use crate::operate::console::guard::Signed;
use crate::operate::console::layout::{Page, Place};
use crate::operate::console::{Console, words};
use crate::operate::lifecycle::Phase;

/// Destinations that are billed by what is sent.
const BILLED: [&str; 2] = ["kinesis", "firehose"];

/// A figure as a whole number; what is counted never has parts.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

fn tiles(console: &Console, figures: &Figures) -> Markup {
    let value = |name| whole(figures.value(name, &[]).unwrap_or(0.0));
    let phase = console.lifecycle.phase();
    let uptime = u64::try_from(console.now_ms().saturating_sub(console.started_at_ms)).unwrap_or(0) / 1_000;
    let held = words::bytes(value("headgate_in_flight_bytes"));
    let limit = format!("of {}", words::bytes(value("headgate_in_flight_limit_bytes")));
    let violations = value("headgate_accounting_violations_total");
    let panics = whole(figures.sum("headgate_panics_total", &[]));
    let class = if phase == Phase::Ready { "" } else { "bad" };
    html! {
        ul .tiles {
            (tile("Phase", &phase.to_string(), "", class))
            (tile("Running for", &words::span(std::time::Duration::from_secs(uptime)), "", ""))
            (tile("Version", build::VERSION, &build::DESCRIPTION[build::VERSION.len()..], ""))
            (tile("Connections", &words::count(value("headgate_connections")), "open now", ""))
            (tile("Streams", &words::count(value("headgate_streams")), "open now", ""))
            (tile("Bytes on their way", &held, &limit, ""))
            @if violations + panics > 0 {
                (tile("Bugs met", &words::count(violations + panics), "accounting violations and panics: report them", "bad"))
            }
        }
    }
}

fn destinations(console: &Console) -> Markup {
    let rows = html! {
        @for outlet in console.routes.outlets() {
            tr {
                th scope="row" { (outlet.destination.name()) }
                @match (outlet.destination.health(), outlet.destination.trouble()) {
                    (Health::Up, None) => { td { (badge("good", "up")) } td .words { "takes events" } },
                    (Health::Up, Some(reason)) => {
                        td { (badge("warn", "in trouble")) }
                        td .words { (reason) "; the next event tries again" }
                    },
                    (Health::Overloaded { reason, retry_after }, _) => {
                        td { (badge("warn", "overloaded")) }
                        td .words { (reason) "; clients are told to try again in " (format!("{retry_after:?}")) }
                    },
                    (Health::Down { reason, retry_after }, _) => {
                        td { (badge("bad", "down")) }
                        td .words { (reason) "; clients are told to try again in " (format!("{retry_after:?}")) }
                    },
                }
            }
        }
    };
    components::table("Destinations", &["Destination", "State", "What it says"], &rows)
}

/// What is paid for against what is sent.
fn efficiency(figures: &Figures) -> Markup {
    let counted = |name: &str, destination: &str| figures.value(name, &[("destination", destination)]);
    let sent = |destination: &&str| {
        counted("headgate_delivery_records_total", destination).is_some_and(|records| records > 0.0)
    };
    let sent: Vec<&str> = BILLED.into_iter().filter(sent).collect();
    if sent.is_empty() {
        return html! { p .empty { "Nothing was sent to a destination that is billed. The local lake costs disk only." } };
    }
    let part = |destination: &str, part: &str| {
        let labels = [("destination", destination), ("part", part)];
        let share = figures.value("headgate_delivery_efficiency_ratio", &labels).unwrap_or(0.0);
        format!("{:.1} %", share * 100.0)
    };
    let bytes = |name: &str, destination: &str| words::bytes(whole(counted(name, destination).unwrap_or(0.0)));
    let count = |name: &str, destination: &str| words::count(whole(counted(name, destination).unwrap_or(0.0)));
    let rows = html! {
        @for destination in sent {
            tr {
                th scope="row" { (destination) }
                td .n { (count("headgate_delivery_records_total", destination)) }
                td .n { (bytes("headgate_delivery_payload_bytes_total", destination)) }
                td .n { (bytes("headgate_delivery_wire_bytes_total", destination)) }
                td .n { (count("headgate_delivery_billed_units_total", destination)) }
                td .n {
                    (part(destination, "total"))
                    span .sub { "envelope " (part(destination, "envelope")) ", rounding " (part(destination, "rounding"))
                        ", duplication " (part(destination, "duplication")) }
                }
                td .n {
                    (words::dollars(counted("headgate_delivery_dollars_per_million_events", destination).unwrap_or(0.0)))
                }
            }
        }
    };
    let columns =
        ["Destination", "Records", "Payload", "On the wire", "Billed units", "Efficiency", "Per million events"];
    components::table("What delivery costs", &columns, &rows)
}

fn shards(figures: &Figures) -> Markup {
    let open = whole(figures.value("headgate_open_shards", &[]).unwrap_or(0.0));
    if open == 0 {
        return html! { p .empty { "No Kinesis stream is in use." } };
    }
    let mut rates: Vec<(&str, f64)> = figures
        .named("headgate_shard_rate_ratio")
        .filter(|figure| figure.label("shard") != "all")
        .map(|figure| (figure.label("shard"), figure.value))
        .collect();
    // Those that were throttled first.
    rates.sort_by(|one, other| one.1.total_cmp(&other.1).then_with(|| one.0.cmp(other.0)));
    let rows = html! {
        @for (shard, rate) in rates.iter().take(50) {
            tr {
                th scope="row" { code { (shard) } }
                td .n { (format!("{:.0} %", rate * 100.0)) }
                td { @if *rate < 0.999 { (badge("warn", "slowed down")) } @else { (badge("good", "full rate")) } }
            }
        }
    };
    html! {
        p { (words::count(open)) " open shards, described "
            (whole(figures.value("headgate_shard_map_age_seconds", &[]).unwrap_or(0.0))) " s ago." }
        (components::table("Shards, those that are slowed down first", &["Shard", "Of its limit", "State"], &rows))
    }
}

/// Where it is found, what it is made of and what it keeps.
fn facts(console: &Console) -> Markup {
    let settings = &console.settings;
    let registry = match settings.registry.kind {
        RegistryKind::Sqlite => format!("SQLite in {}", settings.data_dir.display()),
        RegistryKind::Dynamodb => "DynamoDB".to_owned(),
    };
    let listens = |address: SocketAddr, tls: bool| format!("{address}{}", if tls { ", TLS" } else { "" });
    let facts = [
        ("gRPC, for game servers", Some(listens(console.grpc, settings.grpc.tls.is_some()))),
        ("REST", console.rest.map(|address| listens(address, settings.rest.tls.is_some()))),
        ("Operators: this console, /metrics, /healthz, /readyz", Some(console.operate.to_string())),
        ("Headgate", Some(format!("{} for {ARCH} on {OS}", build::DESCRIPTION))),
        ("Speaks", Some("headgate.v1 over gRPC; the REST API of AWS's Game Analytics Pipeline".to_owned())),
        ("Applications and keys", Some(registry)),
    ];
    html! {
        dl .facts .card {
            @for (name, value) in &facts {
                @if let Some(value) = value { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

fn settings(sources: &[Source]) -> Markup {
    let table = |caption: &str, shown: &[&Source]| {
        let rows = html! {
            @for known in shown {
                tr {
                    th scope="row" { code { (known.setting) } }
                    td .wrap { code { (known.value) } }
                    td .wrap { @if known.is_default() { span .quiet { (known.source) } } @else { (known.source) } }
                }
            }
        };
        components::table(caption, &["Setting", "Value", "Where it comes from"], &rows)
    };
    let (defaults, set): (Vec<&Source>, Vec<&Source>) = sources.iter().partition(|known| known.is_default());
    html! {
        p .says { "What is set, and where. On the command line: " code { "headgate check-config" } ". Secrets are shown nowhere." }
        @if set.is_empty() {
            p .empty { "Nothing is set: every setting is at its default." }
        } @else {
            (table("What is set here", &set))
        }
        details {
            summary { (words::count(defaults.len() as u64)) " settings are at their defaults" }
            (table("Settings at their defaults", &defaults))
        }
    }
}

pub(in super::super) async fn page(State(console): State<Arc<Console>>, session: Signed) -> Answer {
    let figures = Figures::of(&console.metrics);
    let content = html! {
        (live("tiles", &tiles(&console, &figures)))
        section aria-labelledby="destinations-title" {
            h2 #destinations-title { "Destinations" }
            (live("destinations", &destinations(&console)))
        }
        section aria-labelledby="efficiency-title" {
            h2 #efficiency-title { "What delivery costs" }
            (live("efficiency", &efficiency(&figures)))
        }
        section aria-labelledby="shards-title" {
            h2 #shards-title { "Shards" }
            (live("shards", &shards(&figures)))
        }
        section aria-labelledby="listeners-title" {
            h2 #listeners-title { "Listeners and versions" }
            (facts(&console))
        }
        section #settings aria-labelledby="settings-title" {
            h2 #settings-title { "Settings" }
            (settings(&console.sources))
        }
    };
    let live = Some("/console/api/system".to_owned());
    Ok(Page { session: &session, place: Place::System, title: "System", heading: None, live, content }.response())
}

pub(in super::super) async fn refresh(State(console): State<Arc<Console>>) -> Result<Response, Failure> {
    let figures = Figures::of(&console.metrics);
    let parts = [
        ("tiles", tiles(&console, &figures)),
        ("destinations", destinations(&console)),
        ("efficiency", efficiency(&figures)),
        ("shards", shards(&figures)),
    ];
    Ok(Refresh::response(console.now_ms(), parts))
}
