//! What the steps of a call cost by themselves: its records' envelopes with their MD5, then everything that the SDK does,
//! through the same code that the gateway sends with. A process of its own measures them, since the SDK finds the
//! stand-in by variables of its environment.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use headgate::aws::shared_config;
use headgate::config::{AwsSettings, Encoding, KinesisSettings};
use headgate::delivery::aws::KinesisStream;
use headgate::delivery::sender::wire::{Describe, Entry, EntryResult, Wire};
use headgate_proto::aggregate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Result;
use crate::cpu::{CpuClock, thread_time};
use crate::random::Random;
use crate::server::{Certificate, STREAM, StandIn, environment};

/// A call as the gateway makes it under load.
const RECORDS: usize = 32;
const RECORD: usize = 76_500;
/// Calls that are measured, after a few that are not.
const CALLS: u32 = 60;
const WARM_UP_CALLS: u32 = 10;
const TIMEOUT: Duration = Duration::from_secs(5);

/// CPU nanoseconds for a KiB of records.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Steps {
    /// The envelopes of a call's records with their MD5.
    pub seal: f64,
    /// The whole call.
    pub put: f64,
    /// Of the call: SHA-256 of the body, for the signature.
    pub sha256: f64,
    /// Of the call: writing the body into a socket.
    pub socket: f64,
}

/// Starts this program again to measure against a stand-in.
pub(super) fn measure(stand_in: &StandIn, certificate: &Certificate) -> Result<Steps> {
    let output = Command::new(std::env::current_exe()?)
        .arg("--steps")
        .envs(environment(stand_in, certificate))
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the steps could not be measured".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Measures, and prints the figures as JSON.
///
/// # Errors
/// If a call fails.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let steps = runtime.block_on(steps())?;
    println!("{}", serde_json::to_string(&steps)?);
    Ok(())
}

async fn steps() -> Result<Steps> {
    let user_records = user_records();
    let together = vec![(&user_records[..], 1 << 100); RECORDS];
    let seal = per_kib(RECORDS * user_records.len(), CALLS, || {
        let envelopes = aggregate::envelopes(black_box(&together));
        black_box(envelopes).len()
    });

    let record = aggregate::seal(&user_records, 1 << 100);
    // The signature is one of the body, which is little more than the records.
    let sha256 = per_kib(record.len(), CALLS, || Sha256::digest(black_box(&record)));
    let socket = socket(record.len(), &record)?;

    let shared = shared_config(&AwsSettings::default()).await?;
    // As it is where the endpoint is AWS's.
    let settings = KinesisSettings { stream: STREAM.to_owned(), encoding: Encoding::Cbor, ..Default::default() };
    let stream = KinesisStream::new(&shared, &settings);
    let shards = stream.describe().await?.shards;
    let clock = CpuClock::of(std::process::id())?;
    let mut before = clock.read()?;
    let envelope = aggregate::envelopes(&together[..1]).pop();
    let payload = Bytes::copy_from_slice(&user_records);
    for call in 0..WARM_UP_CALLS + CALLS {
        if call == WARM_UP_CALLS {
            before = clock.read()?;
        }
        let entry = |number: usize| Entry {
            envelope,
            payload: payload.clone(),
            hash_key: Some(shards[number % shards.len()].start),
        };
        let results = stream.put((0..RECORDS).map(entry).collect(), TIMEOUT).await?;
        if results.iter().any(|result| !matches!(result, EntryResult::Stored { .. })) {
            return Err("the stand-in refused a record".into());
        }
    }
    let cpu = clock.read()?.seconds_since(&before);
    #[allow(clippy::cast_precision_loss, reason = "a few MB")]
    let put = cpu * 1e9 / (f64::from(CALLS) * (RECORDS * record.len()) as f64 / 1_024.0);
    Ok(Steps { seal, put, sha256, socket })
}

/// A record's worth of user records of about 300 bytes.
fn user_records() -> Vec<u8> {
    let mut random = Random::new(9);
    let mut framed = Vec::with_capacity(RECORD);
    while framed.len() + 400 < RECORD {
        let len = 250 + usize::try_from(random.below(100)).unwrap_or(0);
        aggregate::begin_user_record(&mut framed, len);
        framed.extend((0..len).map(|_| b' ' + (random.draw() >> 32) as u8 % 95));
    }
    framed
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn per_kib<T>(bytes: usize, times: u32, mut work: impl FnMut() -> T) -> f64 {
    for _ in 0..WARM_UP_CALLS {
        black_box(work());
    }
    let before = thread_time();
    for _ in 0..times {
        black_box(work());
    }
    let took = thread_time().saturating_sub(before);
    took.as_secs_f64() * 1e9 / (f64::from(times) * bytes as f64 / 1_024.0)
}

/// Writes into a socket that another thread empties.
fn socket(bytes: usize, body: &[u8]) -> Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut writer = TcpStream::connect(listener.local_addr()?)?;
    let (mut reader, _) = listener.accept()?;
    let emptied = std::thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    let mut failed = None;
    let cost = per_kib(bytes, CALLS, || failed = writer.write_all(body).err());
    drop(writer);
    _ = emptied.join();
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(cost),
    }
}
