//! How many batches may be without an answer at once.
//!
//! Full from the start: a gateway that can take them takes them. When it refuses for want of room or rate, the window is
//! halved, and each batch that is stored widens it by one, as TCP's congestion avoidance does; so a throttled client sends
//! what is taken, and not a window full of what is refused.

#[derive(Debug)]
pub(crate) struct Window {
    most: usize,
    now: usize,
}

impl Window {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, now: most }
    }

    pub(crate) fn has_room(&self, in_flight: usize) -> bool {
        in_flight < self.now
    }

    pub(crate) fn stored(&mut self) {
        self.now = (self.now + 1).min(self.most);
    }

    pub(crate) fn refused(&mut self) {
        self.now = (self.now / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_when_refused_never_closes_and_opens_again() {
        let mut window = Window::new(8);
        assert!(window.has_room(7) && !window.has_room(8));
        window.refused();
        assert!(window.has_room(3) && !window.has_room(4));
        for _ in 0..9 {
            window.refused();
        }
        assert!(window.has_room(0) && !window.has_room(1));
        for _ in 0..20 {
            window.stored();
        }
        assert!(window.has_room(7) && !window.has_room(8));
    }
}
