//! What goes wrong, and when: rules that can be set and taken back while calls run. A rule names a fault, the calls it
//! may hit, how likely it does and how often. Each rule draws from a sequence of its own that follows from the seed and
//! the rule's place in the order of setting, so the n-th call that a rule looks at fares the same in every run.

mod plan;
mod rule;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use plan::{Ending, Plan};
pub use rule::{Fault, Operations, Rule};

use super::error::{RecordError, Service};
use super::tally::Counts;
use crate::seed::Draw;

/// A rule that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

/// The rules in force.
pub struct Faults {
    seed: u64,
    active: AtomicBool,
    rules: Mutex<Rules>,
}

#[derive(Default)]
struct Rules {
    set: Vec<Set>,
    next: u64,
    happened: Counts,
}

struct Set {
    id: RuleId,
    rule: Rule,
    draw: Draw,
    struck: u64,
}

impl Set {
    /// Whether this call is hit; spends one of the rule's times if so.
    fn strikes(&mut self, service: Service, operation: &str) -> bool {
        let rule = &mut self.rule;
        if rule.service.is_some_and(|only| only != service) || !rule.operations.include(operation) {
            return false;
        }
        // One number for each call looked at, so that later calls fare the same whatever `after` and `times` are.
        let hit = chance(&mut self.draw, rule.probability);
        if rule.after > 0 {
            rule.after -= 1;
            return false;
        }
        let hit = hit && rule.times != Some(0);
        if hit && let Some(times) = &mut rule.times {
            *times -= 1;
        }
        self.struck += u64::from(hit);
        hit
    }
}

fn chance(draw: &mut Draw, probability: f64) -> bool {
    // 53 bits: what a double holds exactly, from 0 up to but not including 1.
    (draw.any() >> 11) as f64 / (1_u64 << 53) as f64 > 1.0 - probability || probability >= 1.0
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, active: AtomicBool::new(false), rules: Mutex::default() }
    }

    /// Sets a rule. Of several that would hit the same call, those set first go first.
    pub fn set(&self, rule: Rule) -> RuleId {
        let mut rules = self.rules.lock().expect("nothing panics with it");
        let id = RuleId(rules.next);
        rules.next += 1;
        rules.set.push(Set { id, rule, draw: Draw::new(self.seed, id.0), struck: 0 });
        self.active.store(true, Ordering::Release);
        id
    }

    /// Takes a rule back. Calls that it has hit already stay hit.
    pub fn unset(&self, id: RuleId) {
        self.retain(|set| set.id != id);
    }

    /// How many calls a rule that is set has hit; of faults of records, calls with records in its scope.
    #[must_use]
    pub fn struck(&self, id: RuleId) -> u64 {
        let rules = self.rules.lock().expect("nothing panics with it");
        rules.set.iter().find(|set| set.id == id).map_or(0, |set| set.struck)
    }

    /// Takes all rules back.
    pub fn clear(&self) {
        self.retain(|_| false);
    }

    /// Whether no rule can hit anything any more: all have been taken back or have used up their times.
    #[must_use]
    pub fn spent(&self) -> bool {
        self.rules.lock().expect("nothing panics with it").set.iter().all(|set| set.rule.times == Some(0))
    }

    /// What has happened, by the fault's name: calls, or for faults of single records, records.
    #[must_use]
    pub fn happened(&self) -> Counts {
        self.rules.lock().expect("nothing panics with it").happened.clone()
    }

    fn retain(&self, keep: impl FnMut(&Set) -> bool) {
        let mut rules = self.rules.lock().expect("nothing panics with it");
        rules.set.retain(keep);
        self.active.store(!rules.set.is_empty(), Ordering::Release);
    }

    fn active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Whether the connection is to be reset now that a call's head has come.
    pub(super) fn before_reading(&self, service: Service, operation: &str, reused: bool) -> bool {
        if !self.active() {
            return false;
        }
        let mut rules = self.rules.lock().expect("nothing panics with it");
        let Rules { set, happened, .. } = &mut *rules;
        let hit = set.iter_mut().find_map(|set| {
            let applies = set.rule.fault.before_reading() && (reused || set.rule.fault != Fault::StaleConnection);
            (applies && set.strikes(service, operation)).then_some(set.rule.fault)
        });
        hit.is_some_and(|fault| {
            *happened.entry(fault.name()).or_default() += 1;
            true
        })
    }

    /// What happens to a call that has been read. Which stream it is about is asked only if a rule wants to know.
    pub(super) fn for_call(&self, service: Service, operation: &str, stream: impl Fn() -> Option<String>) -> Plan {
        let mut plan = Plan::default();
        if !self.active() {
            return plan;
        }
        let mut rules = self.rules.lock().expect("nothing panics with it");
        let Rules { set, happened, .. } = &mut *rules;
        for set in set.iter_mut().filter(|set| !set.rule.fault.of_records() && !set.rule.fault.before_reading()) {
            if plan.hang || plan.error.is_some() {
                break;
            }
            if set.rule.stream.is_some() && set.rule.stream != stream() || !plan.has_room_for(set.rule.fault) {
                continue;
            }
            if set.strikes(service, operation) {
                *happened.entry(set.rule.fault.name()).or_default() += 1;
                plan.add(set.rule.fault);
            }
        }
        plan
    }

    /// How each of a call's records fails, where `shards` names the shard of each; none if no rule hits.
    pub(super) fn for_records(
        &self,
        service: Service,
        operation: &str,
        stream: &str,
        shards: &[u32],
    ) -> Option<Vec<Option<RecordError>>> {
        if !self.active() {
            return None;
        }
        let mut errors = vec![None; shards.len()];
        let mut rules = self.rules.lock().expect("nothing panics with it");
        let Rules { set, happened, .. } = &mut *rules;
        for set in set.iter_mut().filter(|set| set.rule.fault.of_records()) {
            let shard = set.rule.shard;
            let mut eligible: Vec<usize> = (0..shards.len())
                .filter(|place| errors[*place].is_none() && shard.is_none_or(|only| only == shards[*place]))
                .collect();
            let elsewhere = set.rule.stream.as_deref().is_some_and(|only| only != stream);
            if elsewhere || eligible.is_empty() || !set.strikes(service, operation) {
                continue;
            }
            // Its own sequence, so that the call's size does not change how later calls fare.
            let mut draw = Draw::new(set.draw.any(), 0);
            let error = match set.rule.fault {
                Fault::RecordsFail { records, error } => {
                    shuffle(&mut eligible, &mut draw);
                    eligible.truncate(records);
                    error
                }
                Fault::EachRecordFails { probability, error } => {
                    eligible.retain(|_| chance(&mut draw, probability));
                    error
                }
                _ => continue,
            };
            *happened.entry(set.rule.fault.name()).or_default() += eligible.len() as u64;
            eligible.into_iter().for_each(|place| errors[place] = Some(error));
        }
        Some(errors)
    }
}

fn shuffle(places: &mut [usize], draw: &mut Draw) {
    for last in (1..places.len()).rev() {
        let other = draw.within(0..=last as u64) as usize;
        places.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(faults: &Faults, calls: usize) -> Vec<Option<Vec<Option<RecordError>>>> {
        (0..calls).map(|_| faults.for_records(Service::Kinesis, "PutRecords", "s", &[0, 1, 0, 1, 0, 1])).collect()
    }

    #[test]
    fn a_seed_replays_the_same_faults_and_another_seed_does_not() {
        let run = |seed| {
            let faults = Faults::new(seed);
            let error = RecordError::InternalFailure;
            faults.set(Rule::new(Fault::RecordsFail { records: 2, error }).probability(0.5));
            faults.set(Rule::new(Fault::EachRecordFails { probability: 0.3, error }).shard(1));
            failing(&faults, 50)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn exactly_as_many_records_fail_as_asked_and_only_in_their_shard() {
        let faults = Faults::new(1);
        let error = RecordError::Throttled;
        faults.set(Rule::new(Fault::RecordsFail { records: 2, error }).shard(1).after(1).times(2));
        let failed: Vec<Vec<usize>> = failing(&faults, 5)
            .into_iter()
            .map(|call| {
                let call = call.expect("a rule is set");
                (0..call.len()).filter(|place| call[*place].is_some()).collect()
            })
            .collect();
        assert_eq!(failed.iter().map(Vec::len).collect::<Vec<_>>(), [0, 2, 2, 0, 0]);
        assert!(failed.iter().flatten().all(|place| place % 2 == 1));
        assert!(faults.spent());
        assert_eq!(faults.happened()["records_fail"], 4);
    }

    #[test]
    fn probabilities_are_kept_at_their_ends_and_in_between() {
        let mut draw = Draw::new(3, 0);
        let hits = |draw: &mut Draw, p| (0..10_000).filter(|_| chance(draw, p)).count();
        assert_eq!(hits(&mut draw, 0.0), 0);
        assert_eq!(hits(&mut draw, 1.0), 10_000);
        assert!((2_700..3_300).contains(&hits(&mut draw, 0.3)));
    }
}
