//! What applications ask beyond the rules of all: schemas, and players who are not to be kept.

use headgate_proto::v1::{Event, PublishEventsRequest, Reason};
use prost::Message;
use uuid::Uuid;

use super::{House, application, event};
use crate::event::scan::Envelope;
use crate::gather::Outcome;
use crate::live::view::TailVerdict;
use crate::registry::{Identities, Schema, SchemaMode, Suppression};

fn of_player(id: u128, player: &str) -> Event {
    Event { event_data: format!("{{\"player_id\":\"{player}\"}}").into_bytes().into(), ..event(id) }
}

/// What the test's application asks of its `login` events.
fn schema(mode: SchemaMode) -> Schema {
    Schema {
        application_id: Uuid::from_u128(7),
        event_type: "login".to_owned(),
        version: 1,
        mode,
        schema: r#"{"properties":{"player_id":{"maxLength":4}}}"#.to_owned(),
        created_at_ms: 0,
    }
}

#[test]
fn a_suppressed_player_is_answered_as_stored_and_kept_nowhere() {
    let house = House::new();
    let anna = Suppression { application_id: Uuid::from_u128(7), player_id: "anna".to_owned(), since_ms: 0 };
    assert_eq!(house.policies.replace(Vec::new(), vec![anna], &Identities::default()), []);
    let nameless = Event { event_id: String::new(), ..of_player(3, "anna") };
    let broken = Event { event_name: "a b".to_owned(), ..of_player(4, "anna") };
    house.send(1, vec![of_player(1, "anna"), of_player(2, "bert"), nameless, broken]);
    let lines = house.settle(&Outcome::Stored);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("bert"));
    let verdict = house.verdict(1);
    assert_eq!((verdict.accepted, verdict.rejected), (3, 1), "nobody can tell from the answer who is suppressed");
    assert_eq!(verdict.assigned_ids.len(), 1);
    let counters = house.app.counters();
    assert_eq!((counters.accepted.get(), counters.suppressed.get(), counters.rejected.get()), (1, 2, 1));
    let tail = house.live.tail(None, None, 0, 10);
    assert_eq!(tail.len(), 2, "the one that is stored, and that one broke a rule");
    assert!(tail.iter().all(|entry| !entry.event_data.contains("anna")), "{tail:?}");
    house.assert_balanced();

    // In another application it is another player.
    let other = house.apps.get(&application(8));
    house.send_as(&other, 2, vec![of_player(1, "anna")]);
    assert_eq!(house.settle(&Outcome::Stored).len(), 1);
    house.assert_balanced();
}

#[test]
fn an_event_that_does_not_fit_its_schema_is_stored_with_a_warning_or_rejected() {
    let house = House::new();
    assert_eq!(house.policies.replace(vec![schema(SchemaMode::Warn)], Vec::new(), &Identities::default()), []);
    let other_type = Event { event_type: "logout".to_owned(), ..of_player(3, "berta") };
    house.send(1, vec![of_player(1, "anna"), of_player(2, "berta"), other_type]);
    assert_eq!(house.settle(&Outcome::Stored).len(), 3);
    let verdict = house.verdict(1);
    assert_eq!((verdict.accepted, verdict.warned, verdict.not_accepted.len()), (3, 1, 0));
    assert_eq!(verdict.warnings.len(), 1);
    assert_eq!((verdict.warnings[0].index, verdict.warnings[0].field.as_str()), (1, "event_data/player_id"));
    let told =
        house.live.tail(None, None, 0, 10).into_iter().find(|entry| entry.message.is_some()).expect("it is shown");
    assert_eq!((told.verdict, told.reason.as_deref()), (TailVerdict::Accepted, Some("schema")));
    assert_eq!(house.app.counters().warned.get(), 1);
    house.assert_balanced();

    assert_eq!(house.policies.replace(vec![schema(SchemaMode::Enforce)], Vec::new(), &Identities::default()), []);
    house.send(2, vec![of_player(4, "anna"), of_player(5, "berta")]);
    assert_eq!(house.settle(&Outcome::Stored).len(), 1);
    let verdict = house.verdict(2);
    assert_eq!((verdict.accepted, verdict.rejected, verdict.warned), (1, 1, 0));
    let rejected = &verdict.not_accepted[0];
    assert_eq!(
        (rejected.index, rejected.reason(), rejected.field.as_str()),
        (1, Reason::Schema, "event_data/player_id")
    );
    assert!(rejected.message.contains("does not fit its schema"), "{}", rejected.message);
    house.assert_balanced();
}

#[test]
fn a_batch_that_is_checked_first_is_held_to_the_same_policy() {
    let house = House::new();
    assert_eq!(house.policies.replace(vec![schema(SchemaMode::Enforce)], Vec::new(), &Identities::default()), []);
    let message = PublishEventsRequest { events: vec![of_player(1, "anna"), of_player(2, "berta")] }.encode_to_vec();
    let policy = house.ingest.policy(&house.app).expect("it has one");
    let checked = house.ingest.check(&house.app, Some(&policy), &message, Envelope::Publish, &[]);
    let (index, invalid) = checked.expect_err("the second does not fit");
    assert_eq!((index, invalid.place()), (1, "event_data/player_id"));
    let berta = Suppression { application_id: Uuid::from_u128(7), player_id: "berta".to_owned(), since_ms: 0 };
    assert_eq!(house.policies.replace(vec![schema(SchemaMode::Enforce)], vec![berta], &Identities::default()), []);
    let policy = house.ingest.policy(&house.app).expect("it has one");
    assert_eq!(house.ingest.check(&house.app, Some(&policy), &message, Envelope::Publish, &[]), Ok(()));
}
