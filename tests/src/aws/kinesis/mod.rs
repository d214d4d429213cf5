//! Kinesis Data Streams: streams whose shards divide the hash keys, can be split and merged while records come in, and
//! keep to the service's limits.

mod admin;
mod list;
mod put;
mod read;
mod shard;
mod stream;

pub use shard::{ShardView, Stored};
pub use stream::{Stream, StreamSettings};

use super::call::Done;
use super::error::Refusal;
use super::parse::Body;
use super::state::State;

pub(super) fn run(state: &State, operation: &str, body: &Body, withheld: usize) -> Result<Done, Refusal> {
    match operation {
        "PutRecords" => put::put_records(state, body, withheld),
        "PutRecord" => put::put_record(state, body),
        "GetShardIterator" => read::get_shard_iterator(state, body.read()?),
        "GetRecords" => read::get_records(state, &body.read()?),
        "ListShards" => list::list_shards(state, &body.read()?),
        _ => admin::run(state, operation, body),
    }
}
