//! Defaults, and what is in range.

use std::time::Duration;

use super::{Apps, Connections, Deed, Driver, LoadError, Profile, Retry, RunConfig, ShardOf, Transport};
use crate::workload::{Model, World, WorldConfig};

/// Players on a game server unless said otherwise.
pub const PLAYERS_PER_SERVER: u32 = 25_000;
/// Fewer servers than this would leave cores idle.
const SERVERS_PER_CORE: u32 = 8;
/// What is offered where a quota is given and no rate.
const OFFERED_OF_QUOTA: f64 = 3.0;
/// Events a second of one player past which game time would pass absurdly fast.
const MOST_FOR_A_PLAYER: f64 = 50.0;
/// Longer runs would need wider clocks: players count milliseconds of game time in 32 bits and compare across half of it.
const LONGEST: Duration = Duration::from_secs(119 * 3_600);

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            scenario: "custom".to_owned(),
            about: String::new(),
            endpoint: "http://127.0.0.1:50051".to_owned(),
            driver: Driver::Goose,
            transport: Transport::Stream,
            players: 100_000,
            servers: 0,
            players_per_server: PLAYERS_PER_SERVER,
            online: 0.9,
            profile: Profile::Flat,
            model: Model::default(),
            speed: 1.0,
            events_per_second: None,
            quota: None,
            seed: 1,
            run_id: 0,
            run_time: Duration::from_secs(60),
            warm_up: Duration::from_secs(5),
            linger: Duration::from_millis(100),
            max_batch: 5_000,
            max_in_flight: 512,
            connections: Connections::PerServer,
            drain: Duration::from_secs(30),
            payload_bytes: None,
            bad_share: 0.0,
            duplicate_share: 0.0,
            apps: Apps { count: 1, zipf: 1.1, hot: None },
            retry: Retry::Sdk,
            bad_clients: None,
            actions: Vec::new(),
            phases: Vec::new(),
            slos: Vec::new(),
            search: None,
            closed_loop: 0,
            shard: ShardOf { index: 1, of: 1 },
        }
    }
}

impl RunConfig {
    /// The defaults, for this gateway.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }

    /// Works out what depends on other settings: how many servers there are, and how fast game time passes.
    #[must_use]
    pub fn resolved(mut self) -> Self {
        if self.servers == 0 {
            let by_players = self.players.div_ceil(self.players_per_server.max(1));
            let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
            self.servers = by_players.max(SERVERS_PER_CORE * cores).min(self.players.max(1));
        }
        if self.events_per_second.is_none() {
            self.events_per_second = self.quota.map(|quota| OFFERED_OF_QUOTA * quota);
        }
        match self.events_per_second {
            Some(rate) => self.at_rate(rate),
            None => self,
        }
    }

    /// The same load at another rate: game time passes as fast as that many events a second, where the profile is at 1,
    /// need.
    #[must_use]
    pub fn at_rate(self, events_per_second: f64) -> Self {
        let natural = Self { speed: 1.0, ..self.clone() }.events_per_second();
        Self { speed: events_per_second / natural, ..self }
    }

    /// Events that become due in a second where the profile is at 1, on average, of all shards together.
    #[must_use]
    pub fn events_per_second(&self) -> f64 {
        let world = World::new(self.seed, &self.world());
        f64::from(self.players) * self.online * world.events_per_online_second() * self.speed
    }

    /// What the game's world is made from.
    pub(crate) fn world(&self) -> WorldConfig {
        WorldConfig {
            model: self.model.clone(),
            bad_share: self.bad_share,
            duplicate_share: self.duplicate_share,
            payload_bytes: self.payload_bytes,
            run: self.run_id,
        }
    }

    /// Clients of this shard that misbehave: the scenario's share of the servers, and at least one of each kind.
    #[must_use]
    pub fn bad_clients_of_shard(&self) -> u32 {
        let Some(bad) = &self.bad_clients else { return 0 };
        let wanted = (f64::from(self.servers) * bad.share / f64::from(self.shard.of)).ceil() as u32;
        wanted.max(bad.kinds.len() as u32)
    }

    /// Checks every range, as the start of a run does.
    ///
    /// # Errors
    /// What is out of its range, and what to give instead.
    pub fn check(&self) -> Result<(), LoadError> {
        let rules = [
            (self.servers > 0 && self.players >= self.servers, {
                format!("{} players on {} servers: give each server a player", self.players, self.servers)
            }),
            (self.players <= 1 << 30, format!("{} players: give at most {}", self.players, 1 << 30)),
            (self.online > 0.0 && self.online <= 1.0, {
                format!("{} of the players online: give a share above 0, up to 1", self.online)
            }),
            (self.speed.is_finite() && self.speed > 0.0, format!("a speed of {}: give one above 0", self.speed)),
            (self.run_time > Duration::ZERO && self.run_time <= LONGEST, {
                format!("a run of {:?}: give one of up to 119 h", self.run_time)
            }),
            ((Duration::from_millis(1)..=Duration::from_secs(10)).contains(&self.linger), {
                format!("a linger of {:?}: give 1 ms to 10 s", self.linger)
            }),
            ((1..=10_000).contains(&self.max_batch), {
                format!("at most {} events in a batch: give 1 to 10,000", self.max_batch)
            }),
            (self.max_in_flight > 0, "no batch may be in flight: allow at least 1".to_owned()),
            (self.connections != Connections::Shared(0), "no connection: give at least 1".to_owned()),
            ((0.0..=1.0).contains(&self.bad_share), {
                format!("{} of the events bad: give a share from 0 to 1", self.bad_share)
            }),
            ((0.0..=1.0).contains(&self.duplicate_share), {
                format!("{} of the events twice: give a share from 0 to 1", self.duplicate_share)
            }),
            (self.payload_bytes.is_none_or(|[least, most]| (2..=most).contains(&least) && most <= 262_144), {
                "payload bytes: give two numbers MIN..MAX, 2 <= MIN <= MAX <= 262144".to_owned()
            }),
            (self.apps.count > 0 && self.apps.zipf.is_finite() && self.apps.zipf >= 0.0, {
                format!("{} applications by Zipf {}: give at least 1 and 0 or more", self.apps.count, self.apps.zipf)
            }),
            (self.apps.hot.as_ref().is_none_or(|hot| hot.app < self.apps.count && hot.times > 0.0), {
                format!("a hot application that is not among the {}, or not above 0 times as hot", self.apps.count)
            }),
            (
                self.search
                    .as_ref()
                    .is_none_or(|search| search.from > 0.0 && search.from < search.to && search.within > 0.0),
                { "a search: give rates with 0 < from < to, and a share above 0 to end within".to_owned() },
            ),
            (self.bad_clients.as_ref().is_none_or(|bad| (0.0..=1.0).contains(&bad.share) && !bad.kinds.is_empty()), {
                "bad clients: give a share from 0 to 1 and at least one kind".to_owned()
            }),
            (self.shard.of > 0 && (1..=self.shard.of).contains(&self.shard.index) && self.shard.of <= self.servers, {
                let (index, of) = (self.shard.index, self.shard.of);
                format!("shard {index} of {of}: give I/N with 1 <= I <= N, and no more shards than servers")
            }),
        ];
        if let Some((_, message)) = rules.into_iter().find(|(holds, _)| !holds) {
            return Err(LoadError::Setting(message));
        }
        for action in &self.actions {
            let ok = match &action.deed {
                Deed::DropConnections { share } => *share > 0.0 && *share <= 1.0,
                Deed::Rate { times, .. } => times.is_finite() && *times > 0.0,
                Deed::Panic { .. } => true,
            };
            if !ok {
                return Err(LoadError::Setting(format!(
                    "the action at {:?}: give a share above 0, up to 1, and a factor above 0",
                    action.at
                )));
            }
        }
        if let Some(phase) = self.phases.iter().find(|phase| phase.from >= phase.to) {
            return Err(LoadError::Setting(format!("phase {}: it ends before it begins", phase.name)));
        }
        self.profile.check().map_err(|error| LoadError::Setting(error.to_string()))?;
        self.model.check().map_err(|error| LoadError::Setting(error.to_string()))?;
        let rate = self.events_per_second();
        let least_players = (rate / MOST_FOR_A_PLAYER).ceil();
        if f64::from(self.players) < least_players {
            let players = self.players;
            return Err(LoadError::Setting(format!(
                "{players} players can't make {rate} events a second: give {least_players}"
            )));
        }
        Ok(())
    }
}
