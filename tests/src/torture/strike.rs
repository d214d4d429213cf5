//! Faults as they happen: each begins at its time, stays, and is taken back; some go on until they have hit something.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::house::House;
use super::plan::Strike;
use super::plan::fault::Fault;
use crate::aws::faults::{Fault as Injected, Rule};
use crate::aws::kinesis::{ShardView, Stream};
use crate::aws::{CallError, StandIn};
use crate::fault_proxy;
use crate::oracle::Oracle;

/// How long a fault that has hit nothing goes on.
const MET_PATIENCE: Duration = Duration::from_secs(2);
const PERIOD: Duration = Duration::from_millis(5);

/// What became of a fault.
#[derive(Clone, Debug, Serialize)]
pub struct Struck {
    /// Its name.
    pub fault: &'static str,
    /// What it hit: calls, operations, connections; 1 for what happens by being done.
    pub hits: u64,
    /// From the beginning of the load, milliseconds.
    pub began_ms: u64,
    /// From the beginning of the load, milliseconds.
    pub ended_ms: u64,
    /// What is wrong with how the gateway took it, where that shows at once.
    pub wrong: Option<String>,
}

/// Has one fault happen.
pub(super) async fn strike(house: &House, oracle: &Oracle, strike: &Strike, load_began: Instant) -> Struck {
    sleep_until(load_began + Duration::from_millis(strike.after_ms)).await;
    let began = Instant::now();
    let lasts = Duration::from_millis(strike.lasts_ms);
    let mut wrong = None;
    let hits = match &strike.fault {
        Fault::Terminate => {
            let code = house.terminate(oracle).await;
            wrong = (code != Some(0)).then(|| format!("the drain at full load ended with {code:?}"));
            1
        }
        Fault::Kill => {
            house.kill(oracle).await;
            1
        }
        Fault::PowerCut { nth, some_survives } => {
            house.cut_power(oracle, *nth, *some_survives).await;
            1
        }
        fault => of_ground(house, fault, lasts).await,
    };
    let ms = |at: Instant| u64::try_from((at - load_began).as_millis()).unwrap_or(u64::MAX);
    Struck { fault: strike.fault.name(), hits, began_ms: ms(began), ended_ms: ms(Instant::now()), wrong }
}

/// A fault of what the gateway stands on, from its beginning to its end.
async fn of_ground(house: &House, fault: &Fault, lasts: Duration) -> u64 {
    match (fault, &house.stand_in, &house.stream) {
        (Fault::CredentialsAway { expired }, Some(stand_in), _) => {
            credentials_away(house, stand_in, *expired, lasts).await
        }
        (Fault::Refused, Some(stand_in), _) => {
            stand_in.refuse_connections().await;
            let _ = stand_in.reset_connections();
            sleep(lasts).await;
            stand_in.accept_connections().await;
            1
        }
        (Fault::ConnectionsReset, Some(stand_in), _) => {
            met(lasts, || (stand_in.reset_connections() as u64).min(1)).await
        }
        (Fault::IdleConnectionsClosed, Some(stand_in), _) => {
            stand_in.close_connections_idle_for(Some(Duration::from_millis(5)));
            sleep(lasts).await;
            stand_in.close_connections_idle_for(None);
            1
        }
        (Fault::ShardThrottled { place, percent }, _, Some(stream)) => {
            let number = open_shard(stream, *place).number;
            let throttled = || stream.shards()[number as usize].throttled_records;
            let before = throttled();
            stream.limit_shard(number, Some(*percent as f64 / 1_000.0));
            let hits = met(lasts, || throttled() - before).await;
            stream.limit_shard(number, None);
            hits
        }
        (Fault::Split { place }, _, Some(stream)) => {
            let _ = stream.split(open_shard(stream, *place).number);
            1
        }
        (Fault::Merge { place }, _, Some(stream)) => {
            let shard = open_shard(stream, *place);
            let neighbour = shard
                .last
                .checked_add(1)
                .and_then(|next| stream.shards().into_iter().find(|other| !other.closed && other.first == next));
            match neighbour {
                Some(neighbour) => _ = stream.merge(shard.number, neighbour.number),
                // The last one in the ring, or the only one: a split makes a pair.
                None => {
                    let (left, right) = stream.split(shard.number);
                    sleep(lasts).await;
                    if stream.shards()[left as usize].closed || stream.shards()[right as usize].closed {
                        return 1;
                    }
                    let _ = stream.merge(left, right);
                }
            }
            1
        }
        (Fault::NetworkCut { hang }, ..) => {
            if let Some(network) = &house.network {
                network.set(if *hang { fault_proxy::Fault::Hang } else { fault_proxy::Fault::Refuse });
                sleep(lasts).await;
                network.set(fault_proxy::Fault::None);
            }
            1
        }
        (Fault::ClockJump { minutes }, ..) => {
            house.wall_offset_ms.store(minutes * 60_000, Ordering::Relaxed);
            sleep(lasts).await;
            house.wall_offset_ms.store(0, Ordering::Relaxed);
            1
        }
        (fault, Some(stand_in), _) if let Some(rule) = fault.rule() => by_rule(stand_in, rule, lasts).await,
        (fault, ..) => of_disk(house, fault, lasts).await,
    }
}

async fn credentials_away(house: &House, stand_in: &StandIn, expired: bool, lasts: Duration) -> u64 {
    let before = house.credentials.asked_in_vain();
    house.credentials.set_away(true);
    // Known ones that have not expired are asked for again only once the service has refused them.
    let refused = Rule::new(Injected::CallFails(CallError::ExpiredToken));
    let rule = (!expired).then(|| stand_in.faults().set(refused));
    let hits = met(lasts, || house.credentials.asked_in_vain() - before).await;
    house.credentials.set_away(false);
    if let Some(rule) = rule {
        stand_in.faults().unset(rule);
    }
    hits
}

async fn by_rule(stand_in: &StandIn, rule: Rule, lasts: Duration) -> u64 {
    let rule = stand_in.faults().set(rule);
    let hits = met(lasts, || stand_in.faults().struck(rule)).await;
    stand_in.faults().unset(rule);
    hits
}

/// Faults of the disk, and panics. What is taken back is taken back from the disk that the house has at that moment.
async fn of_disk(house: &House, fault: &Fault, lasts: Duration) -> u64 {
    let files = house.files();
    let (refused, panics) = (files.refused(), house.all_panics());
    match fault {
        Fault::DiskFull { bytes } => files.disk.set_room(Some(*bytes)),
        Fault::WritesFail => files.disk.break_writes(true),
        Fault::SyncFails { nth } => files.disk.fail_sync(*nth),
        Fault::SyncsHang => files.disk.hold_syncs(true),
        Fault::RenamesFail => files.fail_renames(true),
        Fault::WriterPanic => files.panic_next(true),
        Fault::HandlerPanics { times } => {
            if let Some(panicky) = house.panicky() {
                panicky.panic_next(*times);
            }
        }
        other => unreachable!("{} is no fault of a disk", other.name()),
    }
    let hits = match fault {
        Fault::WriterPanic | Fault::HandlerPanics { .. } => {
            met(lasts, || house.all_panics().saturating_sub(panics)).await
        }
        Fault::SyncsHang => {
            sleep(lasts).await;
            1
        }
        _ => met(lasts, || files.refused() - refused).await,
    };
    match fault {
        Fault::DiskFull { .. } => files.disk.set_room(None),
        Fault::WritesFail => files.disk.break_writes(false),
        Fault::SyncsHang => files.disk.hold_syncs(false),
        Fault::RenamesFail => files.fail_renames(false),
        Fault::WriterPanic => files.panic_next(false),
        Fault::HandlerPanics { .. } => house.panicky().iter().for_each(|panicky| panicky.panic_next(0)),
        _ => {}
    }
    hits
}

/// Waits as long as the fault is to last, and then for a hit for a while.
async fn met(lasts: Duration, mut hits: impl FnMut() -> u64) -> u64 {
    sleep(lasts).await;
    let until = Instant::now() + MET_PATIENCE;
    loop {
        let now = hits();
        if now > 0 || Instant::now() > until {
            return now;
        }
        sleep(PERIOD).await;
    }
}

fn open_shard(stream: &Stream, place: usize) -> ShardView {
    let mut open: Vec<ShardView> = stream.shards().into_iter().filter(|shard| !shard.closed).collect();
    open.sort_by_key(|shard| shard.first);
    let place = place % open.len();
    open.swap_remove(place)
}
