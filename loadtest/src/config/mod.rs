//! What a run is told: [`RunConfig`], resolved from a scenario, a file and flags; it goes into the result as it stands.

mod load;
mod run;

pub use load::{LoadConfig, LoadError, Transport};
pub use run::{
    Action, Apps, BadClients, BadKind, Connections, Deed, Driver, HotApp, PhasePlan, Profile, Retry, RunConfig, ShardOf,
};
