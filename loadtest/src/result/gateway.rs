//! What the gateway said of itself while a run went on: a row of looks at its operators' listener.

use serde::{Deserialize, Serialize};

/// The most looks that a result keeps of all gateways together: at one in 5 s, all of them in runs of up to 2 h 45 min.
pub const MOST_LOOKS: usize = 2_000;

/// One gateway, looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    /// The shard that looked, from 1.
    pub shard: u32,
    /// Its operators' listener, `HOST:PORT`.
    pub operate: String,
    /// When its process started, in seconds of Unix time, as the first look found it; none if it does not say.
    pub started_s: Option<f64>,
    /// What was seen, in the order of time. The last one comes after the last answer.
    pub looks: Vec<Look>,
}

/// What was seen in one look, or the most of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When, in seconds from the start of the schedule; of several, the first.
    pub at_s: u32,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Tasks that have not ended; none of a gateway that does not count them.
    pub tasks: Option<u64>,
    /// Events received that have no verdict yet, whoever sent them; none of what is no Headgate gateway.
    pub unsettled: Option<u64>,
    /// Bytes held by the budget for events on their way; likewise.
    pub in_flight_bytes: Option<u64>,
}

impl Look {
    /// The most of two looks, at the time of the first.
    fn most(self, next: Self) -> Self {
        Self {
            at_s: self.at_s,
            resident_bytes: self.resident_bytes.max(next.resident_bytes),
            descriptors: self.descriptors.max(next.descriptors),
            // None is less than any.
            tasks: self.tasks.max(next.tasks),
            unsettled: self.unsettled.max(next.unsettled),
            in_flight_bytes: self.in_flight_bytes.max(next.in_flight_bytes),
        }
    }
}

impl Gateway {
    /// Puts neighbours together until there are at most so many looks, and at least two. Of each pair the most is kept, so
    /// that no peak is lost; the last look, which says how it ended, stays as it is.
    pub fn thin(&mut self, most: usize) {
        let Some(last) = self.looks.pop() else { return };
        while self.looks.len() + 1 > most.max(2) {
            let pairs = self.looks.chunks(2);
            self.looks = pairs.filter_map(|pair| pair.iter().copied().reduce(Look::most)).collect();
        }
        self.looks.push(last);
    }

    /// Whether it is the same process that another shard looked at.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.operate == other.operate && self.started_s.is_some() && self.started_s == other.started_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_s: u32, unsettled: u64) -> Look {
        Look {
            at_s,
            resident_bytes: 1_000 + u64::from(at_s),
            descriptors: 40,
            tasks: (at_s > 60).then_some(9),
            unsettled: Some(unsettled),
            in_flight_bytes: Some(unsettled * 300),
        }
    }

    fn looked_at(looks: u32, of: impl Fn(u32) -> u64) -> Gateway {
        Gateway { looks: (0..looks).map(|place| look(place * 5, of(place))).collect(), ..Gateway::default() }
    }

    /// 119 h, the longest run, with one bad look in it and nothing open at the end.
    #[test]
    fn a_run_of_any_length_keeps_its_peaks_and_its_end_in_2_000_looks() {
        let mut gateway = looked_at(85_680, |place| match place {
            70_001 => 4_321,
            85_679 => 0,
            _ => 17,
        });
        gateway.thin(MOST_LOOKS);
        let looks = &gateway.looks;
        assert!((MOST_LOOKS / 2..=MOST_LOOKS).contains(&looks.len()), "{}", looks.len());
        assert!(looks.windows(2).all(|pair| pair[0].at_s < pair[1].at_s));
        assert_eq!(looks.iter().filter(|look| look.unsettled == Some(4_321)).count(), 1, "the peak is there, once");
        assert_eq!((looks[0].at_s, looks.last().copied()), (0, Some(look(85_679 * 5, 0))));
        assert_eq!(looks[0].tasks, Some(9), "counted in some of its looks");
    }

    #[test]
    fn what_is_short_enough_is_kept_as_it_is() {
        for looks in [0, 1, 2, 2_000] {
            let mut gateway = looked_at(looks, u64::from);
            let before = gateway.clone();
            gateway.thin(MOST_LOOKS);
            assert_eq!(gateway, before);
        }
        let mut gateway = looked_at(2_001, u64::from);
        gateway.thin(MOST_LOOKS);
        assert_eq!(gateway.looks.len(), 1_001);
        gateway.thin(0);
        assert_eq!(gateway.looks.iter().map(|look| look.unsettled).collect::<Vec<_>>(), [Some(1_999), Some(2_000)]);
    }
}
