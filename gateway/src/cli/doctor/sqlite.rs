//! The registry's file: looked at without writing to it.

use super::check::{Check, Verdict};
use crate::config::{DestinationKind, Settings};
use crate::registry::sqlite_inspection;

pub(super) fn check(settings: &Settings) -> Check {
    let (path, settings) = (settings.data_dir.join("registry.sqlite"), settings.clone());
    Check::blocking("registry file", move || match sqlite_inspection(&path) {
        Ok(None) => Verdict::ok(format!("{} is made at the first start", path.display())),
        Ok(Some(found)) => {
            if let Some(damage) = found.damage {
                let mend =
                    "stop the gateway, move the file and its -wal and -shm files away, and put a backup in its place";
                return Verdict::fail(format!("{} is damaged: {damage}", path.display()), mend);
            }
            let (version, latest) = (found.version, found.latest);
            let state = match latest - version {
                0 => format!("version {version}, whole"),
                behind => format!("version {version}, whole; {behind} migrations are made at the next start"),
            };
            routes(&settings, &found.routes, &format!("{state}, {} applications", found.applications))
        }
        Err(error) => Verdict::fail(error.to_string(), "the message says what to do; a backup is what helps most"),
    })
}

/// Whether each application's route leads somewhere here.
pub(super) fn routes(settings: &Settings, routes: &[(String, String)], says: &str) -> Verdict {
    let (kinesis, firehose) = (!settings.kinesis.stream.is_empty(), !settings.firehose.delivery_stream.is_empty());
    let leads = |route: &str| match route {
        "kinesis" => kinesis,
        "firehose" => firehose,
        "lake" => settings.delivery.destination == DestinationKind::Lake,
        _ => kinesis && firehose,
    };
    let astray: Vec<String> = routes
        .iter()
        .filter(|(_, route)| !leads(route))
        .map(|(application, route)| format!("{application} ({route})"))
        .collect();
    if astray.is_empty() {
        return Verdict::ok(says.to_owned());
    }
    Verdict::warn(
        format!("{says}; no settings here for the routes of {}: their events go to the default", astray.join(", ")),
        "set kinesis.stream and firehose.delivery_stream, or `headgate apps update APP --route default`",
    )
}
