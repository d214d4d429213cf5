//! An open-loop load: batches are due whatever has been answered, and each answer's latency counts from when its batch was
//! due. A server that stalls makes none of them later, so its stall shows in every batch that was due meanwhile.
//!
//! A batch that is due is made when its connection's window is open, not before. Made ahead, what is due in a stall fills
//! hundreds of megabytes that this process never had, which a virtual machine may hand over more slowly than the load grows:
//! the load would stay behind for good, and seem to be a server that does.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use tokio::time::Instant;

use super::answers::{Messages, accepted_sequence};
use super::batch::Batches;
use super::{Call, Case, Target, connection};
use crate::Result;
use crate::random::Random;

/// How an open-loop load is offered.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Events in a batch.
    pub batch: u32,
    /// Connections, with a stream each.
    pub connections: usize,
    /// Events that are due in a second, over all connections.
    pub events_per_second: f64,
    /// How long batches are sent before their answers count.
    pub warm_up: Duration,
    /// How long they are sent that count.
    pub time: Duration,
}

/// Offers a load, its batches due at times that know nothing of each other (a Poisson process), and waits for every answer.
/// Returns the latencies of the batches that count. The current thread never sleeps meanwhile: a timer would be late.
///
/// # Errors
/// What went wrong on a connection, or if an event was not accepted.
pub async fn paced(target: &Target, pace: &Pace) -> Result<Vec<Duration>> {
    let case = Case::new(Call::Stream, pace.batch);
    let mut opened = Vec::new();
    for number in 0..pace.connections {
        let number = number as u64;
        opened.push((connection::open(target).await?, Batches::new(case, number)?, Random::new(number + 1)));
    }
    let begin = Instant::now();
    let connections = opened.into_iter().map(|(open, batches, random)| async move {
        let mut latencies = Vec::new();
        let work = stream(open.calls, batches, random, target, (pace, begin), &mut latencies);
        connection::drive(open.connection, work).await?;
        Result::Ok(latencies)
    });
    Ok(try_join_all(connections).await?.concat())
}

async fn stream(
    calls: SendRequest<Bytes>,
    batches: Batches,
    random: Random,
    target: &Target,
    (pace, begin): (&Pace, Instant),
    latencies: &mut Vec<Duration>,
) -> Result<()> {
    let mut calls = calls.ready().await?;
    let (response, sender) = calls.send_request(connection::head(target, Call::Stream)?, false)?;
    let mut body = connection::body(response.await?)?;
    let counts_from = begin + pace.warm_up;
    let mut departures = Departures::new(pace, begin, random);
    let mut sending = Sending { sender, batches, due: HashMap::new() };
    let mut messages = Messages::default();
    while departures.go_on() || !sending.due.is_empty() {
        while sending.has_room()
            && let Some(due) = departures.next_due(Instant::now())
        {
            sending.send(due)?;
        }
        if let Some(chunk) = come(&mut body).await? {
            let now = Instant::now();
            messages.push(chunk);
            while let Some(message) = messages.take() {
                let Some(sequence) = accepted_sequence(message, pace.batch)? else { continue };
                let due = sending.due.remove(&sequence).ok_or("an answer to nothing that was asked")?;
                if due >= counts_from {
                    latencies.push(now - due);
                }
            }
        }
    }
    sending.sender.send_data(Bytes::new(), true)?;
    while connection::next_chunk(&mut body).await?.is_some() {}
    connection::end(&mut body).await
}

/// What has come, if anything; lets others on this thread have their turn.
async fn come(body: &mut RecvStream) -> Result<Option<Bytes>> {
    tokio::select! {
        biased;
        chunk = connection::next_chunk(body) => match chunk? {
            Some(chunk) => Ok(Some(chunk)),
            None => Err("the server ended a stream before it had answered everything".into()),
        },
        () = tokio::task::yield_now() => Ok(None),
    }
}

struct Sending {
    sender: SendStream<Bytes>,
    batches: Batches,
    // When batches were due that are not answered, by their sequences.
    due: HashMap<u64, Instant>,
}

impl Sending {
    /// True if what was sent has left or is covered by the server's window, and that is open: at most one batch a connection
    /// waits for a window, however large it is.
    fn has_room(&mut self) -> bool {
        self.sender.reserve_capacity(1);
        self.sender.capacity() > 0
    }

    /// Returns the batch's length as a message, bytes.
    fn send(&mut self, due: Instant) -> Result<usize> {
        self.due.insert(self.batches.next_sequence(), due);
        let message = self.batches.next_framed();
        let length = message.len();
        self.sender.send_data(message, false)?;
        Ok(length)
    }
}

/// When the batches of one connection are due.
struct Departures {
    random: Random,
    mean: Duration,
    next: Instant,
    end: Instant,
}

impl Departures {
    fn new(pace: &Pace, begin: Instant, mut random: Random) -> Self {
        let batches_per_second = pace.events_per_second / f64::from(pace.batch) / pace.connections as f64;
        let mean = Duration::from_secs_f64(1.0 / batches_per_second);
        let next = begin + mean.mul_f64(random.exponential());
        Self { random, mean, next, end: begin + pace.warm_up + pace.time }
    }

    fn go_on(&self) -> bool {
        self.next < self.end
    }

    /// When a batch was due that has not left yet.
    fn next_due(&mut self, now: Instant) -> Option<Instant> {
        if self.next > now || !self.go_on() {
            return None;
        }
        let due = self.next;
        self.next += self.mean.mul_f64(self.random.exponential());
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::DuplexStream;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn as_many_batches_are_due_as_the_rate_says_and_a_late_look_finds_them_all() {
        let time = Duration::from_secs(50);
        let pace = Pace { batch: 100, connections: 4, events_per_second: 400_000.0, warm_up: Duration::ZERO, time };
        let begin = Instant::now();
        let mut departures = Departures::new(&pace, begin, Random::new(1));
        let mut due = Vec::new();
        let mut now = begin;
        while departures.go_on() {
            now += Duration::from_millis(700);
            while let Some(at) = departures.next_due(now) {
                assert!(at <= now && at < begin + time);
                due.push(at);
            }
        }
        assert!(due.is_sorted());
        assert!((49_000..51_000).contains(&due.len()), "{} of 50,000", due.len());
    }

    /// A server that reads nothing before it is told to. Its window is HTTP/2's first one. How many bytes it read.
    async fn late_reader(io: DuplexStream, read: oneshot::Receiver<()>) -> Result<usize> {
        let mut connection = h2::server::handshake(io).await?;
        let (request, mut respond) = connection.accept().await.ok_or("no call")??;
        let reading = async move {
            let mut body = request.into_body();
            let mut taken = 0;
            read.await?;
            while let Some(chunk) = connection::next_chunk(&mut body).await? {
                taken += chunk.len();
            }
            respond.send_response(http::Response::new(()), true)?;
            Result::Ok(taken)
        };
        let (taken, end) = tokio::join!(reading, poll_fn(|cx| connection.poll_closed(cx)));
        end?;
        taken
    }

    #[tokio::test]
    async fn what_is_due_while_a_server_stalls_is_made_when_there_is_room_for_it() -> Result<()> {
        made_when_there_is_room(10).await
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_window_is_sent_all_the_same() -> Result<()> {
        made_when_there_is_room(400).await
    }

    async fn made_when_there_is_room(batch: u32) -> Result<()> {
        const WINDOW: usize = 65_535;
        let (near, far) = tokio::io::duplex(1 << 20);
        let (go_on, read) = oneshot::channel();
        let (calls, connection) = h2::client::handshake(near).await?;
        let work = async {
            let mut calls = calls.ready().await?;
            let request = http::Request::post("http://localhost/").body(())?;
            let (response, sender) = calls.send_request(request, false)?;
            drop(calls);
            let mut batches = Batches::new(Case::new(Call::Stream, batch), 1)?;
            // Batches differ in length by a little.
            let most = WINDOW + 2 * batches.next_framed().len();
            let mut sending = Sending { sender, batches, due: HashMap::new() };
            let (mut sent, mut turns) = (0, 0);
            while turns < 100 {
                if sending.has_room() {
                    sent += sending.send(Instant::now())?;
                    assert!(sent <= most, "{sent} bytes were made for a window of {WINDOW}");
                } else {
                    turns += 1;
                    tokio::task::yield_now().await;
                }
            }
            assert!(sent > WINDOW, "{sent} bytes were made for a window of {WINDOW}");
            go_on.send(()).map_err(|()| "the server has ended")?;
            while sent < 1 << 20 {
                if sending.has_room() {
                    sent += sending.send(Instant::now())?;
                } else {
                    turns += 1;
                    assert!(turns < 100_000, "no room for more than {sent} bytes");
                    tokio::task::yield_now().await;
                }
            }
            sending.sender.send_data(Bytes::new(), true)?;
            response.await?;
            Result::Ok(sent)
        };
        let (taken, (), sent) =
            tokio::try_join!(late_reader(far, read), async { Result::Ok(connection.await?) }, work)?;
        assert_eq!(taken, sent);
        Ok(())
    }
}
