//! Defaults, and what is in range.

use std::ops::Range;
use std::time::Duration;

use super::{Apps, Connections, Deed, Driver, LoadError, Profile, Retry, RunConfig, ShardOf, Transport};
use crate::workload::{Model, World, WorldConfig};

/// Players on a game server unless said otherwise.
pub const PLAYERS_PER_SERVER: u32 = 25_000;
/// The warm-up unless said otherwise; of a short run no more than a quarter.
const WARM_UP: Duration = Duration::from_secs(5);
/// Fewer servers than this would leave cores idle. The same on every machine, since shards on different ones are one run.
const LEAST_SERVERS: u32 = 16;
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
            warm_up: WARM_UP,
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

    /// The warm-up of a run for which nobody gives one.
    pub(crate) fn default_warm_up(run_time: Duration) -> Duration {
        WARM_UP.min(run_time / 4)
    }

    /// Works out what depends on other settings: how many servers there are, and how fast game time passes.
    #[must_use]
    pub fn resolved(mut self) -> Self {
        if self.servers == 0 {
            let by_players = self.players.div_ceil(self.players_per_server.max(1));
            self.servers = by_players.max(LEAST_SERVERS).min(self.players.max(1));
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

    /// How often a server hands over what happened. Batches leave every linger; a client makes its own batches out of what
    /// it is given in a tenth of that.
    pub(crate) fn tick(&self) -> Duration {
        self.linger / self.ticks_in_linger()
    }

    pub(crate) fn ticks_in_linger(&self) -> u32 {
        match self.transport {
            Transport::Stream | Transport::Unary => 1,
            Transport::Client => (self.linger.as_millis() as u32).clamp(1, 10),
        }
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

    /// Clients of this shard that misbehave: its part of the scenario's share of all servers; in the first shard at least
    /// one of each kind.
    #[must_use]
    pub fn bad_clients_of_shard(&self) -> u32 {
        let Some(bad) = &self.bad_clients else { return 0 };
        let wanted = part(self.shard, (f64::from(self.servers) * bad.share).ceil() as u32).len() as u32;
        if self.shard.index == 1 { wanted.max(bad.kinds.len() as u32) } else { wanted }
    }

    /// Clients of this shard that wait for each answer: its part of [`Self::closed_loop`].
    #[must_use]
    pub fn closed_loop_of_shard(&self) -> u32 {
        part(self.shard, self.closed_loop).len() as u32
    }

    /// Game servers of this shard.
    #[must_use]
    pub fn servers_of_shard(&self) -> u32 {
        part(self.shard, self.servers).len() as u32
    }

    /// Players of this shard: those of its servers.
    #[must_use]
    pub fn players_of_shard(&self) -> u32 {
        let servers = part(self.shard, self.servers);
        let bound = |server: u32| u64::from(self.players) * u64::from(server) / u64::from(self.servers.max(1));
        (bound(servers.end) - bound(servers.start)) as u32
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
        self.check_client()?;
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
        // A search goes on to its highest rate with the same players.
        let rate = self.search.as_ref().map_or(0.0, |search| search.to).max(self.events_per_second());
        let least_players = (rate / MOST_FOR_A_PLAYER).ceil();
        if f64::from(self.players) < least_players {
            let players = self.players;
            return Err(LoadError::Setting(format!(
                "{players} players can't make {rate} events a second: give {least_players}"
            )));
        }
        Ok(())
    }

    /// What game servers decide themselves can't be decided for a client.
    fn check_client(&self) -> Result<(), LoadError> {
        if self.transport != Transport::Client {
            return Ok(());
        }
        let cuts = self.actions.iter().any(|action| matches!(action.deed, Deed::DropConnections { .. }));
        let rules = [
            (
                self.connections == Connections::PerServer,
                "each client has a connection of its own: give --connections per-server",
            ),
            (self.retry == Retry::Sdk, "the client sends again as it sees fit: give --retry sdk"),
            (self.drain > self.linger, "its last batch leaves only after a linger: give a longer --drain"),
            (!cuts, "its connections can't be cut from here: restart the gateway, or cut them between the two"),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, mend)) => Err(LoadError::Setting(format!("transport client: {mend}; or use --transport stream"))),
        }
    }

    /// Checks that what is judged and what is done lies within the run. A load that nobody judges needs none of it, so
    /// [`Self::check`] leaves it out.
    ///
    /// # Errors
    /// The warm-up takes the whole run, or a phase or an action would never begin.
    pub fn check_timeline(&self) -> Result<(), LoadError> {
        let run_time = self.run_time;
        let shown = humantime::format_duration;
        if self.warm_up >= run_time {
            return Err(LoadError::Setting(format!(
                "a warm-up of {} takes the whole run of {}: nothing would be judged; give a shorter --warm-up or a longer \
                 --run-time",
                shown(self.warm_up),
                shown(run_time)
            )));
        }
        let phases = self.phases.iter().map(|phase| (format!("phase {}", phase.name), phase.from));
        let actions = self.actions.iter().map(|action| ("an action".to_owned(), action.at));
        match phases.chain(actions).find(|(_, at)| *at >= run_time) {
            None => Ok(()),
            Some((what, at)) => Err(LoadError::Setting(format!(
                "{what} would begin at {}, and the run ends at {}: give a longer --run-time, or a copy of the scenario \
                 (plan --show) with other times",
                shown(at),
                shown(run_time)
            ))),
        }
    }
}

/// The numbers that a shard has of so many: the shards' parts differ by one at most.
fn part(shard: ShardOf, all: u32) -> Range<u32> {
    let edge = |shards: u32| (u64::from(all) * u64::from(shards) / u64::from(shard.of.max(1))) as u32;
    edge(shard.index.saturating_sub(1))..edge(shard.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Action, BadClients, BadKind, PhasePlan, Search};

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    // Results of shards merge only if their settings hash the same, whatever machine each ran on.
    #[test]
    fn default_servers_depend_on_players_alone() {
        let servers = |players| RunConfig { players, ..RunConfig::default() }.resolved().servers;
        assert_eq!([3, 16, 100_000, 1_000_000].map(servers), [3, 16, 16, 40]);
    }

    #[test]
    fn shards_together_have_every_client_once() {
        let all = RunConfig {
            servers: 50,
            players: 1_003,
            closed_loop: 7,
            bad_clients: Some(BadClients {
                share: 0.2,
                from: Duration::ZERO,
                kinds: vec![BadKind::Malformed, BadKind::WrongKey, BadKind::SlowReader],
            }),
            ..RunConfig::default()
        };
        let of = |of: u32, what: fn(&RunConfig) -> u32| -> Vec<u32> {
            (1..=of).map(|index| what(&RunConfig { shard: ShardOf { index, of }, ..all.clone() })).collect()
        };
        assert_eq!(of(4, RunConfig::closed_loop_of_shard), [1, 2, 2, 2]);
        assert_eq!(of(4, RunConfig::servers_of_shard), [12, 13, 12, 13]);
        assert_eq!(of(4, RunConfig::players_of_shard).iter().sum::<u32>(), 1_003);
        assert_eq!(of(1, RunConfig::bad_clients_of_shard), [10]);
        assert_eq!(of(10, RunConfig::bad_clients_of_shard), [3, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn what_would_never_be_judged_or_never_begin_is_refused() {
        let good = RunConfig {
            run_time: seconds(60),
            warm_up: seconds(59),
            phases: vec![PhasePlan { name: "hold".to_owned(), from: seconds(59), to: seconds(90) }],
            actions: vec![Action { at: seconds(59), deed: Deed::DropConnections { share: 1.0 } }],
            ..RunConfig::default()
        };
        good.check_timeline().expect("all of it begins");
        let refused = |run_time| {
            let config = RunConfig { run_time, ..good.clone() };
            config.check_timeline().expect_err("refused").to_string()
        };
        assert!(refused(seconds(59)).contains("nothing would be judged"));
        let phase = RunConfig { warm_up: seconds(5), run_time: seconds(30), ..good.clone() };
        assert!(phase.check_timeline().expect_err("refused").to_string().starts_with("phase hold would begin at 59s"));
        let action = RunConfig { phases: Vec::new(), ..phase };
        assert!(action.check_timeline().expect_err("refused").to_string().starts_with("an action would begin at 59s"));
    }

    #[test]
    fn what_a_client_decides_itself_is_refused_with_the_mend() {
        let good = RunConfig { transport: Transport::Client, ..RunConfig::default() }.resolved();
        good.check().expect("the defaults suit a client");
        let cut = Action { at: seconds(1), deed: Deed::DropConnections { share: 1.0 } };
        let wrong = [
            (RunConfig { connections: Connections::Shared(4), ..good.clone() }, "give --connections per-server"),
            (RunConfig { retry: Retry::None, ..good.clone() }, "give --retry sdk"),
            (RunConfig { actions: vec![cut], ..good.clone() }, "cut them between the two"),
            (RunConfig { drain: good.linger, ..good.clone() }, "give a longer --drain"),
        ];
        for (config, mend) in wrong {
            let error = config.check().expect_err("refused").to_string();
            assert!(error.contains(mend) && error.ends_with("or use --transport stream"), "{error}");
            RunConfig { transport: Transport::Stream, ..config }.check().expect("streams can do it");
        }
    }

    #[test]
    fn a_client_is_given_events_ten_times_in_a_linger_and_no_more_often_than_each_millisecond() {
        let tick = |transport, linger| RunConfig { transport, linger, ..RunConfig::default() }.tick().as_micros();
        let milliseconds = Duration::from_millis;
        assert_eq!([100, 5, 1].map(|linger| tick(Transport::Client, milliseconds(linger))), [10_000, 1_000, 1_000]);
        assert_eq!(tick(Transport::Stream, milliseconds(100)), 100_000);
    }

    #[test]
    fn a_search_needs_players_for_its_highest_rate() {
        let search = |to| RunConfig {
            players: 1_000,
            search: Some(Search { from: 100.0, to, within: 0.05 }),
            ..RunConfig::default()
        };
        search(50_000.0).resolved().check().expect("50 events a second each");
        let error = search(60_000.0).resolved().check().expect_err("too fast").to_string();
        assert!(error.contains("give 1200"), "{error}");
    }
}
