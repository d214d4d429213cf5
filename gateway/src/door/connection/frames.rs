//! Watches a client's HTTP/2 frames for floods: frames that cost the gateway work and the client next to nothing, such as
//! streams that are reset as soon as they are opened (CVE-2023-44487), PING, SETTINGS, PRIORITY and empty frames.
//!
//! The library under us bounds what they take of memory, but answers each of them. So they are counted, and a connection
//! with too many of them ends. Only the frames' heads are looked at: nine bytes a frame, whatever it holds.

use std::time::Duration;

use tokio::time::Instant;

/// Over which time they are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// Length, type, flags, stream: RFC 9113, 4.1.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
/// Of SETTINGS and PING: an answer. Of DATA and HEADERS the same bit ends the stream.
const ACK: u8 = 1;

/// Counts the control frames of one connection.
#[derive(Debug)]
pub(super) struct FrameWatch {
    /// Frames a second, and at once.
    limit: u32,
    counted: u32,
    since: Option<Instant>,
    at: At,
}

/// A connection has sent too many control frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood;

#[derive(Debug)]
enum At {
    /// So many bytes follow that are no frame's head: the preface, or a frame's payload.
    Within(usize),
    Head([u8; HEAD], usize),
}

impl FrameWatch {
    /// For a connection whose first `preface` bytes are no frames.
    pub(super) fn new(limit: u32, preface: usize) -> Self {
        Self { limit, counted: 0, since: None, at: At::Within(preface) }
    }

    /// Looks at what has arrived. The clock is asked once for every `limit` frames.
    pub(super) fn receive(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Flood> {
        while !bytes.is_empty() {
            match &mut self.at {
                At::Within(left) => {
                    let skipped = (*left).min(bytes.len());
                    *left -= skipped;
                    bytes = &bytes[skipped..];
                    if *left == 0 {
                        self.at = At::Head([0; HEAD], 0);
                    }
                }
                At::Head(head, filled) => {
                    let taken = (HEAD - *filled).min(bytes.len());
                    head[*filled..*filled + taken].copy_from_slice(&bytes[..taken]);
                    *filled += taken;
                    bytes = &bytes[taken..];
                    if *filled == HEAD {
                        let [a, b, c, kind, flags, ..] = *head;
                        let length = u32::from_be_bytes([0, a, b, c]) as usize;
                        self.at = if length == 0 { At::Head([0; HEAD], 0) } else { At::Within(length) };
                        if is_control(kind, flags, length) {
                            self.count(&now)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, now: impl Fn() -> Instant) -> Result<(), Flood> {
        let since = *self.since.get_or_insert_with(&now);
        self.counted += 1;
        if self.counted <= self.limit {
            return Ok(());
        }
        let now = now();
        if now.duration_since(since) < WINDOW {
            return Err(Flood);
        }
        (self.counted, self.since) = (1, Some(now));
        Ok(())
    }
}

/// Calls, messages and what they need are not counted; they have limits of their own. Nor is WINDOW_UPDATE, of which some
/// clients send one for each answer, and which is answered by nothing.
fn is_control(kind: u8, flags: u8, length: usize) -> bool {
    match kind {
        DATA => length == 0 && flags & ACK == 0,
        SETTINGS | PING => flags & ACK == 0,
        HEADERS | PUSH_PROMISE | WINDOW_UPDATE => false,
        // RST_STREAM, PRIORITY, GOAWAY, CONTINUATION, and types that nobody knows.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING_FRAME: [u8; 17] = [0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const RESET: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    const EMPTY_DATA: [u8; 9] = [0, 0, 0, DATA, 0, 0, 0, 0, 1];

    #[test]
    fn as_many_as_the_limit_pass_each_second() {
        let (mut watch, began) = (FrameWatch::new(10, 0), Instant::now());
        for second in 0..3 {
            for _ in 0..10 {
                assert_eq!(watch.receive(&PING_FRAME, || began + WINDOW * second), Ok(()));
            }
        }
        for _ in 0..10 {
            assert_eq!(watch.receive(&RESET, || began + WINDOW * 3), Ok(()));
        }
        assert_eq!(watch.receive(&EMPTY_DATA, || began + WINDOW * 3), Err(Flood));
    }

    #[test]
    fn what_calls_are_made_of_is_never_a_flood() {
        let mut watch = FrameWatch::new(1, 24);
        assert_eq!(watch.receive(&[7; 24], Instant::now), Ok(()));
        // A payload that looks like control frames, an answer to SETTINGS, the end of a stream, a window's update.
        let payload: Vec<u8> = RESET.repeat(50);
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let data = [&length[1..], &[DATA, 0, 0, 0, 0, 1], &payload].concat();
        let end = [0, 0, 0, DATA, 1, 0, 0, 0, 1];
        let ack = [0, 0, 0, SETTINGS, 1, 0, 0, 0, 0];
        let update = [0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 0, 0, 0, 1, 0];
        let all = [&data[..], &end, &ack, &update].concat().repeat(100);
        for piece in all.chunks(7) {
            assert_eq!(watch.receive(piece, Instant::now), Ok(()));
        }
    }
}
