//! TCP with nothing above it: what reading batches off sockets costs, and a small answer to each.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Result;
use crate::load::ANSWER;

/// As much as is read at once.
const BUFFER: usize = 64 << 10;
/// A byte, and four bytes of the length: how gRPC frames messages.
const PREFIX: usize = 5;

/// Takes connections until the process ends.
pub(super) async fn listen(listener: TcpListener) -> Result<()> {
    let mut clients = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // A client that is gone is nobody's trouble.
        clients.spawn(async move { drop(answer(socket).await) });
        while clients.try_join_next().is_some() {}
    }
}

async fn answer(mut socket: TcpStream) -> Result<()> {
    let mut read = BytesMut::with_capacity(BUFFER);
    // Bytes of the current message that have not come yet.
    let mut missing = 0;
    let mut answers = Vec::new();
    loop {
        read.reserve(BUFFER);
        if socket.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        loop {
            let taken = read.len().min(missing);
            read.advance(taken);
            missing -= taken;
            if missing > 0 || read.len() < PREFIX {
                break;
            }
            let length = read[1..PREFIX].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            read.advance(PREFIX);
            missing = length;
            answers.extend_from_slice(&[0; ANSWER]);
        }
        socket.write_all(&answers).await?;
        answers.clear();
    }
}
