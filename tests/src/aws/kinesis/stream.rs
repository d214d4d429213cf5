//! A data stream: its shards, and which of them is open for which hash key.

use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use tokio::time::Instant;

use super::super::error::Refusal;
use super::super::hash;
use super::super::throttle::Throttle;
use super::shard::{Shard, ShardView};

/// How a data stream is created.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// Its name.
    pub name: String,
    /// How many shards it begins with.
    pub shards: u32,
    /// Whether it is an on-demand stream; otherwise it is provisioned.
    pub on_demand: bool,
    /// Whether Kinesis distributes the records itself (`RecordDistributionStrategy` AUTO) and ignores all keys.
    pub auto: bool,
    /// The largest record, data and partition key, in KiB: 1024 to 10240.
    pub max_record_kib: u32,
}

impl StreamSettings {
    /// A provisioned stream with Kinesis's defaults.
    #[must_use]
    pub fn new(name: &str, shards: u32) -> Self {
        Self { name: name.to_owned(), shards, on_demand: false, auto: false, max_record_kib: 1_024 }
    }
}

/// See the module.
pub struct Stream {
    pub(super) name: String,
    pub(super) on_demand: bool,
    pub(super) keep: bool,
    /// The same moment on both clocks: the records carry the first, AWS's answers the second.
    pub(super) created: (Instant, SystemTime),
    throttle: Option<f64>,
    table: Mutex<Table>,
}

/// What changes while a stream runs.
pub(super) struct Table {
    pub(super) shards: Vec<Shard>,
    /// The open shards' numbers, in the order of their hash keys.
    open: Vec<u32>,
    pub(super) next_sequence: u64,
    turn: usize,
    pub(super) auto: bool,
    pub(super) max_record_kib: u32,
}

impl Table {
    /// The open shard that a hash key belongs to.
    pub(super) fn route(&self, hash_key: u128) -> u32 {
        self.open[self.open.partition_point(|number| self.shards[*number as usize].last < hash_key)]
    }

    /// The open shard whose turn it is.
    pub(super) fn next_in_turn(&mut self) -> u32 {
        self.turn = (self.turn + 1) % self.open.len();
        self.open[self.turn]
    }

    pub(super) fn open_shards(&self) -> usize {
        self.open.len()
    }

    fn sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    fn reopen(&mut self) {
        let open = (0..self.shards.len()).filter(|number| self.shards[*number].closed_at.is_none());
        let mut open: Vec<u32> = open.map(|number| u32::try_from(number).expect("few shards")).collect();
        open.sort_by_key(|number| self.shards[*number as usize].first);
        self.open = open;
    }

    fn open_shard(&self, number: u32) -> Result<&Shard, Refusal> {
        let shard = self.shards.get(number as usize).ok_or_else(|| Refusal::not_found("the shard"))?;
        if shard.closed_at.is_some() {
            return Err(Refusal::invalid("the shard is closed; name an open one"));
        }
        Ok(shard)
    }
}

impl Stream {
    pub(in super::super) fn new(settings: StreamSettings, throttle: Option<f64>, keep: bool) -> Self {
        let shards = settings.shards.max(1);
        let shard = |number| Shard::new(hash::equal_range(number, shards), [None, None], 0, throttle);
        let mut table = Table {
            shards: (0..shards).map(shard).collect(),
            open: Vec::new(),
            next_sequence: 0,
            turn: 0,
            auto: settings.auto,
            max_record_kib: settings.max_record_kib,
        };
        table.reopen();
        let created = (Instant::now(), SystemTime::now());
        let (name, on_demand) = (settings.name, settings.on_demand);
        Self { name, on_demand, keep, created, throttle, table: Mutex::new(table) }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics with it")
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", self.name)
    }

    /// What each of its shards holds now, closed ones too.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardView> {
        (0..).zip(&self.table().shards).map(|(number, shard)| shard.view(number)).collect()
    }

    /// Switches between distribution by Kinesis (AUTO) and by the records' keys.
    pub fn set_auto(&self, auto: bool) {
        self.table().auto = auto;
    }

    /// Sets one shard's write limit, as a multiple of Kinesis's; `None` lifts it.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn limit_shard(&self, shard: u32, multiple: Option<f64>) {
        let throttle = multiple.map(|multiple| Throttle::new(multiple, Instant::now()));
        self.table().shards[shard as usize].throttle = throttle;
    }

    /// Splits an open shard in the middle; gives the children's numbers.
    ///
    /// # Panics
    /// If the shard is closed, missing or one hash key wide.
    pub fn split(&self, shard: u32) -> (u32, u32) {
        let middle = {
            let table = self.table();
            let shard = &table.shards[shard as usize];
            shard.first + (shard.last - shard.first).div_ceil(2)
        };
        self.split_at(shard, middle).expect("an open shard can be split")
    }

    /// Merges two open shards that lie side by side; gives the child's number.
    ///
    /// # Panics
    /// If they do not.
    pub fn merge(&self, shard: u32, adjacent: u32) -> u32 {
        self.merge_with(shard, adjacent).expect("open neighbours can be merged")
    }

    pub(super) fn split_at(&self, number: u32, at: u128) -> Result<(u32, u32), Refusal> {
        let mut table = self.table();
        let (first, last) = table.open_shard(number).map(|shard| (shard.first, shard.last))?;
        if !(first < at && at <= last) {
            return Err(Refusal::invalid("NewStartingHashKey lies outside of the shard or at its start"));
        }
        let children = [(first, at - 1), (at, last)];
        let [lower, upper] = self.replace(&mut table, &[number], children);
        Ok((lower, upper))
    }

    pub(super) fn merge_with(&self, number: u32, adjacent: u32) -> Result<u32, Refusal> {
        let mut table = self.table();
        let (one, other) = (table.open_shard(number)?, table.open_shard(adjacent)?);
        let (lower, upper) = if one.first < other.first { (one, other) } else { (other, one) };
        if lower.last.checked_add(1) != Some(upper.first) {
            return Err(Refusal::invalid("the shards are not adjacent"));
        }
        let range = (lower.first, upper.last);
        let [child] = self.replace(&mut table, &[number, adjacent], [range]);
        Ok(child)
    }

    fn replace<const N: usize>(&self, table: &mut Table, old: &[u32], ranges: [(u128, u128); N]) -> [u32; N] {
        for number in old {
            let closed_at = table.sequence();
            table.shards[*number as usize].closed_at = Some(closed_at);
        }
        let parents = [old.first().copied(), old.get(1).copied()];
        let numbers = ranges.map(|range| {
            let opened_at = table.sequence();
            table.shards.push(Shard::new(range, parents, opened_at, self.throttle));
            u32::try_from(table.shards.len() - 1).expect("few shards")
        });
        table.reopen();
        numbers
    }
}
