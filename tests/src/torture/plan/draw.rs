//! Which faults a house can have, and with what numbers.

use super::fault::{CALL_ERRORS, Calls, Fault};
use super::house::{Destination, HousePlan, RegistryKind};
use crate::seed::Draw;

type Family = fn(&mut Draw, &HousePlan) -> Fault;

/// One that can happen in this house.
pub(super) fn fault(draw: &mut Draw, house: &HousePlan) -> Fault {
    let mut families: Vec<Family> = Vec::new();
    if house.streams() {
        // Twice as likely as the others: there are many of them.
        families.extend([records as Family, answers, answers, connections]);
        families.push(service);
    }
    if house.streams() && house.destination != Destination::Firehose {
        families.push(shards);
    }
    if house.has_disk() {
        families.extend([disk as Family, disk]);
    }
    if !house.process && !house.streams() {
        families.extend([power as Family, writer]);
    }
    if !house.process {
        families.push(clock);
    }
    if !house.process && house.streams() {
        families.push(credentials);
        families.push(power);
    }
    if house.destination == Destination::PanickyLake {
        families.extend([handler as Family, handler]);
    }
    if house.registry == RegistryKind::Dynamodb {
        families.extend([key_store as Family, key_store]);
    }
    if house.network {
        families.push(network);
    }
    if house.process {
        families.extend([stop as Family; 4]);
    }
    let family = families[(draw.any() % families.len() as u64) as usize];
    family(draw, house)
}

/// Which calls a fault is about: of the services that this house calls.
fn calls(draw: &mut Draw, house: &HousePlan) -> Calls {
    match (house.destination, house.second_route) {
        (Destination::Kinesis { .. }, None | Some("kinesis")) => Calls::Kinesis,
        (Destination::Firehose, None | Some("firehose")) => Calls::Firehose,
        // Nothing goes to Firehose while Kinesis takes everything.
        (Destination::Fallback, route) if route != Some("firehose") => {
            [Calls::Kinesis, Calls::Both][draw.within(0..=2) as usize / 2]
        }
        _ => [Calls::Kinesis, Calls::Firehose, Calls::Both][draw.within(0..=2) as usize],
    }
}

fn percent(draw: &mut Draw) -> u64 {
    [20, 50, 100][draw.within(0..=2) as usize]
}

fn records(draw: &mut Draw, house: &HousePlan) -> Fault {
    let (calls, throttled) = (calls(draw, house), draw.within(0..=1) == 1);
    match draw.within(0..=1) {
        0 => Fault::RecordsFail { calls, records: draw.within(1..=20) as usize, throttled },
        _ => Fault::EachRecordFails { calls, percent: draw.within(5..=90), throttled },
    }
}

fn answers(draw: &mut Draw, house: &HousePlan) -> Fault {
    let (calls, percent) = (calls(draw, house), percent(draw));
    match draw.within(0..=7) {
        0 => Fault::CallsFail { calls, percent, how: CALL_ERRORS[draw.within(0..=5) as usize] },
        1 => Fault::Hang { calls, percent },
        2 => Fault::LateCommit { calls, percent, late_ms: draw.within(20..=600) },
        3 => Fault::SlowAnswer { calls, percent, slow_ms: draw.within(20..=600) },
        4 => Fault::AnswerLost { calls, percent },
        5 => Fault::AnswerReset { calls, percent },
        6 => Fault::AnswerCut { calls, percent },
        _ => Fault::AnswerShort { calls, missing: draw.within(1..=3) as usize },
    }
}

fn connections(draw: &mut Draw, _: &HousePlan) -> Fault {
    let percent = percent(draw);
    match draw.within(0..=4) {
        0 => Fault::ResetBeforeReading { percent },
        1 => Fault::StaleConnection { percent },
        2 => Fault::Refused,
        3 => Fault::ConnectionsReset,
        _ => Fault::IdleConnectionsClosed,
    }
}

fn service(draw: &mut Draw, house: &HousePlan) -> Fault {
    Fault::ServiceDown { calls: calls(draw, house) }
}

fn shards(draw: &mut Draw, _: &HousePlan) -> Fault {
    let place = draw.within(0..=15) as usize;
    match draw.within(0..=2) {
        0 => Fault::ShardThrottled { place, percent: draw.within(0..=3) },
        1 => Fault::Split { place },
        _ => Fault::Merge { place },
    }
}

fn disk(draw: &mut Draw, house: &HousePlan) -> Fault {
    // Only the lake renames.
    match draw.within(0..=if house.streams() { 3 } else { 4 }) {
        0 => Fault::DiskFull { bytes: draw.within(0..=100_000) },
        1 => Fault::WritesFail,
        2 => Fault::SyncFails { nth: draw.within(1..=5) },
        3 => Fault::SyncsHang,
        _ => Fault::RenamesFail,
    }
}

fn power(draw: &mut Draw, _: &HousePlan) -> Fault {
    let (nth, some) = (draw.within(1..=40), draw.any());
    Fault::PowerCut { nth, some_survives: (some % 2 == 0).then_some(some) }
}

fn writer(_: &mut Draw, _: &HousePlan) -> Fault {
    Fault::WriterPanic
}

fn clock(draw: &mut Draw, _: &HousePlan) -> Fault {
    Fault::ClockJump { minutes: if draw.within(0..=1) == 0 { -60 } else { 60 } }
}

fn credentials(draw: &mut Draw, _: &HousePlan) -> Fault {
    Fault::CredentialsAway { expired: draw.within(0..=1) == 0 }
}

fn handler(draw: &mut Draw, _: &HousePlan) -> Fault {
    Fault::HandlerPanics { times: draw.within(1..=20) }
}

fn key_store(draw: &mut Draw, _: &HousePlan) -> Fault {
    Fault::KeyStoreDown { how: ["hang", "reset", "error"][draw.within(0..=2) as usize] }
}

fn network(draw: &mut Draw, _: &HousePlan) -> Fault {
    Fault::NetworkCut { hang: draw.within(0..=1) == 0 }
}

fn stop(draw: &mut Draw, _: &HousePlan) -> Fault {
    if draw.within(0..=1) == 0 { Fault::Kill } else { Fault::Terminate }
}
