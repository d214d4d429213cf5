//! A bare TCP connection: keeps so many batches on their way, sends one for each answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::batch::Batches;
use super::{ANSWER, Shared, Target};
use crate::Result;

pub(super) async fn open(target: &Target) -> Result<TcpStream> {
    let socket = TcpStream::connect(target.address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

pub(super) async fn run(mut socket: TcpStream, mut batches: Batches, shared: Arc<Shared>) -> Result<()> {
    let (mut answers, mut sender) = socket.split();
    let mut answer = [0; 64 * ANSWER];
    let (mut in_flight, mut read) = (0, 0);
    loop {
        while in_flight < shared.in_flight && shared.may_send() {
            sender.write_all(&batches.next_framed()).await?;
            in_flight += 1;
        }
        if in_flight == 0 {
            return Ok(());
        }
        let came = answers.read(&mut answer).await?;
        if came == 0 {
            return Err("the server closed the connection before it had answered everything".into());
        }
        read += came;
        let answered = read / ANSWER;
        read %= ANSWER;
        in_flight = in_flight.checked_sub(answered).ok_or("the server answered more than it was sent")?;
        let events = u64::try_from(answered)? * u64::from(shared.case.batch);
        shared.accepted.fetch_add(events, Ordering::Relaxed);
    }
}
