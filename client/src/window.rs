//! How many batches may be without an answer at once.
//!
//! Full from the start: a gateway that can take them takes them. When it refuses for want of room or rate, the window is
//! halved, and it is widened by one whenever as many batches are stored as it holds, as in TCP's congestion avoidance. So a
//! throttled client sends what is taken, and not a window full of what is refused.

#[derive(Debug)]
pub(crate) struct Window {
    most: usize,
    now: usize,
    /// Since it was last changed.
    stored: usize,
}

impl Window {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, now: most, stored: 0 }
    }

    pub(crate) fn has_room(&self, in_flight: usize) -> bool {
        in_flight < self.now
    }

    pub(crate) fn stored(&mut self) {
        self.stored += 1;
        if self.stored >= self.now {
            (self.now, self.stored) = ((self.now + 1).min(self.most), 0);
        }
    }

    pub(crate) fn refused(&mut self) {
        (self.now, self.stored) = ((self.now / 2).max(1), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(window: &Window) -> usize {
        (0..).find(|in_flight| !window.has_room(*in_flight)).expect("it ends")
    }

    #[test]
    fn it_halves_when_refused_never_closes_and_opens_again() {
        let mut window = Window::new(8);
        assert_eq!(size(&window), 8);
        window.refused();
        assert_eq!(size(&window), 4);
        for _ in 0..9 {
            window.refused();
        }
        assert_eq!(size(&window), 1);
        let widened: Vec<usize> = std::iter::repeat_with(|| {
            window.stored();
            size(&window)
        })
        .take(6)
        .collect();
        assert_eq!(widened, [2, 2, 3, 3, 3, 4]);
        for _ in 0..100 {
            window.stored();
        }
        assert_eq!(size(&window), 8);
    }
}
