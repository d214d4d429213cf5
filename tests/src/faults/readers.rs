//! Row 12: 1,000 streams whose clients send and never read. They come one after the other and stay for as long again, until
//! they are given up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future;
use headgate_proto::v1::StreamEventsRequest;
use prost::Message;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::Run;
use super::figures::{Figures, mib, percent, seconds};
use super::stage::{KINESIS, Stage, steady};
use crate::client::Target;
use crate::oracle::Oracle;
use crate::raw::{self, framed};
use crate::torture::plan::HousePlan;

const CONNECTIONS: usize = 20;
const STREAMS: usize = 50;
/// Of each stream. All of it is more than the budget's half that one application may hold, and few events, so that it is
/// not their number that a neighbour feels.
const BATCHES: u64 = 5;
const EVENTS: usize = 10;
const HOUSE: HousePlan = HousePlan { budget_mib: 16, ..KINESIS };
const GOODPUT: f64 = 0.95;
/// The process may take several times its budget on top of what it takes anyway.
const BUDGETS: f64 = 5.0;
/// The application that does not read; the other one is its neighbour.
const SLOW: usize = 1;

pub(super) async fn slow(run: Run) -> Figures {
    let mut figures = Figures::default();
    let patience = (run.time * 3).max(Duration::from_secs(1));
    let timeout = humantime::format_duration(patience).to_string();
    let settings = [("grpc.slow_reader_timeout", timeout.as_str())];
    let stage = Stage::open_for_first(run, HOUSE, &steady(), &settings).await;
    let (healthy, calm) = stage.watching(stage.rate(run.time)).await;

    Run::say("1,000 streams are not read");
    let target = &stage.house.targets[SLOW];
    let began = Instant::now();
    let until = began + patience * 2 + Duration::from_secs(30);
    let pause = run.time / u32::try_from(STREAMS).expect("a small number");
    let clients =
        (0..CONNECTIONS).map(|_| tokio::spawn(never_read(target.clone(), Arc::clone(&stage.oracle), pause, until)));
    let clients = future::join_all(clients.collect::<Vec<_>>());
    let (goodput, most) = stage.watching(stage.rate(run.time * 2)).await;
    let metrics = stage.metrics().await;
    let (streams, refused) = (metrics.sum("headgate_streams", &[]), metrics.sum("headgate_refusals_total", &[]));
    let reset: usize = clients.await.into_iter().map(|reset| reset.expect("no client panics")).sum();
    figures.must(streams >= (CONNECTIONS * STREAMS) as f64, format!("{streams} open streams"));
    figures.tell(format!("{refused} batches refused"));
    let held = format!("held {} of {}", mib(most.held), mib(most.budget));
    figures.must(most.held <= most.budget, held);
    let resident = format!("resident {}, before {}", mib(most.resident), mib(calm.resident));
    figures.must(most.resident <= calm.resident + BUDGETS * most.budget, resident);
    figures.must(goodput / healthy >= GOODPUT, format!("neighbour's goodput {}", percent(goodput / healthy)));
    let words =
        format!("{reset} given up {} after the first came, with a patience of {timeout}", seconds(began.elapsed()));
    figures.must(reset == CONNECTIONS * STREAMS, words);
    stage.close(&mut figures).await;
    figures
}

/// One connection with streams that can be sent nothing, ever: its windows are of no bytes. One is opened at each `pause`.
/// Gives how many of them were reset before `until`.
async fn never_read(target: Target, oracle: Arc<Oracle>, pause: Duration, until: Instant) -> usize {
    let socket = TcpStream::connect(target.address).await.expect("the gateway listens");
    let mut builder = h2::client::Builder::new();
    let (mut sender, connection) =
        builder.initial_window_size(0).handshake::<_, Bytes>(socket).await.expect("it speaks HTTP/2");
    let driver = tokio::spawn(connection);
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let request = http::Request::builder()
            .method(http::Method::POST)
            .uri(format!("http://{}{}", target.address, raw::STREAM))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-api-key", &target.key)
            .body(())
            .expect("good headers");
        sender = sender.ready().await.expect("the connection is open");
        let (response, mut body) = sender.send_request(request, false).expect("the call begins");
        for sequence in 1..=BATCHES {
            let batch = oracle.batch(SLOW, EVENTS);
            let message = StreamEventsRequest { sequence, events: oracle.send(&batch) }.encode_to_vec();
            // What does not fit into the window waits in this process.
            body.send_data(framed(false, &message), false).expect("the stream is open");
        }
        sleep(pause).await;
        streams.push(async move {
            let ended = match response.await {
                Ok(response) => response.into_body().data().await.is_none_or(|data| data.is_err()),
                Err(_) => true,
            };
            // To the end: whoever drops it resets the stream himself.
            drop(body);
            usize::from(ended)
        });
    }
    let reset = tokio::select! {
        reset = future::join_all(streams) => reset.into_iter().sum(),
        () = sleep_until(until) => 0,
    };
    driver.abort();
    reset
}
