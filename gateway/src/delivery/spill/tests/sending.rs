//! A sender with its spill: what the service does not take in time is kept, and delivered when it is well again.

use super::*;
use crate::delivery::sender::wire::{CallError, CallFailure, Entry, EntryResult, Wire};
use crate::delivery::sender::{Billing, Sender, SenderLimits, SenderParts};

/// A service that can't be reached until it is well.
#[derive(Default)]
struct Service {
    well: AtomicBool,
    stored: Mutex<Vec<String>>,
}

#[async_trait]
impl Wire for Service {
    async fn put(&self, entries: Vec<Entry>, _timeout: Duration) -> Result<Vec<EntryResult>, CallError> {
        if !self.well.load(Ordering::Relaxed) {
            let message = "told so".to_owned();
            return Err(CallError { failure: CallFailure::Unreachable, code: "connect".into(), message });
        }
        let mut stored = self.stored.lock().expect("no panics");
        let store = |entry: Entry| {
            stored.push(String::from_utf8(entry.pieces().concat()).expect("is text"));
            EntryResult::Stored { shard: None }
        };
        Ok(entries.into_iter().map(store).collect())
    }
}

#[test]
fn an_outage_longer_than_the_deadline_loses_nothing() {
    let rig = Rig::new();
    let _entered = rig.runtime.enter();
    let spill = rig.open(OsFiles, MIB);
    let (service, tasks) = (Arc::new(Service::default()), Tasks::new(&rig.metrics));
    let parts = SenderParts {
        wire: Arc::clone(&service) as Arc<dyn Wire>,
        packing: Packing::buckets(Format::Lines, 1 << 20, Duration::from_millis(1)),
        limits: SenderLimits {
            bytes_a_call: 1 << 20,
            calls_in_flight: 4,
            records_in_flight_a_shard: usize::MAX,
            bytes_a_call_a_shard: usize::MAX,
            attempt_timeout: Duration::from_secs(5),
        },
        billing: Billing { unit: 5_120, price: 0.0 },
        clock: rig.clock.clone(),
        tasks: tasks.clone(),
        metrics: Arc::clone(&rig.metrics),
    };
    let sender = Sender::to_firehose(parts, Some(Arc::clone(&spill) as Arc<dyn Keeper>));
    drop(tasks.spawn("sender", Arc::clone(&sender).run()));
    drop(tasks.spawn("spill", Arc::clone(&spill).run(Arc::clone(&sender) as Arc<dyn Destination>)));

    let deadline = rig.clock.now() + Duration::from_millis(100);
    let mut verdicts = Vec::new();
    for number in 0..10 {
        let (bucket, verdict) = bucket(&rig.in_flight, format!("{number}\n").into_bytes(), 1, deadline);
        sender.submit(bucket);
        verdicts.push(verdict);
    }
    assert!(verdicts.iter().all(|verdict| verdict.wait() == UNKNOWN), "none of them is accepted or refused");
    assert!(service.stored.lock().expect("no panics").is_empty());
    service.well.store(true, Ordering::Relaxed);
    rig.wait_for("not delivered", || rig.count(Counter::SpillDelivered) == 10);
    let mut stored = service.stored.lock().expect("no panics").clone();
    stored.sort_unstable();
    assert_eq!(stored, (0..10).map(|number| format!("{number}\n")).collect::<Vec<_>>());
    rig.wait_for("they are still in flight", || rig.in_flight.is_empty());
    assert!((0..10).all(|id| rig.resend(id).0 == Fate::Stored));
}
