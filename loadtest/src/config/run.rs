//! The resolved settings of a run, which its result carries.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::workload::Model;

/// The settings of a run. Secrets are no part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The scenario's name.
    pub scenario: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// The gateway, such as `http://127.0.0.1:50051`; `https://` for TLS.
    pub endpoint: String,
    /// Who drives the game servers.
    pub driver: Driver,
    /// How batches travel.
    pub transport: Transport,
    /// Players of all shards together, online or not.
    pub players: u32,
    /// Game servers of all shards together; each has a transport of its own. 0: as many as `players_per_server` makes.
    pub servers: u32,
    /// Players on a game server, where `servers` is 0.
    pub players_per_server: u32,
    /// The share of the players that is online where the profile is at 1. Above 0, up to 1.
    pub online: f64,
    /// How many players are online when.
    pub profile: Profile,
    /// What players do.
    pub model: Model,
    /// How many times faster than in real life the game's time passes.
    pub speed: f64,
    /// If given, `speed` is worked out such that so many events a second become due where the profile is at 1.
    pub events_per_second: Option<f64>,
    /// Events a second that the gateway lets through for the application, where the scenario is about that. If given, and
    /// no rate is, three times as many are offered.
    pub quota: Option<f64>,
    /// Everything random follows from it.
    pub seed: u64,
    /// Tells the event ids of this run from those of others with the same seed; the same for all shards.
    pub run_id: u64,
    /// How long events are due, from the start of the schedule.
    #[serde(with = "humantime_serde")]
    pub run_time: Duration,
    /// What happens up to here is shown, but judged by no rule without a phase.
    #[serde(with = "humantime_serde")]
    pub warm_up: Duration,
    /// How often a server sends a batch of what happened; with a client, how long that waits for more. 1 ms to 10 s.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// The most events in a batch. 1 to 10,000.
    pub max_batch: u32,
    /// The most batches of a server without an end; what is due past it is counted as overflow. With a client, ten times as
    /// many hand-overs.
    pub max_in_flight: u32,
    /// How servers share connections.
    pub connections: Connections,
    /// How long to wait for answers after the last batch has left.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// If given, `event_data` is padded or drawn to between so many bytes.
    pub payload_bytes: Option<[u32; 2]>,
    /// The share of events that break a rule on purpose. 0 to 1.
    pub bad_share: f64,
    /// The share of events that are sent a second time with the same id. 0 to 1.
    pub duplicate_share: f64,
    /// The applications that servers belong to.
    pub apps: Apps,
    /// What happens to a refused batch.
    pub retry: Retry,
    /// Clients that misbehave, beside the game servers.
    pub bad_clients: Option<BadClients>,
    /// What is done to the run at certain instants.
    pub actions: Vec<Action>,
    /// The named parts of the run.
    pub phases: Vec<PhasePlan>,
    /// The rules that the run is judged by.
    pub slos: Vec<String>,
    /// Whether this is a search for the highest rate at which the rules hold, and between which rates.
    pub search: Option<Search>,
    /// Goose users that send and wait in a closed loop beside the game servers, for comparison.
    pub closed_loop: u32,
    /// Which part of the load this process makes.
    pub shard: ShardOf,
}

/// How batches travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// `StreamEvents`: one long-lived stream for each game server.
    #[default]
    Stream,
    /// `PublishEvents`: one call for each batch.
    Unary,
    /// `headgate-client`: each game server hands its events to a client of its own as they happen, and the client decides
    /// when a batch leaves.
    Client,
}

impl Transport {
    /// Whether the load tester itself sends again what was refused; a client does that by itself, or has given it up.
    pub(crate) fn sends_again(self) -> bool {
        self != Self::Client
    }
}

/// Who drives the game servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// Goose: each of its users is a game server.
    #[default]
    Goose,
    /// Plain tasks of the tokio runtime.
    Native,
}

/// How servers share connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connections {
    /// One for each server.
    #[default]
    PerServer,
    /// So many for all servers of this process together.
    Shared(u32),
}

/// How many players are online when, as a multiple of `online` × `players` over the time since the start of the schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum Profile {
    /// Always 1.
    #[default]
    Flat,
    /// A day in two harmonics, with its mean at 1.
    Diurnal {
        /// The busiest moment over the quietest. Above 1.
        peak_to_trough: f64,
        /// How long a day takes; less than 24 h compresses it.
        #[serde(with = "humantime_serde")]
        day: Duration,
        /// When the first day begins; before that it stays level.
        #[serde(with = "humantime_serde", default, skip_serializing_if = "Duration::is_zero")]
        begins: Duration,
    },
    /// A launch: waiting players, the door opens, a logistic rise to the peak, a decay to what stays.
    Launch {
        /// Online before the door opens.
        preload: f64,
        /// When the door opens.
        #[serde(with = "humantime_serde")]
        opens: Duration,
        /// From the door to the peak.
        #[serde(with = "humantime_serde")]
        rise: Duration,
        /// The peak.
        peak: f64,
        /// What stays in the long run.
        stays: f64,
        /// The decay's half-life.
        #[serde(with = "humantime_serde")]
        half_life: Duration,
    },
    /// A spike over a steady 1.
    Spike {
        /// When it begins.
        #[serde(with = "humantime_serde")]
        at: Duration,
        /// How long it takes to its height.
        #[serde(with = "humantime_serde")]
        rise: Duration,
        /// Its height.
        height: f64,
        /// How long it stays there; it falls as fast as it rose.
        #[serde(with = "humantime_serde")]
        hold: Duration,
    },
    /// Points with straight lines between them; before the first and after the last it stays level.
    Points {
        /// Seconds since the start of the schedule, ascending, and the multiple there.
        points: Vec<(f64, f64)>,
    },
}

/// The applications that servers belong to; each has an API key of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apps {
    /// How many. At least 1.
    pub count: u32,
    /// The exponent of Zipf's law by which servers are spread over them. 0: evenly.
    pub zipf: f64,
    /// One that offers more than its share.
    pub hot: Option<HotApp>,
}

/// An application whose servers offer many times what the model has them offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotApp {
    /// Its place among the applications, from 0.
    pub app: u32,
    /// How many times as much.
    pub times: f64,
}

/// What happens to a refused batch or a `retry` verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It has failed.
    None,
    /// It is sent again after the gateway's hint, or after a backoff with full jitter; and where the application sends more
    /// than it may, its servers hold batches back until they send no more than that.
    #[default]
    Sdk,
    /// It is sent again after a backoff without jitter and without regard to hints, as a careless client would.
    Careless,
}

/// Clients that misbehave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadClients {
    /// How many of them there are, as a share of the game servers; at least one of each kind.
    pub share: f64,
    /// When they begin, from the start of the schedule.
    #[serde(with = "humantime_serde", default)]
    pub from: Duration,
    /// What they do.
    pub kinds: Vec<BadKind>,
}

/// How a client misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadKind {
    /// Bytes that are no protobuf message.
    Malformed,
    /// A message above the gateway's limit.
    Oversized,
    /// An API key that nobody has.
    WrongKey,
    /// A message of an old or foreign schema: the fields have other types.
    OldSchema,
    /// Reads answers slower than they come.
    SlowReader,
    /// Sends on a stream and never reads an answer.
    NeverAcks,
    /// Events in the name of other servers' players.
    StolenPlayers,
}

/// A search for the highest rate at which every rule holds. Rates are events a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The first rate that is tried.
    pub from: f64,
    /// The highest.
    pub to: f64,
    /// It ends once the highest rate that held and the lowest that did not are this close, as a share. Above 0.
    pub within: f64,
}

/// Something that is done to the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// When, from the start of the schedule.
    #[serde(with = "humantime_serde")]
    pub at: Duration,
    /// What.
    #[serde(flatten)]
    pub deed: Deed,
}

/// What an [`Action`] does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// Cuts connections without a word.
    DropConnections {
        /// The share of the servers. Above 0, up to 1.
        share: f64,
    },
    /// From now on the servers of a class offer so many times what the model has them offer.
    Rate {
        /// `hot`, `good`, or nothing for all.
        class: Option<String>,
        /// The factor. 1 is the model.
        times: f64,
    },
    /// The driver of this server panics: for tests of the load tester itself.
    Panic {
        /// The server's number, from 0.
        server: u32,
    },
}

/// A named part of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhasePlan {
    /// Such as `baseline`, `ramp`, `hold` or `recovery`.
    pub name: String,
    /// From its beginning.
    #[serde(with = "humantime_serde")]
    pub from: Duration,
    /// To its end.
    #[serde(with = "humantime_serde")]
    pub to: Duration,
}

/// Which part of the load a process makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardOf {
    /// From 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

impl RunConfig {
    /// A hash over everything that decides what load is made and how it is judged: not the endpoint, and not the shard.
    /// Results with the same hash can be merged and compared.
    #[must_use]
    pub fn hash(&self) -> String {
        let one = Self { endpoint: String::new(), run_id: 0, shard: ShardOf { index: 1, of: 1 }, ..self.clone() };
        let text = serde_json::to_vec(&one).unwrap_or_default();
        let digest = Sha256::digest(&text);
        digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
