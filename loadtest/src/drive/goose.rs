//! Goose: each of its users is a game server, driven in slices of a second.
//!
//! Everything that speaks to Goose is in this file. Goose keeps host, ramp, run time, test plan, logs, dashboard and its
//! own report; it is told of each batch, while events are recorded by the [`crate::record::Recorder`]. A driver that
//! panics would vanish without a trace in Goose, so panics are caught here and reported.

use std::sync::Arc;
use std::time::Duration;

use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction};
use goose::metrics::GooseMetrics;
use goose::{GooseAttack, GooseError};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::bad::BadClient;
use super::closed_loop::ClosedLoopClient;
use super::outcome::Outcome;
use super::server::{GameServer, Running};
use crate::config::Transport;
use crate::load::{Fleet, Live};
use crate::record::bucket_floor;
use crate::result::ClosedLoop;

/// Goose looks for a stop between transactions, so none takes longer than this.
const SLICE: Duration = Duration::from_secs(1);
/// The name of the closed loop's requests in Goose's reports.
const CLOSED_LOOP: &str = "closed-loop/batch";

/// What a Goose user drives; nothing once that panicked or was never there.
struct Station<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Station<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Station<T> {
    fn new(inner: Option<T>) -> Self {
        Self(Arc::new(Mutex::new(inner)))
    }
}

type Manned = Station<(GameServer, Live)>;
type Closed = Station<ClosedLoopClient>;
type Bad = Station<BadClient>;

/// The clients beside the game servers.
#[derive(Default)]
pub(crate) struct Others {
    pub(crate) closed_loop: Vec<ClosedLoopClient>,
    pub(crate) bad: Vec<BadClient>,
}

/// Why Goose did not do it.
#[derive(Debug, Error)]
pub(crate) enum AttackError {
    /// An option of Goose's can't be used.
    #[error("{0}")]
    Option(String),
    /// Something else.
    #[error(transparent)]
    Other(GooseError),
}

impl From<GooseError> for AttackError {
    fn from(error: GooseError) -> Self {
        match error {
            // In its own words it says only that there is one.
            GooseError::InvalidOption { option, value, detail } => {
                let words = [option.trim(), value.trim(), "can't be used:", detail.trim()];
                Self::Option(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
            }
            error => Self::Other(error),
        }
    }
}

/// Runs the fleet's servers, and these clients beside them, as Goose users.
pub(crate) async fn attack(
    fleet: &Arc<Fleet>,
    configuration: GooseConfiguration,
    others: Others,
) -> Result<Option<ClosedLoop>, AttackError> {
    let servers = fleet.roll_call().servers;
    let Others { closed_loop, bad } = others;
    let clients = closed_loop.len();
    // One HTTP client for all: each user's own would cost more than a hundred kilobytes, and none is ever used.
    let mut attack = GooseAttack::initialize_with_config(configuration)?
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())?
        .register_scenario(game_servers(fleet.clone(), servers)?);
    if clients > 0 {
        attack = attack.register_scenario(closed_loops(closed_loop)?);
    }
    if !bad.is_empty() {
        attack = attack.register_scenario(bad_clients(bad)?);
    }
    let metrics = match attack.execute().await {
        Ok(metrics) => metrics,
        // The rules that Goose was given are judged by us too, with everything else.
        Err(GooseError::ThresholdsFailed { metrics, .. }) => *metrics.0,
        Err(error) => return Err(error.into()),
    };
    Ok((clients > 0).then(|| closed_loop_figures(&metrics, clients)))
}

/// Ends the attack before its time.
pub(crate) fn cancel(reason: &str) {
    goose::trigger_killswitch(reason);
}

fn game_servers(fleet: Arc<Fleet>, servers: usize) -> Result<Scenario, GooseError> {
    let name = match fleet.common.transport {
        Transport::Stream => "stream/batch",
        Transport::Unary => "unary/batch",
        Transport::Client => "client/batch",
    };
    let start_fleet = fleet.clone();
    let start: TransactionFunction = Arc::new(move |user| {
        let fleet = start_fleet.clone();
        Box::pin(async move {
            let manned = match fleet.claim() {
                Some(seat) => Some(fleet.man(seat).await),
                None => None,
            };
            user.set_session_data::<Manned>(Station::new(manned));
            Ok(())
        })
    });
    let drive_fleet = fleet.clone();
    let drive: TransactionFunction = Arc::new(move |user| {
        let fleet = drive_fleet.clone();
        Box::pin(async move {
            slice(user, &fleet, name, false).await;
            Ok(())
        })
    });
    let stop: TransactionFunction = Arc::new(move |user| {
        let fleet = fleet.clone();
        Box::pin(async move {
            while slice(user, &fleet, name, true).await == Running::Yes {}
            let station = user.get_session_data::<Manned>().cloned();
            if let Some(station) = station
                && let Some((mut server, live)) = station.0.lock().await.take()
            {
                let trace = server.close().await;
                fleet.leave(trace);
                drop(live);
            }
            Ok(())
        })
    });
    Ok(Scenario::new("game_server")
        .set_weight(servers.max(1))?
        .register_transaction(Transaction::new(start).set_name("come up").set_on_start())
        .register_transaction(Transaction::new(drive).set_name("drive"))
        .register_transaction(Transaction::new(stop).set_name("drain").set_on_stop()))
}

/// Drives a server for a while, and tells Goose of its batches.
async fn slice(user: &mut GooseUser, fleet: &Fleet, name: &str, stopping: bool) -> Running {
    let Some(Station(station)) = user.get_session_data::<Manned>().cloned() else { return Running::No };
    let mut station = station.lock().await;
    let Some((server, _)) = station.as_mut() else {
        drop(station);
        if !stopping {
            sleep(SLICE).await;
        }
        return Running::No;
    };
    if stopping && server.stop() {
        fleet.cut_short(server.number());
    }
    let until = Instant::now() + SLICE;
    let Some(running) = fleet.slice(server, until).await else {
        *station = None;
        return Running::No;
    };
    let outcomes = server.take_outcomes();
    drop(station);
    for outcome in outcomes {
        tell(user, name, &outcome).await;
    }
    if running == Running::No && !stopping {
        // Everything has its end; Goose's own is a moment away.
        sleep(until.saturating_duration_since(Instant::now())).await;
    }
    running
}

async fn tell(user: &mut GooseUser, name: &str, outcome: &Outcome) {
    let Outcome { ack, code, error } = outcome;
    let told =
        user.record_custom_request_duration("GRPC", name, *ack, error.is_none(), Some(*code as u16), error.as_deref());
    // It fails only if Goose's own metrics task is gone, at the end of an attack.
    let _ = told.await;
}

fn closed_loops(clients: Vec<ClosedLoopClient>) -> Result<Scenario, GooseError> {
    let count = clients.len();
    let call: TransactionFunction = Arc::new(move |user| {
        Box::pin(async move {
            let Some(Station(station)) = user.get_session_data::<Closed>().cloned() else { return Ok(()) };
            let outcome = match station.lock().await.as_mut() {
                Some(client) => client.call().await,
                None => None,
            };
            if let Some(outcome) = outcome {
                tell(user, CLOSED_LOOP, &outcome).await;
            }
            Ok(())
        })
    });
    let (least, most) = ClosedLoopClient::PAUSE;
    Ok(Scenario::new("closed_loop")
        .set_weight(count.max(1))?
        .set_wait_time(least, most)?
        .register_transaction(Transaction::new(come_up(clients)).set_name("come up").set_on_start())
        .register_transaction(Transaction::new(call).set_name("call")))
}

fn bad_clients(clients: Vec<BadClient>) -> Result<Scenario, GooseError> {
    let count = clients.len();
    let step: TransactionFunction = Arc::new(move |user| {
        Box::pin(async move {
            let Some(Station(station)) = user.get_session_data::<Bad>().cloned() else { return Ok(()) };
            let mut station = station.lock().await;
            let Some(client) = station.as_mut() else { return Ok(()) };
            let stepped = timeout(SLICE, client.turn()).await;
            if stepped.is_err() {
                return Ok(());
            }
            let (name, outcome) = (client.name(), client.step().await);
            drop(station);
            tell(user, name, &outcome).await;
            Ok(())
        })
    });
    Ok(Scenario::new("bad_client")
        .set_weight(count.max(1))?
        .register_transaction(Transaction::new(come_up(clients)).set_name("come up").set_on_start())
        .register_transaction(Transaction::new(step).set_name("misbehave")))
}

/// Each user takes one of these clients.
fn come_up<T: Send + 'static>(clients: Vec<T>) -> TransactionFunction {
    let clients = Arc::new(std::sync::Mutex::new(clients));
    Arc::new(move |user| {
        let client = crate::record::lock(&clients).pop();
        Box::pin(async move {
            user.set_session_data::<Station<T>>(Station::new(client));
            Ok(())
        })
    })
}

/// What Goose says of the closed loop.
fn closed_loop_figures(metrics: &GooseMetrics, users: usize) -> ClosedLoop {
    let mut figures = ClosedLoop { users: users as u32, ..ClosedLoop::default() };
    let Some(request) = metrics.requests.values().find(|request| request.path == CLOSED_LOOP) else { return figures };
    let times = &request.raw_data.times_us;
    let calls: usize = times.iter().map(|(_, count)| count).sum();
    let quantile = |share: f64| {
        let rank = ((share * calls as f64).ceil() as usize).max(1);
        let mut below = 0;
        let found = times.iter().find(|(_, count)| {
            below += **count;
            below >= rank
        });
        found.map_or(0, |(floor, _)| {
            let bucket = crate::record::bucket_of(*floor);
            (bucket_floor(bucket) + bucket_floor(bucket + 1)) / 2
        })
    };
    figures.calls = calls as u64;
    figures.p50_us = quantile(0.5);
    figures.p99_us = quantile(0.99);
    figures.max_us = request.raw_data.maximum_time_us;
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_can_not_be_used_is_named_with_the_reason() {
        let (option, detail) = ("--output-dir".to_owned(), "it would hold nothing".to_owned());
        let error = AttackError::from(GooseError::InvalidOption { option, value: String::new(), detail });
        assert_eq!(error.to_string(), "--output-dir can't be used: it would hold nothing");
    }
}
