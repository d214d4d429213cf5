//! What players do on average between two session starts: the rate of events that follows from the model, and where an
//! observer finds a player.

use super::model::{
    ARRIVING, BREAK, BUYS_OTHER, BUYS_PAYER, CRASHES, ENTERING, HEARTBEAT_S, KNOCKOUT_S, LOBBY, MATCH, PAYERS,
    TO_MATCH, mean_level_chance,
};
use super::player::State;

/// One class of players.
pub(super) struct Cycle {
    /// The seconds spent in each state.
    pub(super) seconds: [(State, f64); 6],
    /// The events.
    events: f64,
}

impl Cycle {
    fn of(buys: f64) -> Self {
        let leaves = (1.0 - buys) * (1.0 - TO_MATCH);
        let pauses = 1.0 / leaves;
        let matches = pauses * (1.0 - buys) * TO_MATCH;
        let levels = matches * mean_level_chance();
        let seconds = [
            (State::Offline, BREAK.mean_s()),
            (State::Arriving, ARRIVING.mean_s()),
            (State::Entering, (1.0 + matches) * ENTERING.mean_s()),
            (State::Lobby, pauses * LOBBY.mean_s()),
            (State::Match, matches * MATCH.mean_s()),
            (State::Rising, levels * ENTERING.mean_s()),
        ];
        let online: f64 =
            seconds.iter().filter(|(state, _)| *state != State::Offline).map(|(_, seconds)| seconds).sum();

        let session_start_and_login = 2.0;
        let lobby_entries = 1.0 + matches;
        let starts_and_ends = 2.0 * matches;
        let knockouts = matches * MATCH.mean_s() / KNOCKOUT_S;
        let purchases = pauses * buys;
        let logouts = 1.0 - CRASHES;
        let heartbeats = online / HEARTBEAT_S;
        let in_matches = starts_and_ends + knockouts + levels;
        let events = session_start_and_login + lobby_entries + in_matches + purchases + logouts + heartbeats;
        Self { seconds, events }
    }

    fn events_per_second(&self) -> f64 {
        let seconds: f64 = self.seconds.iter().map(|(_, seconds)| seconds).sum();
        self.events / seconds
    }
}

/// Both classes of players.
pub(super) struct Cycles {
    pub(super) payer: Cycle,
    pub(super) other: Cycle,
}

impl Cycles {
    pub(super) fn new() -> Self {
        Self { payer: Cycle::of(BUYS_PAYER), other: Cycle::of(BUYS_OTHER) }
    }

    /// The events of one player in a second of game time, on average over all players and their time.
    pub(super) fn events_per_player_second(&self) -> f64 {
        PAYERS * self.payer.events_per_second() + (1.0 - PAYERS) * self.other.events_per_second()
    }
}
