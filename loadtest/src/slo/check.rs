//! Whether a run will have what a rule speaks of: a misspelt phase is to be found before the run, not after it.

use std::ops::Range;
use std::time::Duration;

use super::error::RuleError;
use super::rule::{Limit, Metric, Op, Rule};
use crate::config::RunConfig;

impl Rule {
    /// Whether a run with these settings has the rule's class and phase.
    ///
    /// # Errors
    /// It has no such class or phase; the error points at it in the canonical rule and lists those that there are.
    pub fn check_against(&self, config: &RunConfig) -> Result<(), RuleError> {
        let rule = self.to_string();
        let phase_at = self.phase.as_ref().map_or(rule.len(), |phase| rule.len() - phase.len());
        if let Some(class) = &self.class {
            let classes = classes(config);
            if !classes.iter().any(|known| known.eq_ignore_ascii_case(class)) {
                let end = if self.phase.is_some() { phase_at - " during ".len() } else { rule.len() };
                let known = classes.join(", ");
                return Err(fault(
                    rule,
                    end - class.len()..end,
                    format!("no class `{class}` in this run; it has {known}"),
                ));
            }
        }
        if let Some(phase) = &self.phase
            && !config.phases.iter().any(|known| known.name.eq_ignore_ascii_case(phase))
        {
            let names: Vec<_> = config.phases.iter().map(|phase| phase.name.as_str()).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let at = phase_at..rule.len();
            return Err(fault(rule, at, format!("no phase `{phase}` in this run; it has {known}")));
        }
        Ok(())
    }

    /// Whether nothing can break the rule, since it allows as long for recovery as the run has left for it, or longer.
    #[must_use]
    pub fn outlasts(&self, left: Duration) -> bool {
        match (&self.metric, self.op, self.limit) {
            (Metric::RecoveryTime, Op::Less | Op::AtMost, Limit::Value(number, unit)) => {
                self.op.holds(left.as_secs_f64() * 1e6, number * unit.factor())
            }
            _ => false,
        }
    }
}

/// The classes of servers and clients that a run will have: those of its plan, which only a build that runs loads has.
fn classes(config: &RunConfig) -> Vec<&'static str> {
    let mut classes = vec!["good"];
    classes.extend(config.apps.hot.as_ref().map(|_| "hot"));
    classes.extend(config.bad_clients.as_ref().map(|_| "bad"));
    classes.extend((config.closed_loop > 0).then_some("closed_loop"));
    classes
}

fn fault(rule: String, at: Range<usize>, problem: String) -> RuleError {
    RuleError { rule, at, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BadClients, BadKind, HotApp, PhasePlan};

    fn full() -> RunConfig {
        let mut config = crate::slo::testing::result(60, 0).config;
        config.apps.count = 2;
        config.apps.hot = Some(HotApp { app: 0, times: 10.0 });
        config.bad_clients = Some(BadClients { share: 0.1, from: Duration::ZERO, kinds: vec![BadKind::Malformed] });
        config.closed_loop = 4;
        config.phases = ["Hold", "recovery"]
            .map(|name| PhasePlan { name: name.to_owned(), from: Duration::ZERO, to: Duration::from_secs(60) })
            .to_vec();
        config
    }

    fn checked(rule: &str, config: &RunConfig) -> Result<(), String> {
        Rule::parse(rule).expect("a rule").check_against(config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_rule_may_speak_of_whatever_the_run_will_have() {
        for rule in [
            "ack.p99 < 50ms",
            "ack.p99 < 50ms for good",
            "ack.p99 < 50ms for HOT during hold",
            "error-rate < 1% for bad",
            "ack.p99 < 50ms during Recovery for closed_loop",
        ] {
            assert_eq!(checked(rule, &full()), Ok(()), "{rule}");
        }
    }

    #[test]
    fn the_word_that_the_run_does_not_have_is_pointed_at() {
        let pointed = |problem: &str, rule: &str, before: usize, width: usize| {
            format!("{problem}\n    {rule}\n    {}{}", " ".repeat(before), "^".repeat(width))
        };
        let error = checked("p99 < 50ms during hodl for hot", &full()).expect_err("no such phase");
        let problem = "no phase `hodl` in this run; it has Hold, recovery";
        assert_eq!(error, pointed(problem, "ack.p99 < 50ms for hot during hodl", 30, 4));
        let plain = RunConfig { phases: Vec::new(), ..crate::slo::testing::result(60, 0).config };
        let error = checked("p99 < 50ms for hot during hold", &plain).expect_err("no such class");
        let problem = "no class `hot` in this run; it has good";
        assert_eq!(error, pointed(problem, "ack.p99 < 50ms for hot during hold", 19, 3));
        for class in ["hot", "bad", "closed_loop", "others"] {
            assert!(checked(&format!("p99 < 50ms for {class}"), &plain).is_err(), "{class}");
        }
        assert!(checked("p99 < 1s during hold", &plain).expect_err("no phases").contains("it has none"));
    }

    #[test]
    fn a_rule_that_allows_more_than_the_run_has_left_can_not_be_broken() {
        let outlasts = |rule: &str| Rule::parse(rule).expect("a rule").outlasts(Duration::from_secs(20));
        assert!(outlasts("recovery-time <= 20s") && outlasts("recovery-time < 20001ms"));
        assert!(!outlasts("recovery-time < 20s") && !outlasts("recovery-time > 5s") && !outlasts("connect.p99 < 60s"));
    }

    #[cfg(feature = "cli")]
    #[test]
    fn classes_are_those_of_the_plan() {
        for config in [full(), RunConfig { closed_loop: 0, bad_clients: None, ..full() }] {
            assert_eq!(crate::load::Plan::new(&config).expect("a plan").classes, classes(&config));
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn every_rule_of_every_scenario_can_be_judged() {
        for name in crate::scenario::names() {
            let config =
                crate::scenario::load(Some(name), &serde_json::json!({})).expect("a scenario").config.resolved();
            for rule in &config.slos {
                assert_eq!(checked(rule, &config), Ok(()), "{name}");
            }
        }
    }
}
