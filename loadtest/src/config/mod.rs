//! What a run is told: [`RunConfig`], resolved from a scenario, a file and flags; it goes into the result as it stands.

mod check;
mod error;
mod run;
mod stretch;

pub use check::PLAYERS_PER_SERVER;
pub use error::LoadError;
pub use run::{
    Action, Apps, BadClients, BadKind, Connections, Deed, Driver, HotApp, PhasePlan, Profile, Retry, RunConfig, Search,
    ShardOf, Transport,
};
pub use stretch::{Stretch, TooShort};
