//! What the sample queries ask for is in the library: event types, and members of theirs.

use std::collections::BTreeSet;
use std::fs;

use crate::library::{EventType, event_types};
use crate::workspace;

/// The event types that a query names: `event_type = 'x'`, `event_type IN ('x', 'y')`.
fn named_types(query: &str) -> BTreeSet<&str> {
    let mut named = BTreeSet::new();
    for condition in query.split("event_type ").skip(1) {
        let end = if condition.starts_with("IN (") {
            condition.find(')')
        } else {
            condition.match_indices('\'').nth(1).map(|(at, _)| at + 1)
        };
        let is_condition = condition.starts_with("= '") || condition.starts_with("IN (");
        if let Some(end) = end.filter(|_| is_condition) {
            named.extend(condition[..end].split('\'').skip(1).step_by(2));
        }
    }
    named
}

/// The members of `event_data` that a query reads.
fn named_members(query: &str) -> BTreeSet<&str> {
    let read = query.split("json_extract_scalar(event_data, '$.").skip(1);
    read.filter_map(|rest| rest.split_once('\'').map(|(member, _)| member)).collect()
}

fn has(of_type: &EventType, member: &str) -> bool {
    of_type.fields.iter().any(|field| field.name == member)
}

#[test]
fn the_queries_ask_for_what_the_library_has() {
    let types = event_types();
    let mut asked_for = 0;
    for entry in fs::read_dir(workspace().join("deploy/queries")).expect("the queries are there") {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("the query can be read");
        let query: String = text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        let name = path.display();
        let named = named_types(&query);
        for named in &named {
            let is_known = types.iter().any(|known| known.name == *named);
            assert!(is_known, "{name}: {named} is no event type of the library");
        }
        // Without a type it asks of every event: then every type has to have it.
        let of: Vec<&EventType> =
            types.iter().filter(|known| named.is_empty() || named.contains(known.name.as_str())).collect();
        for member in named_members(&query) {
            asked_for += 1;
            let lacking: Vec<&str> =
                of.iter().filter(|known| !has(known, member)).map(|known| known.name.as_str()).collect();
            assert!(lacking.is_empty(), "{name}: {member} is no member of {lacking:?}");
        }
    }
    assert!(asked_for > 30, "the queries are read: {asked_for}");
}

#[test]
fn types_and_members_are_found_in_a_query() {
    let query = "SELECT max(CASE WHEN event_type = 'a' THEN 1 ELSE 0 END), json_extract_scalar(event_data, '$.x') \
                 FROM e WHERE event_type IN ('b', 'c') AND json_extract_scalar(event_data, '$.y') > 'z' GROUP BY event_type";
    assert_eq!(named_types(query), BTreeSet::from(["a", "b", "c"]));
    assert_eq!(named_members(query), BTreeSet::from(["x", "y"]));
}
