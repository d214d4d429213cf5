//! Who deletes: a gateway that runs, or this command.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::admin::erasures::{Erasure, Erasures, Parts, Places, State, streamed};
use crate::admin::{Actor, Admin};
use crate::cli::backend::{GatewayArgs, Local, Remote};
use crate::cli::find::{self, refused};
use crate::cli::lake::lake_parts;
use crate::cli::lock::Lock;
use crate::cli::progress::ProgressLine;
use crate::cli::{CliError, Context};
use crate::clock::Clock;
use crate::registry;

const ASK_AGAIN: Duration = Duration::from_millis(250);

pub(super) enum Deleter {
    Gateway(Remote),
    Here(Here),
}

/// Nobody has the data folder but this command.
pub(super) struct Here {
    admin: Arc<Admin>,
    erasures: Arc<Erasures>,
    /// Held, so that no gateway starts meanwhile.
    _lock: Lock,
}

impl Deleter {
    pub(super) async fn find(args: &GatewayArgs, context: &Context, clock: &Clock) -> Result<Self, CliError> {
        let data_dir = &context.settings.data_dir;
        if let Some(url) = &args.gateway {
            return Ok(Self::Gateway(Remote::new(url, args, data_dir)?));
        }
        match Lock::take(data_dir)? {
            Lock::Gateway(running) if context.settings.grpc.tls.is_none() => {
                let url = format!("http://{}", reachable(running.grpc));
                Ok(Self::Gateway(Remote::new(&url, args, data_dir)?))
            }
            Lock::Gateway(running) => Err(CliError::usage(format!(
                "a gateway has this data folder: give --gateway https://NAME:{} and --ca-file",
                running.grpc.port()
            ))),
            lock @ Lock::Ours(_) => Ok(Self::Here(Here::open(lock, context, clock).await?)),
        }
    }

    /// The application of this name or id.
    pub(super) async fn application(&self, named: &str) -> Result<Uuid, CliError> {
        // Of a deleted game the id is all that is left, and what it has stored.
        if let Ok(id) = Uuid::parse_str(named) {
            return Ok(id);
        }
        let found = match self {
            Self::Gateway(gateway) => find::application(gateway, named).await?,
            Self::Here(here) => find::application(&Local::new(Arc::clone(&here.admin)), named).await?,
        };
        Ok(found.application_id)
    }

    /// Has a player's data deleted. With `wait` it is over when this returns; without a gateway it always is.
    pub(super) async fn delete(
        &self,
        application: Uuid,
        player_id: &str,
        wait: bool,
        clock: &Clock,
    ) -> Result<Erasure, CliError> {
        match self {
            Self::Gateway(gateway) => {
                let erasure = gateway.delete_player(application, player_id).await.map_err(refused)?;
                if wait { wait_for(gateway, erasure, clock).await } else { Ok(erasure) }
            }
            Self::Here(here) => here.delete(application, player_id, clock).await,
        }
    }

    pub(super) async fn deletions(&self, application: Option<Uuid>) -> Result<Vec<Erasure>, CliError> {
        match self {
            Self::Gateway(gateway) => gateway.deletions(application).await.map_err(refused),
            Self::Here(here) => Ok(here.erasures.list(application)),
        }
    }
}

impl Here {
    async fn open(lock: Lock, context: &Context, clock: &Clock) -> Result<Self, CliError> {
        let settings = &context.settings;
        let opened = registry::open(settings, clock).await.map_err(refused)?;
        let places = Places {
            data_dir: settings.data_dir.clone(),
            lake_settings: settings.lake.clone(),
            lake_parts: lake_parts(&*opened.registry, clock).await?,
            lake: None,
            rejects: None,
            streamed: streamed(settings),
        };
        let admin = Admin::new(opened.registry, opened.books, clock.clone());
        // No gateway of this folder takes events, so there is nothing to wait for.
        let (grace, linger, running) = (Duration::ZERO, Duration::ZERO, None);
        let parts = Parts { admin: Arc::clone(&admin), places, grace, linger, running, clock: clock.clone() };
        let erasures = Erasures::open(parts).map_err(|error| CliError::failed(format!("deletions: {error}")))?;
        Ok(Self { admin, erasures, _lock: lock })
    }

    async fn delete(&self, application: Uuid, player_id: &str, clock: &Clock) -> Result<Erasure, CliError> {
        let asked = self.erasures.ask(&Actor::local(), application, player_id).await.map_err(refused)?;
        let mut line = ProgressLine::new(clock.clone());
        let stop = CancellationToken::new();
        // Those that a gateway was stopped in come first.
        let mut work = std::pin::pin!(self.erasures.run_out(&stop));
        while tokio::time::timeout(ASK_AGAIN, &mut work).await.is_err() {
            let erasure = self.erasures.get(asked.id).map_err(refused)?;
            line.show(|| progress(&erasure));
        }
        drop(line);
        self.erasures.get(asked.id).map_err(refused)
    }
}

async fn wait_for(gateway: &Remote, mut erasure: Erasure, clock: &Clock) -> Result<Erasure, CliError> {
    let mut line = ProgressLine::new(clock.clone());
    while !erasure.state.is_over() {
        line.show(|| progress(&erasure));
        tokio::time::sleep(ASK_AGAIN).await;
        erasure = gateway.deletion(erasure.id).await.map_err(|error| {
            let error = refused(error);
            CliError::failed(format!(
                "{error}\nthe deletion {} goes on in the gateway, also after a restart: see `headgate players deletions`",
                erasure.id
            ))
        })?;
    }
    Ok(erasure)
}

fn progress(erasure: &Erasure) -> String {
    match erasure.state {
        State::Queued => "others are deleted first".to_owned(),
        State::Waiting => "waiting until every gateway heeds the suppression".to_owned(),
        _ => format!("deleting: {} of {} segments looked at", erasure.segments_done, erasure.segments),
    }
}

/// A gateway that listens on every address is asked at this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    SocketAddr::new(ip, address.port())
}
