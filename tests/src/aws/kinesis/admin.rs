//! Creating, describing and resharding streams through the API.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::super::answer::Answer;
use super::super::call::Done;
use super::super::error::Refusal;
use super::super::hash;
use super::super::parse::Body;
use super::super::state::State;
use super::shard::shard_number;
use super::stream::{Stream, StreamSettings};

/// What an on-demand stream begins with.
const ON_DEMAND_SHARDS: u32 = 4;

pub(super) fn run(state: &State, operation: &str, body: &Body) -> Result<Done, Refusal> {
    match operation {
        "CreateStream" => create(state, body.read()?),
        "DescribeStreamSummary" => describe(&*body.read::<StreamRef>()?.find(state)?),
        "SplitShard" => split(state, &body.read()?),
        "MergeShards" => merge(state, &body.read()?),
        "UpdateStreamRecordDistributionStrategy" => update_distribution(state, &body.read()?),
        "UpdateMaxRecordSize" => update_max_record_size(state, &body.read()?),
        _ => Err(Refusal::unknown_operation(operation)),
    }
}

/// A stream as calls name it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StreamRef {
    pub(super) stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

impl StreamRef {
    pub(super) fn find(&self, state: &State) -> Result<Arc<Stream>, Refusal> {
        let of_arn = || self.stream_arn.as_ref()?.split_once(":stream/").map(|(_, name)| name);
        let name = self.stream_name.as_deref().or_else(of_arn);
        let name = name.ok_or_else(|| Refusal::invalid("give StreamName or StreamARN"))?;
        state.stream(name).ok_or_else(|| Refusal::not_found(name))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamModeDetails {
    stream_mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateStream {
    stream_name: String,
    shard_count: Option<u32>,
    stream_mode_details: Option<StreamModeDetails>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_kib: Option<u32>,
    record_distribution_strategy: Option<String>,
}

fn create(state: &State, input: CreateStream) -> Result<Done, Refusal> {
    let on_demand = input.stream_mode_details.is_some_and(|details| details.stream_mode == "ON_DEMAND");
    let auto = input.record_distribution_strategy.as_deref() == Some("AUTO");
    let shards = match (input.shard_count, on_demand) {
        (Some(shards @ 1..), false) => shards,
        (None, true) => ON_DEMAND_SHARDS,
        (_, false) => return Err(Refusal::invalid("a provisioned stream needs a ShardCount of at least 1")),
        (Some(_), true) => return Err(Refusal::invalid("an on-demand stream takes no ShardCount")),
    };
    if auto && !on_demand {
        return Err(Refusal::invalid("only on-demand streams distribute records by themselves"));
    }
    let max_record_kib = checked_record_size(input.max_record_size_in_kib.unwrap_or(1_024))?;
    let name = input.stream_name;
    state.create_stream(StreamSettings { name, shards, on_demand, auto, max_record_kib })?;
    Ok(empty())
}

fn checked_record_size(kib: u32) -> Result<u32, Refusal> {
    match kib {
        1_024..=10_240 => Ok(kib),
        _ => Err(Refusal::validation("MaxRecordSizeInKiB is 1024 to 10240")),
    }
}

fn empty() -> Done {
    Answer::bytes(b"{}".to_vec()).into()
}

fn describe(stream: &Stream) -> Result<Done, Refusal> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output<'a> {
        stream_description_summary: Summary<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Summary<'a> {
        stream_name: &'a str,
        #[serde(rename = "StreamARN")]
        stream_arn: String,
        stream_status: &'a str,
        stream_mode_details: StreamModeDetails,
        retention_period_hours: u32,
        stream_creation_timestamp: f64,
        enhanced_monitoring: [(); 0],
        encryption_type: &'a str,
        open_shard_count: usize,
        consumer_count: u32,
        #[serde(rename = "MaxRecordSizeInKiB")]
        max_record_size_in_kib: u32,
        record_distribution_strategy: &'a str,
    }
    let table = stream.table();
    let mode = if stream.on_demand { "ON_DEMAND" } else { "PROVISIONED" };
    let stream_description_summary = Summary {
        stream_name: &stream.name,
        stream_arn: stream.arn(),
        stream_status: "ACTIVE",
        stream_mode_details: StreamModeDetails { stream_mode: mode.to_owned() },
        retention_period_hours: 24,
        stream_creation_timestamp: stream.created.1.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        enhanced_monitoring: [],
        encryption_type: "NONE",
        open_shard_count: table.open_shards(),
        consumer_count: 0,
        max_record_size_in_kib: table.max_record_kib,
        record_distribution_strategy: if table.auto { "AUTO" } else { "USER_PARTITION_KEY" },
    };
    Ok(Answer::json(&Output { stream_description_summary }).into())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SplitShard {
    #[serde(flatten)]
    stream: StreamRef,
    shard_to_split: String,
    new_starting_hash_key: String,
}

fn split(state: &State, input: &SplitShard) -> Result<Done, Refusal> {
    let stream = provisioned(input.stream.find(state)?)?;
    let at = hash::parse(&input.new_starting_hash_key);
    let at = at.map_err(|_| Refusal::invalid("NewStartingHashKey is no hash key"))?;
    stream.split_at(shard_number(&input.shard_to_split).unwrap_or(u32::MAX), at)?;
    Ok(empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MergeShards {
    #[serde(flatten)]
    stream: StreamRef,
    shard_to_merge: String,
    adjacent_shard_to_merge: String,
}

fn merge(state: &State, input: &MergeShards) -> Result<Done, Refusal> {
    let stream = provisioned(input.stream.find(state)?)?;
    let number = |id: &str| shard_number(id).unwrap_or(u32::MAX);
    stream.merge_with(number(&input.shard_to_merge), number(&input.adjacent_shard_to_merge))?;
    Ok(empty())
}

fn provisioned(stream: Arc<Stream>) -> Result<Arc<Stream>, Refusal> {
    if stream.on_demand {
        return Err(Refusal::validation("an on-demand stream reshards by itself"));
    }
    Ok(stream)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateDistribution {
    #[serde(flatten)]
    stream: StreamRef,
    record_distribution_strategy: String,
}

fn update_distribution(state: &State, input: &UpdateDistribution) -> Result<Done, Refusal> {
    let stream = input.stream.find(state)?;
    let auto = input.record_distribution_strategy == "AUTO";
    if auto && !stream.on_demand {
        return Err(Refusal::invalid("only on-demand streams distribute records by themselves"));
    }
    stream.set_auto(auto);
    Ok(empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateMaxRecordSize {
    #[serde(flatten)]
    stream: StreamRef,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_kib: u32,
}

fn update_max_record_size(state: &State, input: &UpdateMaxRecordSize) -> Result<Done, Refusal> {
    let kib = checked_record_size(input.max_record_size_in_kib)?;
    input.stream.find(state)?.table().max_record_kib = kib;
    Ok(empty())
}
