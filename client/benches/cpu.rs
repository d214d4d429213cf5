//! What an event costs the process that sends it: CPU time by getrusage(2), user and kernel, at batches of 100.
//!
//! `cargo bench -p headgate-client --bench cpu [-- --events 2000000]`. The server that takes the events is a process of its
//! own, so that nothing of it is counted. Each figure is for the whole client: giving, sending, answers, the log.
//!
//! A log gets nothing that is stored before it lingers. So there are two servers: one answers at once, as a gateway in the
//! same region does, the other so late that the log gets everything.

#![allow(clippy::disallowed_methods, reason = "it measures, and its server's tasks end with it")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::poll_fn;
use headgate_client::v1::ingest_service_server::{IngestService, IngestServiceServer};
use headgate_client::v1::stream_events_response::Answer;
use headgate_client::v1::{
    BatchVerdict, PublishEventsRequest, PublishEventsResponse, StreamEventsRequest, StreamEventsResponse,
};
use headgate_client::{Builder, Client, Event, Fsync, Key, Log, Overflow};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

const BATCH: u32 = 100;
const DATA: &[u8] = br#"{"player_id":"p-1234567","session_id":"0b51f0a6-73e6-4b7c-a7a1-5d1f3a4c9b10","level":42,"score":123456,"map":"frozen_lake","position":{"x":12.5,"y":-3.25,"z":101.0},"weapon":"longbow","team":"blue","latency_ms":37}"#;
const BAR: f64 = 1_000.0;
/// Twice the linger.
const LATE: Duration = Duration::from_millis(200);
/// For a server that is late: what it has not answered.
const IN_FLIGHT: usize = 1_000;
const MEMORY: usize = 128 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    if let Some(milliseconds) = given("--serve") {
        return serve(Duration::from_millis(milliseconds.parse()?));
    }
    let events: u64 = given("--events").map_or(Ok(2_000_000), |events| events.parse())?;
    let (near, far) = (Process::start(Duration::ZERO)?, Process::start(LATE)?);
    let folder = tempfile::tempdir()?;
    let log = Log::new(folder.path());
    println!("{events} events of {} bytes of data, batches of {BATCH}", DATA.len());
    measure("in memory", near.client(), events, false)?;
    measure("with a log", near.client().log(log.clone()), events, false)?;
    let far = || far.client().batches_in_flight(IN_FLIGHT).memory_bytes(MEMORY);
    measure("in memory, answers late", far(), events, false)?;
    measure("with a log that gets everything", far().log(log.clone()), events, true)?;
    measure("the same, never fsync", far().log(log.fsync(Fsync::Never)), events, true)
}

/// `written`: whether events have to be on the log.
fn measure(what: &str, client: Builder, events: u64, written: bool) -> Result<(), Box<dyn Error>> {
    let client = client.build()?;
    // Connection, buffers, first segment.
    give(&client, u64::from(BATCH) * 100)?;
    let (cpu_before, before) = (cpu()?, Instant::now());
    let longest = give(&client, events)?;
    assert!(!written || client.counters().bytes_in_log > 0, "the log got nothing: {:?}", client.counters());
    let left = client.flush(Duration::from_secs(60));
    let (cpu, elapsed) = (cpu()?, before.elapsed());
    assert!(left.is_empty(), "{left:?}: {:?}", client.counters());
    let each = |spent: Duration| spent.as_secs_f64() * 1e9 / events as f64;
    let (user, kernel) = (each(cpu.0 - cpu_before.0), each(cpu.1 - cpu_before.1));
    let verdict = if user + kernel <= BAR { "within" } else { "over" };
    let rate = events as f64 / elapsed.as_secs_f64();
    println!("{what}: {:.0} ns of CPU an event, {verdict} the bar of {BAR:.0} ns", user + kernel);
    println!("  user {user:.0}, kernel {kernel:.0}; {rate:.0} events/s; the longest `send` {longest:?}");
    assert!(client.close(Duration::from_secs(60)).is_empty());
    Ok(())
}

/// The longest that one call took, waiting for room included.
fn give(client: &Client, events: u64) -> Result<Duration, Box<dyn Error>> {
    let mut longest = Duration::ZERO;
    for n in 0..events {
        let begun = (n % 64 == 0).then(Instant::now);
        client.send(Event::new("progress", "level_up").data(DATA).app_version("1.4.2"))?;
        longest = longest.max(begun.map_or(Duration::ZERO, |begun| begun.elapsed()));
    }
    Ok(longest)
}

/// In user space, in the kernel.
fn cpu() -> nix::Result<(Duration, Duration)> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    Ok((time(usage.user_time()), time(usage.system_time())))
}

/// A server, which ends with this.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    /// Each of its answers comes so late.
    fn start(late: Duration) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(["--serve", &late.as_millis().to_string()]).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take();
        let mut server = Self { child, address: String::new() };
        BufReader::new(output.ok_or("no output")?).read_line(&mut server.address)?;
        Ok(server)
    }

    fn client(&self) -> Builder {
        let builder = Client::builder(format!("http://{}", self.address.trim()), Key::value("hg_bench"));
        builder.batch_events(BATCH).overflow(Overflow::Wait(Duration::from_secs(60)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(late: Duration) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let service = IngestServiceServer::new(Sink { late });
        Ok(Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await?)
    })
}

/// Accepts everything, and says so late.
struct Sink {
    late: Duration,
}

type Answers = Pin<Box<dyn Stream<Item = Result<StreamEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl IngestService for Sink {
    type StreamEventsStream = Answers;

    async fn publish_events(
        &self,
        _: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        Err(Status::unimplemented("events come on streams"))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut batches = request.into_inner();
        let (answers, mut receiver) = mpsc::channel(64);
        let (taken, mut due) = mpsc::unbounded_channel();
        let late = self.late;
        tokio::spawn(async move {
            while let Ok(Some(StreamEventsRequest { sequence, events })) = batches.message().await {
                let accepted = u32::try_from(events.len()).unwrap_or(u32::MAX);
                let answer = Some(Answer::Verdict(BatchVerdict { accepted, ..BatchVerdict::default() }));
                if taken.send((tokio::time::Instant::now() + late, StreamEventsResponse { sequence, answer })).is_err()
                {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some((at, answer)) = due.recv().await {
                if !late.is_zero() {
                    tokio::time::sleep_until(at).await;
                }
                if answers.send(Ok(answer)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(poll_fn(move |context| receiver.poll_recv(context)))))
    }
}
