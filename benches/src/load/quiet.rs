//! Connections with streams on which nothing is sent.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use tokio::task::JoinSet;

use super::{Call, Target, connection};
use crate::Result;

/// See the module. Ends with this value.
pub struct Quiet {
    target: Target,
    calls: Vec<SendRequest<Bytes>>,
    streams: Vec<(SendStream<Bytes>, RecvStream)>,
    drives: JoinSet<()>,
}

impl Quiet {
    /// Opens connections with a stream each.
    ///
    /// # Errors
    /// If one is refused.
    pub async fn open(target: &Target, connections: usize) -> Result<Self> {
        let mut quiet = Self { target: target.clone(), calls: Vec::new(), streams: Vec::new(), drives: JoinSet::new() };
        for number in 0..connections {
            let open = connection::open(target).await?;
            let connection = open.connection;
            quiet.drives.spawn(async move { drop(connection.await) });
            quiet.calls.push(open.calls);
            quiet.open_stream(number).await?;
        }
        Ok(quiet)
    }

    /// Opens so many streams more, on the connections by turns.
    ///
    /// # Errors
    /// If one is refused.
    pub async fn open_streams(&mut self, streams: usize) -> Result<()> {
        for number in 0..streams {
            self.open_stream(number % self.calls.len()).await?;
        }
        Ok(())
    }

    async fn open_stream(&mut self, connection: usize) -> Result<()> {
        let mut calls = self.calls[connection].clone().ready().await?;
        let (response, sender) = calls.send_request(connection::head(&self.target, Call::Stream)?, false)?;
        self.streams.push((sender, connection::body(response.await?)?));
        Ok(())
    }
}
