//! Keys that are turned away, rotated in their file, and changed while a stream is open.

use std::fs;
use std::time::Duration;

use headgate_client::{Client, Key};
use tonic::Status;

use crate::stand_in::{Reaction, StandIn};
use crate::{PATIENCE, client, give, sorted, until};

#[test]
fn a_key_that_is_rotated_in_its_file_is_taken_up_when_the_old_one_is_turned_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    fs::write(&path, "hg_first\n").expect("it can be written");
    let mut stored = 0;
    let server = StandIn::with(
        move |batch| {
            stored += 1;
            // The first key ends while its stream is open.
            if batch.stream == 0 && stored == 3 {
                vec![Reaction::Break(Status::unauthenticated("the API key has expired"))]
            } else {
                vec![Reaction::Store]
            }
        },
        {
            let mut first = true;
            move |key| match key {
                "hg_second" => Ok(()),
                "hg_first" if std::mem::take(&mut first) => Ok(()),
                _ => Err(Status::unauthenticated("the API key has expired")),
            }
        },
    );
    let builder = Client::builder(server.endpoint(), Key::file(&path)).batch_events(10);
    let builder = builder.linger(Duration::from_millis(5)).longest_backoff(Duration::from_millis(100));
    let client = builder.build().expect("it starts");
    let given = give(&client, 100);
    let stuck = until(&client, "the key is turned away", |counters| counters.connects_failed > 0);
    assert!(stuck.last_error.is_some_and(|error| error.contains("expired")));
    fs::write(&path, "hg_second\n").expect("it can be written");
    assert!(client.close(PATIENCE).is_empty(), "{:?}", client.counters());
    assert_eq!(server.seen().distinct(), sorted(given));
}

#[test]
fn a_key_that_is_changed_moves_the_stream_without_a_resend() {
    let server = StandIn::new(|_| vec![Reaction::After(Duration::from_millis(20), Box::new(Reaction::Store))]);
    let client = client(&server.endpoint()).build().expect("it starts");
    let mut given = give(&client, 200);
    until(&client, "it sends", |counters| counters.acknowledged > 0);
    client.set_key(Key::value("hg_other")).expect("a good key");
    given.extend(give(&client, 200));
    until(&client, "it moves", |counters| counters.moves == 1);
    given.extend(give(&client, 200));
    assert!(client.set_key(Key::value("")).is_err());
    assert!(client.close(PATIENCE).is_empty());
    let seen = server.seen();
    assert_eq!(seen.opened.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["hg_key", "hg_other"]);
    assert_eq!(sorted(seen.stored.clone()), sorted(given), "each once");
    assert_eq!((client.counters().resent, client.counters().reconnects), (0, 0));
}
