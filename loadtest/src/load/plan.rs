//! From settings to seats: which servers there are, whose players and whose key each has, and what is expected of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Connections, Deed, LoadError, RunConfig};
use crate::drive::{Common, Connector, GameClock, Seat};
use crate::engine::{Dice, Purpose};
use crate::record::Recorder;
use crate::workload::{Curve, World};

/// The class of ordinary game servers.
pub(crate) const GOOD: &str = "good";
/// The class of the hot application's servers.
pub(crate) const HOT: &str = "hot";
/// The class of clients that misbehave.
pub(crate) const BAD: &str = "bad";
/// The class of clients that wait for each answer.
pub(crate) const CLOSED_LOOP: &str = "closed_loop";

/// What a run must not tell anybody.
#[derive(Clone, Default)]
pub struct Secrets {
    /// API keys by application; at least as many as there are applications.
    pub api_keys: Vec<String>,
    /// PEM certificates of the authority that signed the gateway's certificate, with `https://`.
    pub tls_ca: Option<Vec<u8>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} API keys", self.api_keys.len())
    }
}

/// Instants closer than this are not told apart by the runtime's timer, whose grain is a millisecond.
const TIMER: Duration = Duration::from_millis(2);

/// Since when, and until when, the players of a server live: in seconds from the start of the schedule.
#[derive(Clone, Debug)]
pub(crate) struct Stint {
    pub(crate) clock: GameClock,
    pub(crate) players: u32,
    pub(crate) from_s: f64,
    /// The end of the schedule, unless it was told to stop before.
    pub(crate) to_s: f64,
}

/// A run's settings, worked out.
pub(crate) struct Plan {
    pub(crate) world: Arc<World>,
    /// Over real time.
    pub(crate) curve: Curve,
    /// The share of the players that is online over real time: at most all of them.
    share: Curve,
    pub(crate) classes: Vec<String>,
    stints: Vec<Stint>,
    /// Players of this shard.
    pub(crate) players: u64,
}

impl Plan {
    pub(crate) fn new(config: &RunConfig) -> Result<Self, LoadError> {
        config.check()?;
        let world = World::new(config.seed, &config.world());
        let curve = Curve::of(&config.profile, config.run_time);
        let mut classes = vec![GOOD.to_owned()];
        classes.extend(config.apps.hot.as_ref().map(|_| HOT.to_owned()));
        classes.extend(config.bad_clients.as_ref().map(|_| BAD.to_owned()));
        classes.extend((config.closed_loop > 0).then(|| CLOSED_LOOP.to_owned()));
        let mut plan = Self {
            world: Arc::new(world),
            share: curve.scaled(config.online, 1.0),
            curve,
            classes,
            stints: Vec::new(),
            players: 0,
        };
        for server in servers_of(config) {
            let players = bound(config, server + 1) - bound(config, server);
            plan.players += u64::from(players);
            plan.stints.push(Stint {
                clock: clock_of(config, is_hot(config, server)),
                players,
                from_s: 0.0,
                to_s: config.run_time.as_secs_f64(),
            });
        }
        Ok(plan)
    }

    pub(crate) fn common(
        &self,
        config: &RunConfig,
        recorder: Arc<Recorder>,
        trace: bool,
        outcomes: bool,
    ) -> Result<Common, LoadError> {
        Ok(Common {
            seed: config.seed,
            world: self.world.clone(),
            recorder,
            transport: config.transport,
            retry: config.retry,
            linger: config.tick(),
            client_linger: config.linger,
            run_time: config.run_time,
            drain: config.drain,
            max_batch: config.max_batch as usize,
            max_in_flight: config.max_in_flight as usize * config.ticks_in_linger() as usize,
            online: config.online,
            curve: self.curve.clone(),
            trace,
            outcomes,
        })
    }

    /// The seats of this shard.
    pub(crate) fn seats(&self, config: &RunConfig, secrets: &Secrets) -> Result<Vec<Seat>, LoadError> {
        let apps = config.apps.count as usize;
        if secrets.api_keys.len() < apps {
            return Err(LoadError::Setting(format!(
                "{apps} applications and {} API keys: give a file with a key for each",
                secrets.api_keys.len()
            )));
        }
        let first = Connector::new(config, &secrets.api_keys[0], secrets.tls_ca.as_deref())?;
        let pool = match config.connections {
            Connections::PerServer => Vec::new(),
            Connections::Shared(connections) => first.pool(connections),
        };
        let connectors =
            secrets.api_keys[..apps].iter().map(|key| first.with_key(key)).collect::<Result<Vec<_>, _>>()?;
        let servers = servers_of(config);
        let seat = |server: u32| {
            let connector = &connectors[app_of(config, server) as usize];
            let shared = pool.get(server as usize % pool.len().max(1));
            let hot = is_hot(config, server);
            Seat {
                server,
                players: bound(config, server)..bound(config, server + 1),
                class: self.class(if hot { HOT } else { GOOD }),
                connector: shared.map_or_else(|| connector.clone(), |shared| connector.over(shared.clone())),
                clock: clock_of(config, hot),
                phase: phase(config, server),
                cuts: cuts_of(config, server),
                panic_at: panic_of(config, server),
            }
        };
        Ok(servers.map(seat).collect())
    }

    /// The index of a class.
    pub(crate) fn class(&self, name: &str) -> usize {
        self.classes.iter().position(|class| class == name).unwrap_or(0)
    }

    /// The events that are expected to become due between two instants, in seconds from the start of the schedule, if
    /// every server lives from its beginning to its end.
    pub(crate) fn expected_events(&self, from_s: f64, to_s: f64) -> f64 {
        self.expected_events_of(&self.stints, from_s, to_s)
    }

    /// The same of servers that came and went.
    pub(crate) fn expected_events_of(&self, stints: &[Stint], from_s: f64, to_s: f64) -> f64 {
        let mut game = 0.0;
        // Most servers live at the same pace over the whole span: their integral is worked out once.
        let mut known: Option<(&GameClock, f64, f64, f64)> = None;
        for stint in stints {
            let (from_s, to_s) = (from_s.max(stint.from_s), to_s.min(stint.to_s));
            if from_s >= to_s {
                continue;
            }
            let of_one = match known {
                Some((clock, from, to, game)) if from == from_s && to == to_s && *clock == stint.clock => game,
                _ => self.game_of_one(&stint.clock, from_s, to_s),
            };
            known = Some((&stint.clock, from_s, to_s, of_one));
            game += of_one * f64::from(stint.players);
        }
        game * self.world.events_per_online_second()
    }

    /// The game seconds that one player is expected to be online for.
    fn game_of_one(&self, clock: &GameClock, from_s: f64, to_s: f64) -> f64 {
        let mut edges = vec![from_s];
        edges.extend(clock.changes().filter(|at| *at > from_s && *at < to_s));
        edges.push(to_s);
        edges.windows(2).map(|span| self.share.integral(span[0], span[1]) * clock.speed_at(span[0])).sum()
    }

    /// The players of these servers that are expected to be online at an instant.
    pub(crate) fn expected_online_of(&self, stints: &[Stint], at_s: f64) -> f64 {
        let up = stints.iter().filter(|stint| stint.from_s <= at_s && at_s <= stint.to_s);
        up.map(|stint| f64::from(stint.players)).sum::<f64>() * self.share.level(at_s)
    }
}

/// The servers of this shard, by their number among all.
fn servers_of(config: &RunConfig) -> std::ops::Range<u32> {
    let edge = |shard: u32| (u64::from(config.servers) * u64::from(shard) / u64::from(config.shard.of)) as u32;
    edge(config.shard.index - 1)..edge(config.shard.index)
}

/// The number of a server's first player.
fn bound(config: &RunConfig, server: u32) -> u32 {
    (u64::from(config.players) * u64::from(server) / u64::from(config.servers)) as u32
}

/// The application of a server: each gets as many as Zipf's law says, in order.
fn app_of(config: &RunConfig, server: u32) -> u32 {
    let weight = |app: u32| f64::from(app + 1).powf(-config.apps.zipf);
    let total: f64 = (0..config.apps.count).map(weight).sum();
    let place = (f64::from(server) + 0.5) / f64::from(config.servers) * total;
    let mut below = 0.0;
    let found = (0..config.apps.count).find(|app| {
        below += weight(*app);
        place < below
    });
    found.unwrap_or(config.apps.count - 1)
}

/// Where in the linger a server's instants lie. Servers are spread over as many instants as the timer tells apart: more
/// would wake this process more often and make no batch leave at another time.
fn phase(config: &RunConfig, server: u32) -> f64 {
    let instants = (config.tick().as_micros() / TIMER.as_micros()).clamp(1, u128::from(config.servers)) as u32;
    f64::from(server % instants) / f64::from(instants)
}

fn is_hot(config: &RunConfig, server: u32) -> bool {
    config.apps.hot.as_ref().is_some_and(|hot| hot.app == app_of(config, server))
}

fn clock_of(config: &RunConfig, hot: bool) -> GameClock {
    let times = config.apps.hot.as_ref().filter(|_| hot).map_or(1.0, |hot| hot.times);
    let mut clock = GameClock::new(config.speed * times);
    let mut actions: Vec<_> = config.actions.iter().collect();
    actions.sort_by_key(|action| action.at);
    for action in actions {
        let Deed::Rate { class, times } = &action.deed else { continue };
        let concerned = class.as_deref().is_none_or(|class| (class == HOT) == hot);
        if concerned {
            clock.change(action.at.as_secs_f64(), config.speed * times);
        }
    }
    clock
}

/// When a server's connection is cut.
fn cuts_of(config: &RunConfig, server: u32) -> Vec<Duration> {
    let concerned = |share: f64, place: usize| {
        let key = (place as u64) << 32 | u64::from(server);
        (Dice::new(config.seed).hash(key, Purpose::Cut) >> 11) as f64 / (1_u64 << 53) as f64 <= share
    };
    let actions = config.actions.iter().enumerate();
    let mut cuts: Vec<_> = actions
        .filter_map(|(place, action)| match action.deed {
            Deed::DropConnections { share } => concerned(share, place).then_some(action.at),
            _ => None,
        })
        .collect();
    cuts.sort();
    cuts
}

fn panic_of(config: &RunConfig, server: u32) -> Option<Duration> {
    config.actions.iter().find_map(|action| match action.deed {
        Deed::Panic { server: whose } if whose == server => Some(action.at),
        _ => None,
    })
}
