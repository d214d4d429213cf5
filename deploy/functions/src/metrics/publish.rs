//! A window's counts as metrics of CloudWatch: names and dimensions are the AWS solution's, so that its dashboards and alarms
//! find them. A dimension without a value is left out, as there.

use super::state::State;
use crate::emf;

/// Documents of CloudWatch's embedded metric format; none for a window in which nothing came.
pub(super) fn documents(state: &State, namespace: &str, minute_ms: i64, shard: &str) -> Vec<String> {
    let mut documents = Vec::new();
    let mut add = |dimensions: &[(&str, &str)], metrics: &[(&str, u64)]| {
        let dimensions: Vec<_> = dimensions.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
        documents.push(emf::document(namespace, minute_ms, &dimensions, metrics, &[("shard", shard)]));
    };
    for (app, version, counts) in state.counts() {
        let dimensions = [("APPLICATION_ID", app), ("APP_VERSION", version)];
        match counts.logins {
            0 => add(&dimensions, &[("TotalEvents", counts.events)]),
            logins => add(&dimensions, &[("TotalEvents", counts.events), ("TotalLogins", logins)]),
        }
        let [app, version] = dimensions;
        for (spell, count) in &counts.knockouts {
            add(&[app, version, ("SPELL_ID", spell)], &[("KnockoutsBySpell", *count)]);
        }
        for (currency, count) in &counts.purchases {
            add(&[app, version, ("CURRENCY_TYPE", currency)], &[("Purchases", *count)]);
        }
    }
    if state.events() > 0 || state.unreadable() > 0 {
        let metrics = [("RecordsUnreadable", state.unreadable()), ("EventsNotDeduplicated", state.not_deduplicated())];
        add(&[("FUNCTION", "metrics")], &metrics);
    }
    documents
}
