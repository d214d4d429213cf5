//! ListShards, in pages. The filters by time are not played.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::answer::Answer;
use super::super::call::Done;
use super::super::error::Refusal;
use super::super::state::State;
use super::admin::StreamRef;
use super::shard::{Shard, sequence_number, shard_id, shard_number};
use super::stream::Stream;

const LIST_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListShards {
    #[serde(flatten)]
    stream: StreamRef,
    next_token: Option<String>,
    max_results: Option<usize>,
    exclusive_start_shard_id: Option<String>,
    shard_filter: Option<ShardFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardFilter {
    #[serde(rename = "Type")]
    kind: String,
    shard_id: Option<String>,
}

/// What a list goes on with, which a token carries because a call with a token may name neither stream nor filter.
struct Listing {
    stream: Arc<Stream>,
    open_only: bool,
    roots_only: bool,
    from: u32,
}

impl Listing {
    fn of(state: &State, input: &ListShards) -> Result<Self, Refusal> {
        if let Some(token) = &input.next_token {
            if input.stream.stream_name.is_some() || input.shard_filter.is_some() {
                return Err(Refusal::invalid("with NextToken give neither StreamName nor ShardFilter"));
            }
            return Self::of_token(state, token).ok_or_else(|| Refusal::invalid("the NextToken is none of this"));
        }
        let stream = input.stream.find(state)?;
        let after = |id: &Option<String>| id.as_deref().and_then(shard_number).map_or(0, |number| number + 1);
        let mut listing =
            Self { stream, open_only: false, roots_only: false, from: after(&input.exclusive_start_shard_id) };
        match input.shard_filter.as_ref().map(|filter| (filter.kind.as_str(), filter)) {
            None | Some(("FROM_TRIM_HORIZON", _)) => {}
            Some(("AT_TRIM_HORIZON", _)) => listing.roots_only = true,
            Some(("AT_LATEST", _)) => listing.open_only = true,
            Some(("AFTER_SHARD_ID", filter)) => listing.from = after(&filter.shard_id),
            Some((other, _)) => return Err(Refusal::invalid(format!("the stand-in has no shard filter '{other}'"))),
        }
        Ok(listing)
    }

    fn token(&self, from: u32) -> String {
        format!("{}:{}:{}:{from}", self.stream.name, u8::from(self.open_only), u8::from(self.roots_only))
    }

    fn of_token(state: &State, token: &str) -> Option<Self> {
        let mut parts = token.rsplitn(4, ':');
        let (from, roots, open, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let stream = state.stream(name)?;
        Some(Self { stream, open_only: open == "1", roots_only: roots == "1", from: from.parse().ok()? })
    }

    fn includes(&self, shard: &Shard) -> bool {
        !(self.open_only && shard.closed_at.is_some() || self.roots_only && shard.parent.is_some())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HashKeyRange {
    starting_hash_key: String,
    ending_hash_key: String,
}

impl HashKeyRange {
    pub(super) fn of(shard: &Shard) -> Self {
        Self { starting_hash_key: shard.first.to_string(), ending_hash_key: shard.last.to_string() }
    }
}

pub(super) fn list_shards(state: &State, input: &ListShards) -> Result<Done, Refusal> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        shards: Vec<Described>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Described {
        shard_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent_shard_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        adjacent_parent_shard_id: Option<String>,
        hash_key_range: HashKeyRange,
        sequence_number_range: SequenceNumberRange,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct SequenceNumberRange {
        starting_sequence_number: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        ending_sequence_number: Option<String>,
    }
    let listing = Listing::of(state, input)?;
    let most = input.max_results.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
    let table = listing.stream.table();
    let mut rest = (0..).zip(&table.shards).skip(listing.from as usize).filter(|(_, shard)| listing.includes(shard));
    let shards = rest.by_ref().take(most).map(|(number, shard)| Described {
        shard_id: shard_id(number),
        parent_shard_id: shard.parent.map(shard_id),
        adjacent_parent_shard_id: shard.adjacent_parent.map(shard_id),
        hash_key_range: HashKeyRange::of(shard),
        sequence_number_range: SequenceNumberRange {
            starting_sequence_number: sequence_number(shard.opened_at),
            ending_sequence_number: shard.closed_at.map(sequence_number),
        },
    });
    let shards = shards.collect();
    let next_token = rest.next().map(|(number, _)| listing.token(number));
    Ok(Answer::json(&Output { shards, next_token }).into())
}
