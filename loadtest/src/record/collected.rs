//! What was recorded, brought together: totals for each class, and an interval for each second.

use std::collections::BTreeMap;

use super::second::Second;
use super::{Latencies, Ledger};
use crate::result::{Class, Interval, Series};

/// Intervals kept; past twice as many, neighbours are taken together.
const INTERVALS: usize = 3_600;
/// Different problems told apart; their texts may contain anything.
const PROBLEMS: usize = 256;

/// What a shard recorded since the collection before; of its ledger, all.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) ledger: Ledger,
    pub(super) connect: Latencies,
    pub(super) seconds: Vec<Second>,
    pub(super) problems: BTreeMap<String, u64>,
}

/// Whose it is: the class's index, its name if there are several, and whether it is of game servers.
pub(super) struct Of<'a> {
    pub(super) class: usize,
    pub(super) name: Option<&'a str>,
    pub(super) main: bool,
}

/// The state of a run by the latest collection.
pub(crate) struct Collected {
    /// By the index of the class.
    pub(crate) classes: Vec<Class>,
    /// All classes together.
    pub(crate) ledger: Ledger,
    /// Of the game servers: what clients that misbehave or wait for answers see is theirs alone.
    pub(crate) latencies: Series,
    /// `ack` since somebody took it.
    pub(crate) window: Latencies,
    /// Ascending and without a gap, each as wide as `width`.
    pub(crate) intervals: Vec<Interval>,
    width: u32,
    pub(crate) batches: u64,
    pub(crate) problems: BTreeMap<String, u64>,
    pub(crate) connections: u64,
    pub(crate) reconnects: u64,
    pub(crate) online: u64,
    pub(crate) held: u64,
}

impl Collected {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            classes: (0..classes).map(|_| Class::default()).collect(),
            ledger: Ledger::default(),
            latencies: Series::default(),
            window: Latencies::default(),
            intervals: Vec::new(),
            width: 1,
            batches: 0,
            problems: BTreeMap::new(),
            connections: 0,
            reconnects: 0,
            online: 0,
            held: 0,
        }
    }

    /// Events of game servers that became due, and that were never sent because too many batches were unanswered.
    pub(crate) fn offered(&self, main: impl Fn(usize) -> bool) -> (u64, u64) {
        let of_main = self.classes.iter().enumerate().filter(|(class, _)| main(*class));
        of_main.fold((0, 0), |(due, overflow), (_, class)| (due + class.ledger.due, overflow + class.ledger.overflow))
    }

    /// Ledgers are counted anew in each collection; everything else adds up.
    pub(super) fn begin(&mut self) {
        self.ledger = Ledger::default();
        for class in &mut self.classes {
            class.ledger = Ledger::default();
        }
    }

    pub(super) fn take_in(&mut self, of: &Of<'_>, taken: Taken) {
        let Of { class, name, main } = *of;
        let Taken { ledger, connect, seconds, problems } = &taken;
        self.ledger.add(ledger);
        if main {
            self.latencies.connect.add(connect);
        }
        for second in seconds {
            if !main {
                second.add_to_class(self.interval(second.at), name);
                continue;
            }
            self.latencies.ack.add(&second.ack);
            self.latencies.service.add(&second.service);
            self.latencies.event_age.add(&second.event_age);
            self.latencies.lag.add(&second.lag);
            self.window.add(&second.ack);
            self.batches += second.batches;
            second.add_to(self.interval(second.at), name);
        }
        let class = &mut self.classes[class];
        class.ledger.add(ledger);
        class.latencies.connect.add(connect);
        for second in seconds {
            class.latencies.ack.add(&second.ack);
            class.latencies.service.add(&second.service);
            class.latencies.event_age.add(&second.event_age);
            class.latencies.lag.add(&second.lag);
            for (code, batches) in &second.codes {
                *class.codes.entry((*code).to_owned()).or_default() += batches;
            }
        }
        for (what, times) in problems {
            if self.problems.len() < PROBLEMS || self.problems.contains_key(what) {
                *self.problems.entry(what.clone()).or_default() += times;
            }
        }
    }

    /// The interval that a second lies in.
    pub(crate) fn interval(&mut self, second: u32) -> &mut Interval {
        while (second / self.width) as usize >= 2 * INTERVALS {
            self.halve();
        }
        let place = (second / self.width) as usize;
        while self.intervals.len() <= place {
            let at = self.intervals.len() as u32 * self.width;
            self.intervals.push(Interval { at, width: self.width, ..Interval::default() });
        }
        &mut self.intervals[place]
    }

    fn halve(&mut self) {
        let intervals = std::mem::take(&mut self.intervals);
        self.width *= 2;
        for (place, interval) in intervals.into_iter().enumerate() {
            match self.intervals.last_mut().filter(|_| place % 2 == 1) {
                Some(before) => before.append(&interval),
                None => self.intervals.push(interval),
            }
        }
        // The last one is as wide as the others: the run goes on within it.
        if let Some(last) = self.intervals.last_mut() {
            last.width = self.width;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Eight hours, a second each, with a straggler of the first minute at the end.
    #[test]
    fn a_long_run_keeps_its_counts_in_few_intervals() {
        let mut collected = Collected::new(1);
        for at in (0..28_800).chain([59]) {
            let mut second = Second::new(at);
            second.due = 7;
            second.ack.record_us(1_000, 7);
            let taken = Taken { seconds: vec![second], ..Taken::default() };
            collected.take_in(&Of { class: 0, name: None, main: true }, taken);
        }
        assert!(collected.intervals.len() <= 2 * INTERVALS, "{} intervals", collected.intervals.len());
        assert_eq!(collected.intervals.iter().map(|interval| interval.due).sum::<u64>(), 7 * 28_801);
        assert_eq!(collected.latencies.ack.count(), 7 * 28_801);
        for (place, interval) in collected.intervals.iter().enumerate() {
            assert_eq!((interval.at, interval.width), (place as u32 * collected.width, collected.width));
        }
    }
}
