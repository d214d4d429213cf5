//! How much clients may send before it is read.
//!
//! What has come and is not read yet, because answers are not read or the CPU is busy, is charged to nobody. It is bounded
//! by the windows; so the more connections there are, the smaller is the window that the next one gets. A fleet's servers
//! need no large one each: 64 KiB a round trip of a millisecond are 64 MB/s.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the windows of connections share: a connection gets this, divided by how many there are.
const CONNECTIONS: u32 = 8 << 20;
/// The same for the windows of streams, of which most connections have one.
const STREAMS: u32 = 16 << 20;
/// The least: as much as HTTP/2 gives by itself.
const LEAST: u32 = 64 << 10;

/// The windows of a listener's connections.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    stream: u32,
    connection: u32,
    open: Arc<AtomicU32>,
}

/// The windows of one connection, bytes. It counts as open until they drop.
#[derive(Debug)]
pub(super) struct OfConnection {
    pub(super) stream: u32,
    pub(super) connection: u32,
    open: Arc<AtomicU32>,
}

impl Windows {
    /// At most these, bytes.
    pub(super) fn new(stream: u32, connection: u32) -> Self {
        Self { stream, connection, open: Arc::default() }
    }

    /// For a connection that begins.
    pub(super) fn of_next(&self) -> OfConnection {
        let open = self.open.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let stream = (STREAMS / open).max(LEAST).min(self.stream);
        let connection = (CONNECTIONS / open).max(stream).min(self.connection);
        OfConnection { stream, connection, open: Arc::clone(&self.open) }
    }
}

impl Drop for OfConnection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_connections_get_what_is_set_and_many_share() {
        let windows = Windows::new(256 << 10, 1 << 20);
        let mut held: Vec<OfConnection> = (0..1_000).map(|_| windows.of_next()).collect();
        let of = |place: usize, held: &[OfConnection]| (held[place].stream >> 10, held[place].connection >> 10);
        assert_eq!(of(0, &held), (256, 1_024));
        assert_eq!(of(7, &held), (256, 1_024));
        assert_eq!(of(31, &held), (256, 256));
        assert_eq!(of(127, &held), (128, 128));
        assert_eq!(of(999, &held), (64, 64));
        let all: u64 = held.iter().map(|windows| u64::from(windows.connection)).sum();
        assert!(all < 100 << 20, "{all}");
        held.clear();
        assert_eq!(windows.of_next().connection, 1 << 20);
    }

    #[test]
    fn what_is_set_is_the_most() {
        let windows = Windows::new(64 << 10, 64 << 10).of_next();
        assert_eq!((windows.stream, windows.connection), (64 << 10, 64 << 10));
    }
}
