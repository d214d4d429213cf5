//! Batches, answers, broken streams, refusals, moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headgate_client::v1::stream_events_response::Answer;
use headgate_client::v1::stream_notice::Kind;
use headgate_client::v1::{self, BatchVerdict, EventVerdict, VerdictCode};
use headgate_client::{Cause, Code, Event, Overflow, Reason};
use tonic::Status;

use crate::stand_in::{Reaction, StandIn, accepted, refusal};
use crate::{PATIENCE, assert_balanced, client, give, sorted, until};

#[test]
fn every_event_is_stored_once_where_nothing_goes_wrong() {
    let server = StandIn::new(|_| vec![Reaction::After(Duration::from_millis(2), Box::new(Reaction::Store))]);
    let client = client(&server.endpoint()).batches_in_flight(4).build().expect("it starts");
    let given = give(&client, 5_000);
    assert!(client.flush(PATIENCE).is_empty());
    let counters = client.counters();
    assert_eq!((counters.acknowledged, counters.sent, counters.resent), (5_000, 5_000, 0));
    assert_eq!((counters.pending, counters.bytes_in_memory), (0, 0));
    assert!(client.close(PATIENCE).is_empty());
    let seen = server.seen();
    assert_eq!(sorted(seen.stored.clone()), sorted(given));
    assert!(seen.batches.iter().all(|(_, events, _)| *events <= 20));
    assert!((2..=4).contains(&seen.most_unanswered), "several in flight, and bounded: {}", seen.most_unanswered);
    assert_eq!(seen.opened.len(), 1, "one stream");
}

/// Every seventh batch ends its stream: stored, or not, but never answered, and others of its stream neither.
#[test]
fn streams_that_break_cost_no_event_and_change_no_id() {
    let server = StandIn::new(|batch| match batch.before % 7 {
        3 => vec![Reaction::StoreInSilence],
        6 if batch.before % 2 == 0 => vec![Reaction::StoreInSilence, Reaction::Break(Status::unavailable("gone"))],
        6 => vec![Reaction::Break(Status::internal("broken"))],
        _ => vec![Reaction::Store],
    });
    // Those that are stored in silence at the end have no later batch that breaks their stream.
    let client = client(&server.endpoint()).answer_timeout(Duration::from_secs(1)).build().expect("it starts");
    let given = give(&client, 2_000);
    let left = client.close(PATIENCE);
    assert!(left.is_empty(), "{left:?} {:?}", client.counters());
    let (seen, counters) = (server.seen(), client.counters());
    assert_eq!(seen.distinct(), sorted(given));
    assert!(counters.reconnects > 2 && seen.duplicates() > 0, "{counters:?}");
    assert!(seen.duplicates() <= counters.resent, "{} of {counters:?}", seen.duplicates());
    assert_eq!(counters.acknowledged, 2_000);
    assert_balanced(&counters);
}

#[test]
fn a_refused_batch_comes_again_after_its_hint_and_the_stream_goes_on() {
    const HINT: Duration = Duration::from_millis(400);
    let server = StandIn::new(|batch| match batch.before {
        0 => vec![Reaction::Answer(refusal(Code::ResourceExhausted, Some(HINT)))],
        _ => vec![Reaction::Store],
    });
    let client = client(&server.endpoint()).batches_in_flight(1).build().expect("it starts");
    let given = give(&client, 100);
    assert!(client.flush(PATIENCE).is_empty());
    let seen = server.seen();
    assert_eq!(sorted(seen.stored.clone()), sorted(given));
    let pause = seen.batches[1].2 - seen.batches[0].2;
    assert!(pause >= HINT, "the hint is {HINT:?}, it came after {pause:?}");
    assert_eq!(seen.opened.len(), 1, "the stream goes on");
    assert_eq!(client.counters().batches_refused, 1);
}

#[test]
fn a_batch_that_is_refused_for_good_is_reported_event_by_event() {
    let server = StandIn::new(|batch| match batch.before {
        0 => vec![Reaction::Answer(refusal(Code::InvalidArgument, None))],
        _ => vec![Reaction::Store],
    });
    let failures = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&failures);
    let client = client(&server.endpoint()).on_failure(move |failure| heard.lock().expect("no panic").push(failure));
    let client = client.batches_in_flight(1).build().expect("it starts");
    let given = give(&client, 60);
    assert!(client.close(PATIENCE).is_empty());
    let failures = failures.lock().expect("no panic");
    let refused: Vec<String> = failures.iter().map(|failure| failure.id().expect("an id").to_string()).collect();
    assert!(!refused.is_empty() && refused == given[..refused.len()]);
    assert!(
        failures.iter().all(|failure| matches!(failure.cause(), Cause::Refused { code: Code::InvalidArgument, .. }))
    );
    assert_eq!(sorted(server.seen().stored.clone()), sorted(given[refused.len()..].to_vec()));
    assert_balanced(&client.counters());
}

#[test]
fn answers_may_come_in_any_order() {
    let mut waiting: Vec<(u64, usize)> = Vec::new();
    let server = StandIn::new(move |batch| {
        waiting.push((batch.request.sequence, batch.request.events.len()));
        let mut reactions = vec![Reaction::StoreInSilence];
        if waiting.len() == 4 {
            reactions.extend(waiting.drain(..).rev().map(|(seq, events)| Reaction::AnswerTo(seq, accepted(events))));
        }
        reactions
    });
    let client = client(&server.endpoint()).batches_in_flight(4).build().expect("it starts");
    let given = give(&client, 40 * 20);
    assert!(client.flush(PATIENCE).is_empty(), "{:?}", client.counters());
    assert_eq!(sorted(server.seen().stored.clone()), sorted(given));
    assert_eq!(client.counters().resent, 0);
}

#[test]
fn each_event_has_its_own_verdict() {
    let server = StandIn::new(|batch| {
        let mut verdict = BatchVerdict::default();
        for (index, event) in (0..).zip(&batch.request.events) {
            let (code, reason) = match event.event_name.as_str() {
                "bad" => (VerdictCode::Rejected, Reason::Schema),
                "later" if batch.before == 0 => (VerdictCode::Retry, Reason::DestinationUnavailable),
                _ => {
                    verdict.accepted += 1;
                    continue;
                }
            };
            match code {
                VerdictCode::Rejected => verdict.rejected += 1,
                _ => verdict.retry += 1,
            }
            let (code, reason) = (code.into(), reason.into());
            verdict.not_accepted.push(EventVerdict { index, code, reason, ..EventVerdict::default() });
        }
        vec![Reaction::Answer(Answer::Verdict(verdict))]
    });
    let (failed, failures) = std::sync::mpsc::channel();
    let client = client(&server.endpoint()).linger(Duration::from_millis(200));
    let client = client.on_failure(move |failure| failed.send(failure).expect("someone listens"));
    let (settled, stored) = std::sync::mpsc::channel();
    let client = client.on_stored(move |stored| settled.send(stored).expect("someone listens"));
    let client = client.build().expect("it starts");
    let given = ["good", "bad", "later", "good", "later"]
        .map(|name| client.send(Event::new("test", name)).expect("there is room").id);
    assert!(client.close(PATIENCE).is_empty());
    let ids: Vec<Vec<_>> = stored.try_iter().map(|stored| stored.ids().collect()).collect();
    assert_eq!(ids, [vec![given[0], given[3]], vec![given[2], given[4]]]);
    let failure = failures.try_recv().expect("one is rejected");
    assert_eq!(failure.event().event_name, "bad");
    assert!(matches!(failure.cause(), Cause::Rejected { reason: Reason::Schema, .. }));
    assert!(failures.try_recv().is_err(), "and no other");
    let counters = client.counters();
    assert_eq!((counters.acknowledged, &counters.rejected[..], counters.resent), (4, &[(Reason::Schema, 1)][..], 2));
    assert_eq!(server.seen().batches.iter().map(|(_, events, _)| *events).collect::<Vec<_>>(), [5, 2]);
}

#[test]
fn a_stream_on_which_no_answer_comes_is_given_up() {
    let server = StandIn::new(|batch| match batch.stream {
        0 => vec![Reaction::StoreInSilence],
        _ => vec![Reaction::Store],
    });
    let client = client(&server.endpoint()).answer_timeout(Duration::from_secs(1)).build().expect("it starts");
    let given = give(&client, 30);
    assert!(client.close(PATIENCE).is_empty(), "{:?}", client.counters());
    assert_eq!(server.seen().distinct(), sorted(given));
    assert_eq!((client.counters().reconnects, client.counters().resent), (1, 30));
}

/// The gateway asks every stream to move after ten batches, and takes what comes within the grace. The client opens the next
/// stream while it goes on sending on the old one, whose answers come late; so nothing is sent twice, and nothing waits.
#[test]
fn a_stream_that_is_asked_to_move_costs_no_resend_and_no_pause() {
    let mut on_stream = std::collections::HashMap::new();
    let sent = Arc::new(Mutex::new(BTreeMap::new()));
    let came = Arc::clone(&sent);
    let server = StandIn::new(move |batch| {
        came.lock().expect("no panic").insert(batch.request.sequence, batch.stream);
        let count = on_stream.entry(batch.stream).or_insert(0);
        *count += 1;
        let store = Reaction::After(Duration::from_millis(30), Box::new(Reaction::Store));
        if *count == 10 {
            vec![Reaction::Notice(Kind::ConnectionAge, Duration::from_secs(20)), store]
        } else {
            vec![store]
        }
    });
    let client = client(&server.endpoint()).build().expect("it starts");
    let mut given = Vec::new();
    for _ in 0..100 {
        given.extend(give(&client, 20));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(client.close(PATIENCE).is_empty());
    let (seen, counters) = (server.seen(), client.counters());
    assert_eq!(sorted(seen.stored.clone()), sorted(given), "each once");
    assert_eq!((counters.resent, counters.reconnects), (0, 0), "{counters:?}");
    assert!(counters.moves >= 3, "{counters:?}");
    // In the order in which they left: connections overtake each other.
    let streams: Vec<usize> = sent.lock().expect("no panic").values().copied().collect();
    assert!(streams.is_sorted(), "once on the new one, never on the old one again: {streams:?}");
}

#[test]
fn nobody_knocks_again_before_the_hint_of_a_stream_that_was_refused() {
    const HINT: Duration = Duration::from_millis(700);
    let mut turned_away = false;
    let server = StandIn::with(
        |_| vec![Reaction::Store],
        move |_| {
            if std::mem::replace(&mut turned_away, true) {
                return Ok(());
            }
            // google.rpc.RetryInfo { retry_delay: { nanos: 700,000,000 } } in a google.rpc.Status.
            let delay = prost_types::Duration { seconds: 0, nanos: 700_000_000 };
            let info = [&[0x0a_u8][..], &encoded(&delay)].concat();
            let detail =
                prost_types::Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: info };
            let status = v1::Status { code: Code::Unavailable.into(), details: vec![detail], ..v1::Status::default() };
            let details = prost::Message::encode_to_vec(&status);
            Err(Status::with_details(Code::Unavailable, "draining", details.into()))
        },
    );
    let client = client(&server.endpoint()).build().expect("it starts");
    let given = give(&client, 10);
    assert!(client.close(PATIENCE).is_empty());
    let seen = server.seen();
    assert_eq!(sorted(seen.stored.clone()), sorted(given));
    let pause = seen.opened[1].1 - seen.opened[0].1;
    assert!(pause >= HINT, "the hint is {HINT:?}, it knocked after {pause:?}");
    assert_eq!(client.counters().connects_failed, 1);
}

/// Length and content.
fn encoded(message: &impl prost::Message) -> Vec<u8> {
    prost::Message::encode_length_delimited_to_vec(message)
}

#[test]
fn a_gateway_that_comes_up_late_gets_everything() {
    let address = crate::stand_in::nobody();
    let client = client(&format!("http://{address}")).build().expect("it starts without a gateway");
    let given = give(&client, 500);
    let failed = until(&client, "it knocks", |counters| counters.connects_failed > 1);
    assert!(!failed.connected && failed.last_error.is_some_and(|error| error.contains("refused")));
    let server = StandIn::good_at(address);
    assert!(client.close(PATIENCE).is_empty());
    assert_eq!(sorted(server.seen().stored.clone()), sorted(given));
    assert_eq!(client.counters().resent, 0);
}

#[test]
fn closing_says_exactly_what_was_not_delivered() {
    let server = StandIn::new(|batch| match batch.before {
        0 | 1 => vec![Reaction::Store],
        _ => Vec::new(),
    });
    let client = client(&server.endpoint()).batches_in_flight(1).build().expect("it starts");
    let given = give(&client, 110);
    until(&client, "two batches are stored", |counters| counters.acknowledged >= 21);
    let flushed = client.flush(Duration::from_millis(50));
    let started = Instant::now();
    let left = client.close(Duration::from_millis(50));
    assert!(started.elapsed() < Duration::from_secs(20), "it ends when its time is up: {:?}", started.elapsed());
    assert_eq!(left.in_memory(), flushed.in_memory());
    assert_eq!((left.in_memory(), left.on_log()), (110 - client.counters().acknowledged, 0));
    let ids: Vec<String> = left.iter().map(|event| event.event_id).collect();
    assert_eq!(ids, given[given.len() - ids.len()..], "the events themselves, in order");
    assert_eq!(left.iter().count() as u64, left.in_memory());
    assert!(client.send(Event::new("test", "late")).is_err(), "it is closed");
    assert_eq!(client.close(Duration::ZERO).in_memory(), left.in_memory(), "closed again, it says the same");
    assert_balanced(&client.counters());
}

#[test]
fn a_compressed_stream_carries_the_same() {
    let server = StandIn::good();
    let client = client(&server.endpoint()).compress(true).build().expect("it starts");
    let given = give(&client, 500);
    assert!(client.close(PATIENCE).is_empty(), "{:?}", client.counters());
    assert_eq!(sorted(server.seen().stored.clone()), sorted(given));
}

#[test]
fn tasks_use_it_without_blocking_their_thread() {
    let server = StandIn::good();
    let endpoint = server.endpoint();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let given = runtime.block_on(async {
        // One thread: whoever blocked it would block the others.
        let client = client(&endpoint).memory_events(20).overflow(Overflow::Wait(PATIENCE)).build().expect("it starts");
        let give = async || {
            let mut given = Vec::new();
            for _ in 0..100 {
                let receipt = client.send_async(Event::new("test", "event")).await.expect("room comes");
                given.push(receipt.id.to_string());
            }
            given
        };
        let (one, other) = tokio::join!(give(), give());
        assert!(client.flush_async(PATIENCE).await.is_empty());
        assert!(client.close_async(PATIENCE).await.is_empty());
        [one, other].concat()
    });
    assert_eq!(sorted(server.seen().stored.clone()), sorted(given));
}

/// The time is up while an answer is on its way, and it comes while the streams are ended.
#[test]
fn what_is_answered_while_the_client_ends_is_not_called_undelivered() {
    let server = StandIn::new(|_| vec![Reaction::After(Duration::from_millis(100), Box::new(Reaction::Store))]);
    let client = client(&server.endpoint()).build().expect("it starts");
    give(&client, 20);
    until(&client, "it is on its way", |counters| counters.sent == 20);
    assert!(client.close(Duration::ZERO).is_empty());
    assert_eq!(client.counters().acknowledged, 20);
}
