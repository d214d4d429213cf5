//! What a seed stands for: a pure function of it, to be printed and to be run again.

pub mod clients;
pub mod fault;
pub mod house;

mod draw;

use serde::Serialize;

pub use self::clients::ClientsPlan;
pub use self::fault::Fault;
pub use self::house::{Destination, HousePlan, RegistryKind};
use crate::seed::Draw;

/// The last fault begins within this time, milliseconds.
const TIMELINE_MS: u64 = 900;

/// What plans may ask of the machine. Part of what a seed stands for: to replay one, give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// Gateways may be processes, which are killed and told to stop.
    pub processes: bool,
    /// Registries may be in DynamoDB, for which an emulator is started.
    pub dynamodb: bool,
}

impl Scope {
    /// Everything.
    pub const ALL: Self = Self { processes: true, dynamodb: true };
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What it follows from.
    pub seed: u64,
    /// The gateway and what it stands on.
    pub house: HousePlan,
    /// Who sends.
    pub clients: ClientsPlan,
    /// What goes wrong, in the order of its beginning. Faults overlap.
    pub strikes: Vec<Strike>,
}

/// One fault, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strike {
    /// From the beginning of the load, milliseconds.
    pub after_ms: u64,
    /// How long it stays at least, milliseconds; it goes on for a while if it has hit nothing by then.
    pub lasts_ms: u64,
    /// What happens.
    pub fault: Fault,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64, scope: Scope) -> Self {
        let mut draw = Draw::new(seed, 0x70_1a_4e);
        let house = HousePlan::draw(&mut draw, scope);
        let clients = ClientsPlan::draw(&mut draw);
        let mut strikes: Vec<Strike> = Vec::new();
        for _ in 0..draw.within(2..=5) {
            // One that a clock or a restart can't have twice is drawn again a few times, and left out in the end.
            let mut drawn = (0..4).map(|_| draw::fault(&mut draw, &house));
            let fresh = drawn.find(|fault| strikes.iter().all(|strike| strike.fault.goes_with(fault, &house)));
            if let Some(fault) = fresh {
                // One in four outlasts most deadlines.
                let longest = if draw.within(1..=4) == 1 { 2_000 } else { 500 };
                let (after_ms, lasts_ms) = (draw.within(0..=TIMELINE_MS), draw.within(100..=longest));
                strikes.push(Strike { after_ms, lasts_ms, fault });
            }
        }
        strikes.sort_by_key(|strike| strike.after_ms);
        Self { seed, house, clients, strikes }
    }

    /// Whether the gateway is stopped or torn down on the way.
    #[must_use]
    pub fn restarts(&self) -> bool {
        self.strikes.iter().any(|strike| strike.fault.restarts())
    }

    /// Whether a fault of this name is in it.
    #[must_use]
    pub fn has(&self, fault: &str) -> bool {
        self.strikes.iter().any(|strike| strike.fault.name() == fault)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// As many as [`Fault`] has.
    const FAULTS: usize = 33;

    #[test]
    fn a_seed_is_the_same_plan_again_and_plans_differ() {
        let plans = |scope| (0..200).map(|seed| Plan::of(seed, scope)).collect::<Vec<_>>();
        assert_eq!(plans(Scope::ALL), plans(Scope::ALL));
        let distinct: BTreeSet<_> =
            plans(Scope::ALL).iter().map(|plan| serde_json::to_string(&plan.strikes).expect("JSON")).collect();
        assert!(distinct.len() > 190, "{} of 200 timelines differ", distinct.len());
    }

    #[test]
    fn every_fault_comes_up_and_none_where_it_can_not_happen() {
        let plans: Vec<_> = (0..3_000).map(|seed| Plan::of(seed, Scope::ALL)).collect();
        let drawn: BTreeSet<_> =
            plans.iter().flat_map(|plan| &plan.strikes).map(|strike| strike.fault.name()).collect();
        assert_eq!(drawn.len(), FAULTS, "{drawn:?}");
        for plan in &plans {
            assert!(!plan.strikes.is_empty(), "{plan:?}");
            assert!(plan.house.process || !plan.has("kill") && !plan.has("terminate"), "{plan:?}");
            assert!(!plan.house.process || !plan.has("power_cut"), "{plan:?}");
        }
    }

    #[test]
    fn a_scope_is_kept_to() {
        let scope = Scope { processes: false, dynamodb: false };
        let plans = (0..500).map(|seed| Plan::of(seed, scope));
        assert!(plans.into_iter().all(|plan| !plan.house.process && plan.house.registry == RegistryKind::Sqlite));
    }
}
