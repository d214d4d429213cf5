//! Ids that are hashed before anything is kept.

use headgate_proto::v1::{Event, PublishEventsRequest, Reason};
use prost::Message;
use uuid::Uuid;

use super::{House, event};
use crate::event::scan::Envelope;
use crate::gather::Outcome;
use crate::registry::{Identities, Identity, IdentityField, Schema, SchemaMode, Secret, Suppression};

const APP: Uuid = Uuid::from_u128(7);

fn of_player(id: u128, player: &str) -> Event {
    Event { event_data: format!("{{\"player_id\":\"{player}\"}}").into_bytes().into(), ..event(id) }
}

fn identity(generations: u32, fields: &[IdentityField]) -> Identity {
    let secrets = (1..=generations).map(|generation| Secret::generate(generation).expect("randomness")).collect();
    Identity { application_id: APP, version: 1, fields: fields.to_vec(), secrets, changed_at_ms: 0 }
}

fn suppressed(player: &str) -> Suppression {
    Suppression { application_id: APP, player_id: player.to_owned(), since_ms: 0 }
}

#[test]
fn nothing_that_is_kept_or_shown_has_the_id_and_a_player_has_one_hash() {
    let house = House::new();
    let identity = identity(1, &[IdentityField::PlayerId]);
    assert_eq!(house.policies.replace(Vec::new(), Vec::new(), &Identities::from(vec![identity.clone()])), []);
    let bad = Event { event_name: "a b".to_owned(), ..of_player(4, "anna") };
    let unreadable = Event { event_data: br#"{"player_id":"anna""#.to_vec().into(), ..event(5) };
    house.send(1, vec![of_player(1, "anna"), of_player(2, "bert"), of_player(3, "anna"), bad, unreadable]);
    let lines = house.settle(&Outcome::Stored);
    let hash = &identity.ids_of("anna")[1];
    assert_eq!(lines.iter().filter(|line| line.contains(hash)).count(), 2);
    assert!(lines.len() == 3 && lines.iter().all(|line| !line.contains("anna") && !line.contains("bert")), "{lines:?}");
    let verdict = house.verdict(1);
    assert_eq!((verdict.accepted, verdict.rejected), (3, 2));
    let reasons: Vec<_> = verdict.not_accepted.iter().map(|event| (event.index, event.reason())).collect();
    assert_eq!(reasons, [(3, Reason::Charset), (4, Reason::NotAJsonObject)], "as without hashing");
    let tail = house.live.tail(None, None, 0, 10);
    assert!(tail.len() == 5 && tail.iter().all(|entry| !entry.event_data.contains("anna")), "{tail:?}");
    house.assert_balanced();

    // The same events again are duplicates, as without hashing.
    house.send(2, vec![of_player(1, "anna"), of_player(2, "bert")]);
    assert_eq!(house.settle(&Outcome::Stored), Vec::<String>::new());
    assert_eq!(house.verdict(2).accepted, 2);
}

#[test]
fn a_suppressed_player_is_known_by_the_id_and_by_every_hash() {
    let house = House::new();
    let identity = identity(3, &[IdentityField::PlayerId]);
    let off = Identity { fields: Vec::new(), ..identity.clone() };
    // Itself, then the hashes, newest first.
    let ids = identity.ids_of("anna");
    assert_eq!(ids.len(), 4);
    let mut number = 0;
    for known_by in &ids {
        for identity in [&identity, &off] {
            let identities = &Identities::from(vec![identity.clone()]);
            assert_eq!(house.policies.replace(Vec::new(), vec![suppressed(known_by)], identities), []);
            number += 1;
            house.send(
                number,
                vec![of_player(u128::from(number) * 2, "anna"), of_player(u128::from(number) * 2 + 1, "bert")],
            );
            let lines = house.settle(&Outcome::Stored);
            assert_eq!(lines.len(), 1, "{known_by}: {lines:?}");
            assert_eq!(house.verdict(number).accepted, 2, "{known_by}");
        }
    }

    // Known by the id: whichever hash an event comes with, as it stands in the lake, hashing on or off.
    for identity in [&identity, &off] {
        let identities = &Identities::from(vec![identity.clone()]);
        assert_eq!(house.policies.replace(Vec::new(), vec![suppressed("anna")], identities), []);
        for hash in &ids[1..] {
            number += 1;
            house.send(number, vec![of_player(u128::from(number) * 2, hash)]);
            assert_eq!(house.settle(&Outcome::Stored), Vec::<String>::new(), "{hash}, {:?}", identity.fields);
            assert_eq!(house.verdict(number).accepted, 1, "{hash}");
        }
    }
}

#[test]
fn a_schema_is_held_against_what_is_stored_by_both_ways_of_looking() {
    let house = House::new();
    let schema = Schema {
        application_id: APP,
        event_type: "login".to_owned(),
        version: 1,
        mode: SchemaMode::Enforce,
        schema: r#"{"properties":{"player_id":{"pattern":"^h1-"},"session_id":{"maxLength":4}}}"#.to_owned(),
        created_at_ms: 0,
    };
    let identity = identity(1, &[IdentityField::PlayerId]);
    assert_eq!(house.policies.replace(vec![schema], Vec::new(), &Identities::from(vec![identity])), []);
    house.send(1, vec![of_player(1, "anna")]);
    assert_eq!(house.settle(&Outcome::Stored).len(), 1);
    let long = Event { event_data: br#"{"player_id":"anna","session_id":"longer"}"#.to_vec().into(), ..event(2) };
    let message = PublishEventsRequest { events: vec![of_player(1, "anna"), long] }.encode_to_vec();
    let policy = house.ingest.policy(&house.app).expect("it has one");
    let checked = house.ingest.check(&house.app, Some(&policy), &message, Envelope::Publish, &[]);
    let (index, invalid) = checked.expect_err("the second does not fit");
    assert_eq!((index, invalid.place()), (1, "event_data/session_id"));
}
