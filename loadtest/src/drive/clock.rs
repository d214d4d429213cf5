//! Game time and real time: how fast the players of a server live, which may change during a run.
//!
//! Both are counted in seconds from the start of the schedule. A server that offers ten times its share is one whose
//! game time passes ten times as fast.

/// Game time as a polyline over real time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GameClock {
    /// Ascending; the first is at 0.
    bends: Vec<Bend>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bend {
    real_s: f64,
    game_s: f64,
    /// Game seconds in a real second from here on.
    speed: f64,
}

impl GameClock {
    pub(crate) fn new(speed: f64) -> Self {
        Self { bends: vec![Bend { real_s: 0.0, game_s: 0.0, speed }] }
    }

    /// From this instant on game time passes at this speed. Changes are given in ascending order.
    pub(crate) fn change(&mut self, real_s: f64, speed: f64) {
        let game_s = self.game_s(real_s);
        self.bends.retain(|bend| bend.real_s < real_s || bend.real_s == 0.0);
        if real_s <= 0.0 {
            self.bends = vec![Bend { real_s: 0.0, game_s: 0.0, speed }];
        } else {
            self.bends.push(Bend { real_s, game_s, speed });
        }
    }

    pub(crate) fn speed_at(&self, real_s: f64) -> f64 {
        self.bend(|bend| bend.real_s <= real_s).speed
    }

    pub(crate) fn game_s(&self, real_s: f64) -> f64 {
        let bend = self.bend(|bend| bend.real_s <= real_s);
        bend.game_s + (real_s - bend.real_s) * bend.speed
    }

    /// The real instants at which the speed changes.
    pub(crate) fn changes(&self) -> impl Iterator<Item = f64> + '_ {
        self.bends.iter().skip(1).map(|bend| bend.real_s)
    }

    fn bend(&self, begun: impl Fn(&Bend) -> bool) -> Bend {
        self.bends.iter().rev().copied().find(begun).unwrap_or(self.bends[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn game_time_bends_where_the_speed_changes() {
        let mut clock = GameClock::new(2.0);
        clock.change(10.0, 20.0);
        clock.change(12.0, 1.0);
        for (real_s, game_s) in [(0.0, 0.0), (5.0, 10.0), (10.0, 20.0), (11.0, 40.0), (12.0, 60.0), (15.0, 63.0)] {
            assert!((clock.game_s(real_s) - game_s).abs() < 1e-9, "{real_s}");
        }
        assert_eq!((clock.speed_at(9.0), clock.speed_at(10.0), clock.speed_at(50.0)), (2.0, 20.0, 1.0));
        assert_eq!(clock.changes().collect::<Vec<_>>(), [10.0, 12.0]);
        let mut from_the_start = GameClock::new(2.0);
        from_the_start.change(0.0, 6.0);
        assert_eq!(from_the_start, GameClock::new(6.0));
    }
}
