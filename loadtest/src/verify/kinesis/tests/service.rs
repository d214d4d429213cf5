//! The three calls by which a stream is read, answered from memory over HTTP, with failures where a test asks for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Records in one answer.
const AT_ONCE: usize = 4;

/// A shard.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) records: Vec<Vec<u8>>,
    /// Whether it ends after its records.
    pub(super) closed: bool,
    /// It is listed only once that shard was read to its end.
    pub(super) parent: Option<usize>,
    /// What its next reads fail with.
    pub(super) failures: Vec<&'static str>,
}

impl Kept {
    pub(super) fn of(records: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { records: records.into_iter().collect(), ..Self::default() }
    }
}

struct Streamed {
    shards: Vec<Kept>,
    failures: Vec<VecDeque<&'static str>>,
    ended: BTreeSet<usize>,
    starts: BTreeSet<String>,
}

pub(super) struct Service {
    address: std::net::SocketAddr,
    streamed: Arc<Mutex<Streamed>>,
    _tasks: JoinSet<()>,
}

impl Service {
    pub(super) async fn start(shards: Vec<Kept>) -> Self {
        let failures = shards.iter().map(|shard| shard.failures.iter().copied().collect()).collect();
        let streamed =
            Arc::new(Mutex::new(Streamed { shards, failures, ended: BTreeSet::new(), starts: BTreeSet::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let routes = Router::new().route("/", post(answer)).with_state(streamed.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self { address, streamed, _tasks: tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The instants that iterators began at.
    pub(super) fn starts(&self) -> Vec<String> {
        self.streamed.lock().expect("no panic").starts.iter().cloned().collect()
    }
}

async fn answer(
    State(streamed): State<Arc<Mutex<Streamed>>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let asked: Value = serde_json::from_str(&body).expect("JSON");
    let target = headers["x-amz-target"].to_str().expect("text");
    let mut streamed = streamed.lock().expect("no panic");
    let answered = match target.rsplit('.').next() {
        Some("ListShards") => Ok(streamed.list()),
        Some("GetShardIterator") => Ok(streamed.iterator(&asked)),
        Some("GetRecords") => streamed.records(&asked),
        _ => panic!("{target}"),
    };
    match answered {
        Ok(answer) => (StatusCode::OK, answer.to_string()),
        Err(failure) => {
            (StatusCode::BAD_REQUEST, json!({"__type": failure, "message": "as the test asks"}).to_string())
        }
    }
}

impl Streamed {
    fn list(&self) -> Value {
        let listed = |shard: &Kept| shard.parent.is_none_or(|parent| self.ended.contains(&parent));
        let shard = |(number, _)| {
            json!({
                "ShardId": format!("shardId-{number}"),
                "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "1"},
                "SequenceNumberRange": {"StartingSequenceNumber": "0"},
            })
        };
        let shards: Vec<Value> = (0_usize..).zip(&self.shards).filter(|(_, kept)| listed(kept)).map(shard).collect();
        json!({ "Shards": shards })
    }

    fn iterator(&mut self, asked: &Value) -> Value {
        let shard = asked["ShardId"].as_str().expect("a shard").trim_start_matches("shardId-");
        let position = match asked["ShardIteratorType"].as_str().expect("a type") {
            "AT_TIMESTAMP" => {
                self.starts.insert(asked["Timestamp"].to_string());
                0
            }
            "AFTER_SEQUENCE_NUMBER" => {
                let after = asked["StartingSequenceNumber"].as_str().expect("a number");
                after.parse::<usize>().expect("a number") + 1
            }
            other => panic!("{other}"),
        };
        json!({ "ShardIterator": format!("{shard}:{position}") })
    }

    fn records(&mut self, asked: &Value) -> Result<Value, &'static str> {
        let (shard, position) = asked["ShardIterator"].as_str().expect("one").split_once(':').expect("two parts");
        let (shard, position): (usize, usize) = (shard.parse().expect("a shard"), position.parse().expect("a place"));
        // The first records come before the first failure, so that there is a position to go on from.
        if position > 0
            && let Some(failure) = self.failures[shard].pop_front()
        {
            return Err(failure);
        }
        if position == 0 && self.failures[shard].front() == Some(&"AccessDeniedException") {
            return Err("AccessDeniedException");
        }
        let kept = &self.shards[shard];
        let end = (position + AT_ONCE).min(kept.records.len());
        let record = |place: usize| {
            json!({
                "SequenceNumber": place.to_string(),
                "ApproximateArrivalTimestamp": 1_700_000_100,
                "Data": STANDARD.encode(&kept.records[place]),
                "PartitionKey": "a",
            })
        };
        let records: Vec<Value> = (position..end).map(record).collect();
        let drained = end == kept.records.len();
        let mut answer = json!({ "Records": records, "MillisBehindLatest": u64::from(!drained) });
        if drained && kept.closed {
            self.ended.insert(shard);
        } else {
            answer["NextShardIterator"] = json!(format!("{shard}:{end}"));
        }
        Ok(answer)
    }
}
