//! Bad rows to Firehose, over a wire that answers as it is told to.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::*;
use crate::config::FirehoseSettings;
use crate::delivery::sender::wire::{CallError, CallFailure, Entry as Record, EntryResult};

#[derive(Clone, Copy)]
enum Answer {
    Stores,
    FailsFirstRecord,
    Fails(CallFailure),
}

/// Stores every record unless it is told otherwise for a call; calls wait while they are held.
struct Stream {
    answers: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<Vec<usize>>>,
    stored: Mutex<Vec<u8>>,
    gate: Semaphore,
}

impl Stream {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let (calls, stored) = (Mutex::default(), Mutex::default());
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            calls,
            stored,
            gate: Semaphore::new(1_000),
        })
    }

    fn lines(&self) -> Vec<BadRowLine> {
        let stored = self.stored.lock().expect("no panics");
        assert!(stored.is_empty() || stored.ends_with(b"\n"));
        let lines = stored.split_inclusive(|byte| *byte == b'\n');
        lines.map(|line| serde_json::from_slice(line).expect("is a bad row")).collect()
    }

    fn calls(&self) -> Vec<Vec<usize>> {
        self.calls.lock().expect("no panics").clone()
    }
}

#[async_trait]
impl Wire for Stream {
    async fn put(&self, entries: Vec<Record>, _timeout: Duration) -> Result<Vec<EntryResult>, CallError> {
        self.calls.lock().expect("no panics").push(entries.iter().map(|entry| entry.data_len()).collect());
        self.gate.acquire().await.expect("is never closed").forget();
        let answer = self.answers.lock().expect("no panics").pop_front().unwrap_or(Answer::Stores);
        if let Answer::Fails(failure) = answer {
            return Err(CallError { failure, code: "told".into(), message: "to fail".to_owned() });
        }
        let result = |(place, entry): (usize, Record)| {
            if place == 0 && matches!(answer, Answer::FailsFirstRecord) {
                return EntryResult::Throttled;
            }
            self.stored.lock().expect("no panics").extend_from_slice(&entry.pieces().concat());
            EntryResult::Stored { shard: None }
        };
        Ok(entries.into_iter().enumerate().map(result).collect())
    }
}

fn settings() -> FirehoseSettings {
    FirehoseSettings { linger: Duration::from_millis(1), ..FirehoseSettings::default() }
}

fn start(rig: &Rig, wire: &Arc<Stream>, settings: &FirehoseSettings) -> Arc<Rejects> {
    let (wire, tasks) = (Arc::clone(wire) as Arc<dyn Wire>, Tasks::new(&rig.metrics));
    Rejects::to_firehose(wire, settings, &rig.settings, &rig.metrics, &Clock::system(), &tasks)
}

async fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "{what}");
}

#[tokio::test]
async fn rows_arrive_as_the_lines_that_files_would_hold_many_to_a_record() {
    let rig = Rig::new();
    let wire = Stream::new([]);
    let long = FirehoseSettings { linger: Duration::from_secs(10), ..settings() };
    let rejects = start(&rig, &wire, &long);
    for index in 0..100 {
        rejects.submit(row(index, event().encode_to_vec()));
    }
    rejects.close().await;
    let lines = wire.lines();
    assert_eq!(lines[7], BadRowLine::new(&row(7, event().encode_to_vec())));
    assert!((0..100).eq(lines.iter().map(|line| line.index)));
    assert_eq!(wire.calls().iter().map(Vec::len).collect::<Vec<_>>(), [1], "one call with one record");
    assert_eq!((rig.count(Counter::BadRowsWritten), rig.count(Counter::BadRowsDropped)), (100, 0));
    rejects.submit(row(100, Vec::new()));
    assert_eq!(rig.count(Counter::BadRowsDropped), 1, "a closed queue takes nothing");
}

#[tokio::test]
async fn only_records_that_failed_are_sent_again() {
    let rig = Rig::new();
    let answers = [Answer::FailsFirstRecord, Answer::Fails(CallFailure::Ambiguous), Answer::FailsFirstRecord];
    let wire = Stream::new(answers);
    let small = FirehoseSettings { target: Size(5_000), linger: Duration::from_millis(100), ..settings() };
    let rejects = start(&rig, &wire, &small);
    for index in 0..20 {
        rejects.submit(row(index, vec![0xff; 1_000]));
    }
    wait_for("not written", || rig.count(Counter::BadRowsWritten) == 20).await;
    let sizes = wire.calls();
    assert!(sizes[0].len() > 1 && sizes[0].iter().all(|len| *len <= 5_000), "{sizes:?}");
    assert!(sizes[1..].iter().all(|call| *call == sizes[0][..1]), "{sizes:?}");
    let mut indexes: Vec<u32> = wire.lines().iter().map(|line| line.index).collect();
    indexes.sort_unstable();
    assert!((0..20).eq(indexes));
    rejects.close().await;
    assert_eq!(rig.count(Counter::BadRowsDropped), 0);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_the_rest_arrives() {
    let mut rig = Rig::new();
    rig.settings.bad_rows_queue = Size(10_000);
    let wire = Stream::new([]);
    wire.gate.forget_permits(1_000);
    let rejects = start(&rig, &wire, &settings());
    for index in 0..2_000 {
        rejects.submit(row(index, vec![0; 500]));
    }
    assert!(rig.count(Counter::BadRowsDropped) > 0);
    wire.gate.add_permits(1_000);
    rejects.close().await;
    assert_eq!(rig.count(Counter::BadRowsWritten) + rig.count(Counter::BadRowsDropped), 2_000);
    assert_eq!(wire.lines().len() as u64, rig.count(Counter::BadRowsWritten));
}

#[tokio::test]
async fn a_service_that_hangs_holds_up_no_close_and_every_row_is_counted() {
    let rig = Rig::new();
    let wire = Stream::new([]);
    wire.gate.forget_permits(1_000);
    let rejects = start(&rig, &wire, &settings());
    rejects.submit(row(0, Vec::new()));
    wait_for("no call", || wire.calls().len() == 1).await;
    for index in 1..10 {
        rejects.submit(row(index, Vec::new()));
    }
    let closed = tokio::time::timeout(Duration::from_secs(20), rejects.close()).await;
    assert!(closed.is_ok(), "the close hangs with the service");
    wait_for("rows are in nobody's count", || rig.count(Counter::BadRowsDropped) == 10).await;
}

#[tokio::test]
async fn what_can_never_be_sent_is_dropped_at_once() {
    let rig = Rig::new();
    let wire = Stream::new([Answer::Fails(CallFailure::Permanent)]);
    let rejects = start(&rig, &wire, &settings());
    rejects.submit(row(0, Vec::new()));
    wait_for("not dropped", || rig.count(Counter::BadRowsDropped) == 1).await;
    assert_eq!(wire.calls().len(), 1);
}

#[tokio::test]
async fn an_event_too_long_for_a_record_goes_without_its_form_for_people_or_not_at_all() {
    let rig = Rig::new();
    let wire = Stream::new([]);
    let rejects = start(&rig, &wire, &settings());
    let long = Event { event_data: vec![b' '; 600_000].into(), ..event() }.encode_to_vec();
    rejects.submit(row(0, long.clone()));
    rejects.submit(row(1, vec![0; 1_000_000]));
    rejects.close().await;
    let lines = wire.lines();
    let [line] = lines.as_slice() else { panic!("{} lines", lines.len()) };
    assert_eq!((line.index, &line.event, line.original()), (0, &None, Some(long)));
    assert_eq!(rig.count(Counter::BadRowsDropped), 1);
}
