//! Who sends, and how badly they behave.

use std::time::Duration;

use serde::Serialize;

use crate::load::Shape;
use crate::seed::Draw;

/// For each of the two applications.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientsPlan {
    /// Streams, each on a connection of its own.
    pub streams: usize,
    /// How many of them stay when they are asked to leave.
    pub stubborn: usize,
    /// How many of them now and then do not read.
    pub slow_readers: usize,
    /// Batches of one stream that wait for their answers.
    pub window: usize,
    /// Workers that publish in unary calls.
    pub unary: usize,
    /// Events in a batch, at most.
    pub batch: u64,
    /// Between two new batches of one worker, milliseconds.
    pub pace_ms: u64,
    /// One call in so many is given up; 0: none.
    pub cancel_one_in: u64,
    /// One batch in so many is sent twice at the same time; 0: none.
    pub echo_one_in: u64,
    /// One batch in so many is sent again after it was acknowledged; 0: none.
    pub repeat_one_in: u64,
    /// One batch in so many is not sent again when it was not stored; 0: none.
    pub forget_one_in: u64,
}

impl ClientsPlan {
    pub(super) fn draw(draw: &mut Draw) -> Self {
        let streams = small(draw, 1, 3);
        Self {
            streams,
            stubborn: usize::from(draw.within(1..=4) == 1),
            slow_readers: usize::from(streams > 1 && draw.within(1..=3) == 1),
            window: [1, 4, 16][small(draw, 0, 2)],
            unary: small(draw, 1, 3),
            batch: [1, 8, 40, 120][small(draw, 0, 3)],
            pace_ms: draw.within(8..=30),
            cancel_one_in: [0, 0, 40][small(draw, 0, 2)],
            echo_one_in: [0, 10, 3][small(draw, 0, 2)],
            repeat_one_in: [0, 10][small(draw, 0, 1)],
            forget_one_in: [0, 3][small(draw, 0, 1)],
        }
    }

    /// The same for a load. `restarts`: whether the gateway is started anew on the way, and forgets what it has seen.
    #[must_use]
    pub fn shape(&self, restarts: bool) -> Shape {
        Shape {
            streams: self.streams,
            stubborn: self.stubborn,
            window: self.window,
            unary: self.unary,
            batch: 1..=self.batch,
            pace: Duration::from_millis(self.pace_ms),
            slow_readers: self.slow_readers,
            cancel_one_in: self.cancel_one_in,
            echo_one_in: self.echo_one_in,
            repeat_one_in: if restarts { 0 } else { self.repeat_one_in },
            forget_one_in: self.forget_one_in,
        }
    }
}

fn small(draw: &mut Draw, from: u64, to: u64) -> usize {
    usize::try_from(draw.within(from..=to)).expect("a small number")
}
