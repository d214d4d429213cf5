//! A broken lake must not pass: each way to break a promise is put before the oracle.

use headgate_proto::v1::{BatchVerdict, EventVerdict, VerdictCode};
use parquet::data_type::ByteArray;

use super::*;

const EVENTS: usize = 200;

struct Run {
    oracle: Oracle,
    batch: Batch,
}

impl Run {
    /// One batch, sent and not answered.
    fn sent() -> Self {
        let oracle = Oracle::new(11, &[Uuid::from_u128(1), Uuid::from_u128(2)]);
        let batch = oracle.batch(1, EVENTS);
        assert_eq!(oracle.send(&batch).len(), EVENTS);
        Self { oracle, batch }
    }

    /// One batch, sent and answered as the rules ask.
    fn answered() -> Self {
        let run = Self::sent();
        let not_accepted = run.bad().map(|serial| event_verdict(serial, VerdictCode::Rejected)).collect::<Vec<_>>();
        assert!(!not_accepted.is_empty(), "this seed has no bad event in its first batch");
        let verdict = BatchVerdict {
            accepted: (EVENTS - not_accepted.len()) as u32,
            rejected: not_accepted.len() as u32,
            not_accepted,
            ..BatchVerdict::default()
        };
        assert_eq!(run.oracle.verdict(&run.batch, &verdict), None);
        run
    }

    fn bad(&self) -> impl Iterator<Item = u64> {
        self.batch.serials.iter().copied().filter(|serial| self.oracle.events().is_bad(*serial))
    }

    fn good(&self) -> impl Iterator<Item = u64> {
        self.batch.serials.iter().copied().filter(|serial| !self.oracle.events().is_bad(*serial))
    }

    /// The lake as it must be.
    fn rows(&self) -> Vec<Row> {
        self.good().map(|serial| self.row(serial)).collect()
    }

    fn row(&self, serial: u64) -> Row {
        let (event, events) = (self.oracle.events().event(serial), self.oracle.events());
        let text = |text: String| ByteArray::from(text.into_bytes());
        let some = |value: String| (!value.is_empty()).then(|| text(value));
        let timestamp = events.timestamp(serial);
        Row {
            event_id: text(event.event_id),
            event_type: text(event.event_type),
            event_name: text(event.event_name),
            event_version: some(event.event_version),
            event_timestamp: timestamp.seconds,
            app_version: some(event.app_version),
            application_id: text(Uuid::from_u128(2).to_string()),
            event_data: events.stored_data(serial).map(text),
            event_time_ms: timestamp.seconds * 1_000 + i64::from(timestamp.nanos / 1_000_000),
            partition: headgate::delivery::lake::day::Day::of_ms(timestamp.seconds * 1_000)
                .partition()
                .display()
                .to_string(),
        }
    }

    fn violations(&self, rows: &[Row]) -> Vec<Violation> {
        self.oracle.judge(rows).violations
    }
}

fn event_verdict(index: u64, code: VerdictCode) -> EventVerdict {
    EventVerdict { index: index as u32, code: code.into(), ..EventVerdict::default() }
}

#[test]
fn a_lake_that_keeps_every_promise_passes() {
    let run = Run::answered();
    let judgement = run.oracle.judge(&run.rows());
    judgement.assert_kept(EVENTS as u64 / 2);
    assert_eq!(judgement.stored, run.good().count() as u64);
    assert_eq!(judgement.rejected, run.bad().count() as u64);
}

#[test]
fn an_acknowledged_event_that_is_missing_is_noticed() {
    let run = Run::answered();
    let mut rows = run.rows();
    let lost = rows.remove(17);
    let serial = run.good().nth(17).expect("there are many");
    assert_eq!(run.violations(&rows), [Violation::Missing { serial }], "{lost:?}");
}

#[test]
fn an_event_that_was_changed_is_noticed_in_every_column() {
    type Change = fn(&mut Row);
    let changes: [(&str, Change); 9] = [
        ("event_type", |row| row.event_type = ByteArray::from("logim")),
        ("event_name", |row| row.event_name = ByteArray::from("")),
        ("event_version", |row| row.event_version = Some(ByteArray::from("9"))),
        ("app_version", |row| row.app_version = Some(ByteArray::from("9"))),
        ("event_data", |row| row.event_data = Some(ByteArray::from(r#"{"player_id":"other"}"#))),
        ("event_timestamp", |row| row.event_timestamp += 1),
        ("event_time_ms", |row| row.event_time_ms += 1),
        ("application_id", |row| row.application_id = ByteArray::from(Uuid::from_u128(1).to_string().as_str())),
        ("partition", |row| row.partition = "year=1999/month=01/day=01".to_owned()),
    ];
    let run = Run::answered();
    for (changed, change) in changes {
        let mut rows = run.rows();
        change(&mut rows[3]);
        let violations = run.violations(&rows);
        assert!(
            matches!(&violations[..], [Violation::Altered { column, .. }] if *column == changed),
            "{changed}: {violations:?}"
        );
    }
}

#[test]
fn an_alien_event_is_noticed() {
    let run = Run::answered();
    let alien = Run::answered().oracle.batch(1, 1).serials[0];
    let other_run = Oracle::new(12, &[]);
    for event_id in
        [run.oracle.events().id(alien), other_run.events().id(0), Uuid::from_u128(7)].map(|id| id.to_string())
    {
        let mut rows = run.rows();
        rows.push(Row { event_id: ByteArray::from(event_id.as_str()), ..run.row(0) });
        assert_eq!(run.violations(&rows), [Violation::Alien { event_id }]);
    }
}

#[test]
fn a_rejected_event_that_is_there_is_noticed() {
    let run = Run::answered();
    let serial = run.bad().next().expect("some are bad");
    let mut rows = run.rows();
    rows.push(run.row(serial));
    assert!(run.violations(&rows).contains(&Violation::NotToBeThere { serial, answered: "rejected" }));
}

#[test]
fn a_refused_event_that_is_there_is_noticed() {
    let run = Run::sent();
    run.oracle.refused(&run.batch);
    assert_eq!(run.violations(&[]), []);
    assert_eq!(run.violations(&[run.row(0)]), [Violation::NotToBeThere { serial: 0, answered: "not stored" }]);
}

#[test]
fn a_double_is_noticed_unless_a_send_without_an_answer_explains_it() {
    let run = Run::answered();
    let mut rows = run.rows();
    let serial = run.good().nth(5).expect("there are many");
    rows.push(run.row(serial));
    assert_eq!(run.violations(&rows), [Violation::Doubled { serial, rows: 2, most: 1 }]);
    // The same batch once more, unanswered: each of its events may be there twice, and not three times.
    assert_eq!(run.oracle.send(&run.batch).len(), EVENTS);
    assert_eq!(run.violations(&rows), []);
    rows.push(run.row(serial));
    assert_eq!(run.violations(&rows), [Violation::Doubled { serial, rows: 3, most: 2 }]);
}

#[test]
fn a_stop_between_two_sends_that_crossed_explains_a_double() {
    let accepted = BatchVerdict { accepted: 1, ..BatchVerdict::default() };
    for stopped in [false, true] {
        let run = Run::sent();
        let serial = run.good().next().expect("there are many");
        let batch = Batch { application: run.batch.application, serials: vec![serial] };
        // Of the sends of this event the first one is that of the whole batch, which is refused.
        run.oracle.refused(&run.batch);
        for _ in 0..2 {
            let _ = run.oracle.send(&batch);
        }
        assert!(run.oracle.verdict(&batch, &accepted).is_none());
        if stopped {
            run.oracle.stopped();
        }
        assert!(run.oracle.verdict(&batch, &accepted).is_none());
        let doubled = run.violations(&[run.row(serial), run.row(serial)]);
        let expected = if stopped { vec![] } else { vec![Violation::Doubled { serial, rows: 2, most: 1 }] };
        assert_eq!(doubled, expected, "stopped: {stopped}");
    }
}

#[test]
fn an_answer_that_does_not_add_up_is_noticed() {
    let wrong = [
        BatchVerdict { accepted: EVENTS as u32 - 1, ..BatchVerdict::default() },
        BatchVerdict { accepted: EVENTS as u32, ..BatchVerdict::default() },
        BatchVerdict {
            accepted: EVENTS as u32 - 1,
            rejected: 1,
            not_accepted: vec![event_verdict(EVENTS as u64, VerdictCode::Rejected)],
            ..BatchVerdict::default()
        },
        BatchVerdict {
            accepted: EVENTS as u32 - 1,
            rejected: 1,
            not_accepted: vec![event_verdict(3, VerdictCode::Retry)],
            ..BatchVerdict::default()
        },
    ];
    for verdict in wrong {
        let run = Run::sent();
        let _ = run.oracle.verdict(&run.batch, &verdict);
        let violations = run.violations(&run.rows());
        assert!(violations.iter().any(|violation| matches!(violation, Violation::BadAnswer(_))), "{violations:?}");
    }
}

#[test]
fn what_was_not_settled_comes_back_to_be_sent_again() {
    let run = Run::sent();
    let good: Vec<_> = run.good().take(3).collect();
    let mut not_accepted: Vec<_> = run.bad().map(|serial| event_verdict(serial, VerdictCode::Rejected)).collect();
    let rejected = not_accepted.len() as u32;
    not_accepted.extend([
        event_verdict(good[0], VerdictCode::Retry),
        event_verdict(good[1], VerdictCode::Unknown),
        event_verdict(good[2], VerdictCode::Retry),
    ]);
    not_accepted.sort_by_key(|verdict| verdict.index);
    let accepted = EVENTS as u32 - rejected - 3;
    let verdict = BatchVerdict { accepted, rejected, retry: 2, unknown: 1, not_accepted, ..BatchVerdict::default() };
    let again = run.oracle.verdict(&run.batch, &verdict);
    assert_eq!(again, Some(Batch { application: 1, serials: good.clone() }));
    let rows: Vec<_> = run.rows().into_iter().skip(3).collect();
    assert_eq!(run.violations(&rows), [], "none of the three has to be there");
    let with_all = run.violations(&run.rows());
    let not_stored = |serial| Violation::NotToBeThere { serial, answered: "not stored" };
    assert_eq!(with_all, [not_stored(good[0]), not_stored(good[2])], "and the unknown one may");
}

#[test]
#[should_panic(expected = "too little to prove anything")]
fn a_run_without_acknowledgements_proves_nothing() {
    Run::sent().oracle.judge(&[]).assert_kept(1);
}
