//! A game server with a stream.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use headgate_proto::v1::StreamEventsResponse;
use headgate_proto::v1::stream_events_response::Answer as Answered;
use prost::Message;

use super::fleet::{Manner, Pending, Server};
use super::samples::{Answer, Sample};
use crate::raw;

/// Before a stream is opened again after one that broke off.
const PAUSE: Duration = Duration::from_millis(20);
const PREFIX: usize = 5;

/// How a stream ended.
enum End {
    Stopped,
    BrokenOff,
    ConnectionGone,
}

pub(super) async fn run(mut server: Server) {
    loop {
        match stream(&mut server).await {
            End::Stopped => return,
            End::ConnectionGone => {
                server.broken.fetch_add(1, Ordering::Relaxed);
                return;
            }
            End::BrokenOff => {
                server.broken.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn stream(server: &mut Server) -> End {
    let request = server.target.request(raw::STREAM);
    let Ok(connection) = server.connection.clone().ready().await else { return End::ConnectionGone };
    let mut connection = connection;
    let Ok((response, body)) = connection.send_request(request, false) else { return End::ConnectionGone };
    let pending = Mutex::new(Pending::new());
    let Server { clock, template, samples, manner, .. } = server;
    let reads = *manner == Manner::Streams;
    let writing = async {
        let mut body = body;
        let mut sequence = 0;
        while let Some(due) = clock.next().await {
            sequence += 1;
            lock(&pending).insert(sequence, due);
            let mut message = template.next(Some(sequence));
            loop {
                let sent = tokio::select! {
                    sent = send_some(&mut body, &mut message) => sent,
                    // A batch that has begun is sent to its end, or no other could follow it; but it does not hold up the end.
                    () = clock.stopped() => return false,
                };
                match sent {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(_) => return false,
                }
            }
        }
        body.send_data(Bytes::new(), true).is_ok()
    };
    let reading = read(response, reads, |sequence, answer| {
        let due = lock(&pending).remove(&sequence);
        if let Some(due) = due {
            samples.push(Sample { due, answered: Instant::now(), answer });
        }
    });
    let mut reading = std::pin::pin!(reading);
    let in_order = tokio::select! {
        _ = &mut reading => return End::BrokenOff,
        in_order = writing => in_order,
    };
    if in_order {
        let _ = reading.await;
    }
    if clock.is_stopped() { End::Stopped } else { End::BrokenOff }
}

fn lock(pending: &Mutex<Pending>) -> std::sync::MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends as much of a message as the windows take now, at least a byte; whether that was all.
pub(super) async fn send_some(body: &mut SendStream<Bytes>, message: &mut Bytes) -> Result<bool, h2::Error> {
    body.reserve_capacity(message.len());
    let room = match std::future::poll_fn(|cx| body.poll_capacity(cx)).await {
        Some(room) => room?.min(message.len()),
        None => return Err(h2::Reason::CANCEL.into()),
    };
    body.send_data(message.split_to(room), false)?;
    Ok(message.is_empty())
}

/// Reads answers until the stream ends; where it does not `read`, without room for more than the first window holds.
async fn read(response: ResponseFuture, reads: bool, mut take: impl FnMut(u64, Answer)) -> Result<(), h2::Error> {
    let mut body: RecvStream = response.await?.into_body();
    let mut gathered = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        if reads {
            body.flow_control().release_capacity(data.len())?;
        }
        gathered.extend_from_slice(&data);
        while let Some(prefix) = gathered.get(..PREFIX) {
            let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
            if gathered.len() < PREFIX + length {
                break;
            }
            gathered.advance(PREFIX);
            let answer = StreamEventsResponse::decode(gathered.split_to(length)).expect("the gateway sends protobuf");
            match answer.answer {
                Some(Answered::Verdict(verdict)) => {
                    let others = verdict.rejected + verdict.retry + verdict.unknown;
                    take(answer.sequence, Answer::Verdict { accepted: verdict.accepted, others });
                }
                Some(Answered::Refusal(refusal)) => {
                    take(answer.sequence, Answer::Refused { hint: refusal.retry_delay.is_some() });
                }
                Some(Answered::Notice(_)) | None => {}
            }
        }
    }
    Ok(())
}
