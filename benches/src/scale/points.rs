//! A point of a curve: the servers and the load of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use headgate::admission::key::ApiKey;
use headgate::clock::Clock;
use headgate::config::Settings;
use headgate::registry::{self, NewApplication, NewAuthorization, Scopes};
use http::HeaderValue;

use super::{DESTINATION, Dimension};
use crate::Result;
use crate::events::Size;
use crate::load::{Call, Case, USUAL_CONNECTIONS};
use crate::server::{Ground, House, Kind, Peer, Programs};
use crate::subject::{Subject, Work};

/// Connections of the points that many applications share.
const SHARED_CONNECTIONS: usize = 64;

/// One point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) dimension: Dimension,
    pub(super) value: u32,
}

/// The servers of a point.
pub(super) struct Servers {
    pub(super) gateway: Subject<House>,
    pub(super) bare: Subject<Peer>,
}

impl Point {
    /// The load.
    pub(super) fn work(self, time: Duration) -> Work {
        let usual =
            Work { case: Case::new(Call::Stream, 100), size: Size::Usual, connections: USUAL_CONNECTIONS, time };
        match self.dimension {
            Dimension::Connections => Work { connections: self.value as usize, ..usual },
            Dimension::Batch => Work { case: Case::new(Call::Stream, self.value), ..usual },
            Dimension::Bytes => Work { size: Size::Of(self.value), ..usual },
            Dimension::Applications => Work { connections: SHARED_CONNECTIONS.max(self.value as usize), ..usual },
            Dimension::Cores => usual,
        }
    }

    fn cores(self) -> Option<u32> {
        (self.dimension == Dimension::Cores).then_some(self.value)
    }

    fn applications(self) -> u32 {
        if self.dimension == Dimension::Applications { self.value } else { 1 }
    }
}

impl Servers {
    pub(super) async fn start(point: Point, programs: &Programs) -> Result<Self> {
        // A batch on each of 5,000 connections is more than the usual budget.
        let settings = ["admission.bytes_in_flight=2GiB", "grpc.max_connections_per_peer=10000"].map(str::to_owned);
        let pinned = point.cores();
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let keys = if point.applications() > 1 { register(&data, point.applications()).await? } else { Vec::new() };
        let ground = Ground { folder, pinned };
        let gateway = House::start_on("gateway", DESTINATION, programs, &settings, ground).await?;
        let gateway = if keys.is_empty() { gateway } else { gateway.with_keys(&keys) };
        let bare = Peer::start_pinned(Kind::Bare, pinned)?;
        let (pid, target) = (bare.pid(), bare.target().clone());
        Ok(Self { gateway, bare: Subject::new("bare", bare, pid, target)? })
    }
}

/// Registers applications with a key each, in a registry that the gateway finds at its start.
async fn register(data_dir: &Path, applications: u32) -> Result<Vec<HeaderValue>> {
    let settings = Settings { data_dir: data_dir.to_owned(), ..Settings::default() };
    let opened = registry::open(&settings, &Clock::system()).await?;
    let mut keys = Vec::new();
    for number in 0..applications {
        let new = NewApplication { name: format!("game-{number}"), ..NewApplication::default() };
        let application = opened.registry.create_application(new).await?;
        let key = ApiKey::generate()?;
        let new = NewAuthorization {
            application_id: application.application_id,
            name: "bench".to_owned(),
            description: None,
            hash: key.hash(),
            masked_key: key.masked(),
            expires_at_ms: None,
            scopes: Scopes::INGEST,
        };
        opened.registry.create_authorization(new).await?;
        // Where the gateway leaves the key of the application that it makes itself.
        fs::write(data_dir.join("demo-api-key"), key.expose())?;
        keys.push(HeaderValue::from_str(key.expose())?);
    }
    Ok(keys)
}
