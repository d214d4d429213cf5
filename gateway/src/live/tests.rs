//! What is shown of batches whose fate is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::view::{TailVerdict, Verdicts, Window};
use super::{AppLive, Live};
use crate::admission::app::Apps;
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::config::{AdmissionSettings, LiveSettings, Size};
use crate::event::scan::RawEvent;
use crate::event::validate::{Field, Invalid, Problem};
use crate::gather::{BucketId, FailureReason, Outcome, Witness};
use crate::metrics::Metrics;

/// A minute, in milliseconds.
const MINUTE: i64 = 60_000;

struct House {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    clock: Clock,
    offset: Arc<AtomicI64>,
    app: Uuid,
}

/// A batch that was read and waits for the outcome of its segments.
struct Sent(Vec<(Arc<dyn Witness>, u32)>);

impl House {
    fn new(settings: LiveSettings) -> Self {
        let (clock, offset) = Clock::shifted();
        // In the middle of a minute, whatever the time is: no test is about the turn of a minute by chance.
        offset.store(MINUTE / 2 - clock.wall_ms() % MINUTE, Ordering::Relaxed);
        let metrics = Metrics::new();
        let apps = Apps::new(&AdmissionSettings::default(), &metrics);
        let live = Live::new(&settings, &apps, &clock, &metrics);
        Self { live, metrics, clock, offset, app: Uuid::from_u128(7) }
    }

    fn app(&self) -> Arc<AppLive> {
        self.live.app(self.app)
    }

    fn minute(&self) -> i64 {
        self.clock.wall_ms() / MINUTE
    }

    fn pass(&self, ms: i64) {
        self.offset.fetch_add(ms, Ordering::Relaxed);
        self.live.sweep();
    }

    /// Events as (bucket, minute, event), read as one batch.
    fn send(&self, events: &[(u64, i64, RawEvent<'static>)]) -> Sent {
        let mut witnesses = Vec::new();
        let mut tally = self.app().tally(self.clock.wall_ms(), events.len() as u32);
        for (index, (bucket, minute, event)) in (0..).zip(events) {
            witnesses.extend(tally.enter(BucketId(*bucket)));
            tally.written(index, event, event.event_id, minute * 60 + 30);
        }
        tally.close();
        Sent(witnesses)
    }

    fn store(&self, events: &[(i64, RawEvent<'static>)]) {
        let events: Vec<_> = events.iter().map(|(minute, event)| (1, *minute, *event)).collect();
        self.send(&events).settle(&Outcome::Stored);
    }

    fn windows(&self) -> Vec<Window> {
        self.live.windows(self.app, 100_000)
    }

    fn total(&self) -> u64 {
        self.windows().iter().map(|window| window.total_events).sum()
    }

    fn exposition(&self) -> String {
        self.metrics.encode().expect("encodes")
    }
}

impl Sent {
    fn settle(self, outcome: &Outcome) {
        self.0.into_iter().for_each(|(witness, part)| witness.settled(part, outcome));
    }
}

fn event(event_type: &'static str, app_version: &'static str, event_data: &'static str) -> RawEvent<'static> {
    RawEvent {
        event_id: b"0198f2a0-0000-7000-8000-00000000000a",
        event_type: event_type.as_bytes(),
        event_name: b"name",
        app_version: app_version.as_bytes(),
        event_data: event_data.as_bytes(),
        ..RawEvent::default()
    }
}

fn leaked(text: String) -> &'static str {
    text.leak()
}

#[test]
fn a_minute_has_the_four_metrics_by_version_and_dimension() {
    let house = House::new(LiveSettings::default());
    let minute = house.minute();
    house.store(&[
        (minute, event("login", "1.0", "")),
        (minute, event("login", "2.0", "")),
        (minute, event("user_knockout", "1.0", r#"{"spell_id":"fire"}"#)),
        (minute, event("user_knockout", "1.0", r#"{"x":{"spell_id":"no"},"spell_id":"f\u0069re"}"#)),
        (minute, event("user_knockout", "1.0", r#"{"spell_id":7}"#)),
        (minute, event("user_knockout", "1.0", "{}")),
        (minute, event("iap_transaction", "1.0", r#"{"currency_type":"USD"}"#)),
        (minute - 1, event("match_start", "", "")),
    ]);
    let windows = house.windows();
    let [before, one, two] = windows.as_slice() else { panic!("{windows:?}") };
    assert_eq!((before.minute_s, before.app_version.as_str(), before.total_events), ((minute - 1) * 60, "", 1));
    assert_eq!((one.app_version.as_str(), one.total_events, one.total_logins), ("1.0", 6, 1));
    let knockouts: Vec<_> = one.knockouts_by_spell.iter().map(|(spell, count)| (spell.as_str(), *count)).collect();
    assert_eq!(knockouts, [("(none)", 1), ("7", 1), ("fire", 2)]);
    assert_eq!(one.purchases.get("USD"), Some(&1));
    assert_eq!((two.app_version.as_str(), two.total_events, two.total_logins), ("2.0", 1, 1));
    assert!(windows.iter().all(|window| window.open && window.late_events == 0));
    let types = house.live.types(house.app);
    assert_eq!((types[0].event_type.as_str(), types[0].accepted), ("user_knockout", 4));
    assert_eq!(types.iter().map(|count| count.accepted).sum::<u64>(), 8);
}

#[test]
fn what_is_not_stored_counts_nowhere_and_each_segment_has_its_own_fate() {
    let house = House::new(LiveSettings::default());
    let minute = house.minute();
    let login = event("login", "1.0", "");
    let failed = Outcome::NotStored { reason: FailureReason::Deadline, retry_after: Duration::from_secs(1) };
    house.send(&[(1, minute, login)]).settle(&failed);
    house.send(&[(2, minute, login)]).settle(&Outcome::Unknown { reason: FailureReason::Deadline });
    assert_eq!((house.total(), house.live.types(house.app).len()), (0, 0));
    // A batch that goes from one segment to the next and back: the first fails, the second is stored.
    let sent = house.send(&[(3, minute, login), (4, minute, login), (4, minute, login), (3, minute, login)]);
    let [(first, one), (second, two)] = sent.0.as_slice() else { panic!("two segments, each told once") };
    first.settled(*one, &failed);
    assert_eq!(house.total(), 0, "nothing counts before it is stored");
    second.settled(*two, &Outcome::Stored);
    assert_eq!(house.total(), 2);
}

#[test]
fn a_segment_that_is_stored_before_its_batch_is_read_counts_when_it_is() {
    let house = House::new(LiveSettings::default());
    let mut tally = house.app().tally(house.clock.wall_ms(), 2);
    let login = event("login", "1.0", "");
    for (bucket, index) in [(1, 0), (2, 1)] {
        let (witness, part) = tally.enter(BucketId(bucket)).expect("a new segment");
        tally.written(index, &login, login.event_id, house.minute() * 60);
        if bucket == 1 {
            witness.settled(part, &Outcome::Stored);
        }
    }
    assert_eq!(house.total(), 0);
    tally.close();
    assert_eq!(house.total(), 1, "the other segment has no outcome yet");
}

#[test]
fn a_late_event_counts_in_its_minute_and_as_late() {
    let house = House::new(LiveSettings { window_grace: Duration::from_secs(120), ..LiveSettings::default() });
    let minute = house.minute();
    let login = event("login", "1.0", "");
    house.store(&[(minute - 2, login), (minute - 3, login), (minute - 100, login)]);
    let windows = house.windows();
    let shown: Vec<_> = windows.iter().map(|w| (w.minute_s / 60 - minute, w.late_events, w.open)).collect();
    assert_eq!(shown, [(-100, 1, false), (-3, 1, false), (-2, 0, true)]);
    assert!(
        house
            .exposition()
            .contains("headgate_window_late_events_total{application=\"00000000-0000-0000-0000-000000000007\"} 2")
    );
}

#[test]
fn minutes_are_exported_when_they_close_and_late_events_as_they_come() {
    let house = House::new(LiveSettings::default());
    let minute = house.minute();
    house.pass(0);
    let knockout = event("user_knockout", "1.0", r#"{"spell_id":"fire"}"#);
    house.store(&[(minute, knockout), (minute, knockout)]);
    let spell = "headgate_window_knockouts_total{application=\"00000000-0000-0000-0000-000000000007\",app_version=\"1.0\",spell_id=\"fire\"}";
    house.pass(2 * MINUTE);
    assert!(!house.exposition().contains(spell), "the minute is open");
    house.pass(MINUTE);
    assert!(house.exposition().contains(&format!("{spell} 2")), "{}", house.exposition());
    house.pass(MINUTE);
    assert!(house.exposition().contains(&format!("{spell} 2")), "and not again");
    house.store(&[(minute, knockout)]);
    assert!(house.exposition().contains(&format!("{spell} 3")));
    house.pass(26 * 60 * MINUTE);
    assert!(!house.exposition().contains(spell), "what is gone for longer than minutes are kept is not exported");
}

#[test]
fn minutes_that_are_not_kept_and_those_far_ahead_are_only_counted_as_dropped() {
    let house = House::new(LiveSettings { windows_kept: Duration::from_secs(3_600), ..LiveSettings::default() });
    let minute = house.minute();
    let login = event("login", "1.0", "");
    let year = 365 * 24 * 60;
    house.store(&[
        (minute - 60, login),
        (minute - 61, login),
        (minute - 50 * year, login),
        (minute - 2_000 * year, login),
    ]);
    house.store(&[(minute + 60, login), (minute + 61, login), (minute + 7_000 * year, login)]);
    let minutes: Vec<_> = house.windows().iter().map(|window| window.minute_s / 60 - minute).collect();
    assert_eq!(minutes, [-60, 60]);
    let dropped = |cause| format!("cause=\"{cause}\"}} ");
    assert!(house.exposition().contains(&(dropped("late") + "3")), "{}", house.exposition());
    assert!(house.exposition().contains(&(dropped("early") + "2")));
    house.pass(MINUTE);
    assert_eq!(house.windows().len(), 1, "the oldest minute has gone");
}

#[test]
fn names_beyond_the_limits_are_counted_as_others_and_none_is_lost() {
    let settings =
        LiveSettings { max_app_versions: 3, max_dimension_values: 5, max_event_types: 10, ..LiveSettings::default() };
    let house = House::new(settings);
    let minute = house.minute();
    // More than one page of names, and more cells than one table holds.
    let events: Vec<_> = (0..1_000)
        .map(|n| {
            let event_type = if n % 2 == 0 { "user_knockout" } else { leaked(format!("type_{n}")) };
            let data = leaked(format!("{{\"spell_id\":\"spell_{}\"}}", n % 200));
            (minute - n % 50, event(event_type, leaked(format!("1.{}", n % 70)), data))
        })
        .collect();
    house.store(&events);
    let windows = house.windows();
    assert_eq!(house.total(), 1_000);
    let knockouts: u64 = windows.iter().flat_map(|window| window.knockouts_by_spell.values()).sum();
    assert_eq!(knockouts, 500);
    let mut versions: Vec<_> = windows.iter().map(|window| window.app_version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!((versions.len(), versions[0]), (4, "(other)"));
    let spells: std::collections::BTreeSet<_> = windows.iter().flat_map(|w| w.knockouts_by_spell.keys()).collect();
    assert_eq!(spells.len(), 6);
    let types = house.live.types(house.app);
    assert!(types.len() <= 11, "{types:?}");
    assert_eq!(types.iter().map(|count| count.accepted).sum::<u64>(), 1_000);
}

#[test]
fn when_the_memory_is_used_up_minutes_still_count_every_event() {
    let house = House::new(LiveSettings { window_memory: Size(20_000), ..LiveSettings::default() });
    let minute = house.minute();
    for batch in 0..40 {
        let events: Vec<_> = (0..250)
            .map(|n| {
                let data = leaked(format!("{{\"spell_id\":\"{}\"}}", (n + batch) % 60));
                (minute - n % 100, event("user_knockout", leaked(format!("1.{}", n % 30)), data))
            })
            .collect();
        house.store(&events);
    }
    assert_eq!(house.total(), 10_000);
    let knockouts: u64 = house.windows().iter().flat_map(|window| window.knockouts_by_spell.values()).sum::<u64>();
    assert_eq!(knockouts, 10_000);
    // A hundred minutes with the few cells that may always be made.
    assert!(house.live.memory.used() < 20_000 + 100 * 600, "{}", house.live.memory.used());
    house.pass(26 * 60 * MINUTE);
    assert_eq!(house.live.memory.used(), 0);
}

#[test]
fn rejections_are_told_by_field_and_shown_with_the_reason_in_words() {
    let house = House::new(LiveSettings::default());
    let mut tally = house.app().tally(house.clock.wall_ms(), 3);
    let bad = event("login", "1.0", "[1]");
    let unnamed = Invalid { field: Field::EventName, problem: Problem::Required };
    tally.rejected(Some(&bad), &Invalid { field: Field::EventData, problem: Problem::NotAJsonObject { at: None } });
    tally.rejected(Some(&bad), &unnamed);
    tally.rejected(None, &unnamed);
    tally.close();
    let fields = house.live.rejected_fields(None);
    let shown: Vec<_> = fields.iter().map(|f| (f.field.as_str(), f.reason.as_str(), f.count)).collect();
    assert_eq!(shown, [("event_name", "required", 2), ("event_data", "not_a_json_object", 1)]);
    let types: Vec<_> = house.live.types(house.app).into_iter().map(|t| (t.event_type, t.rejected)).collect();
    assert_eq!(types, [("login".to_owned(), 2), ("(unreadable)".to_owned(), 1)]);
    let tail = house.live.tail(Some(house.app), Some(TailVerdict::Rejected), 0, 10);
    assert_eq!(tail.len(), 3);
    assert_eq!(tail[0].message.as_deref(), Some("event_data is not a JSON object"));
    assert_eq!((tail[0].event_type.as_str(), tail[0].event_data.as_str()), ("login", "[1]"));
}

#[test]
fn the_tail_of_all_has_refusals_of_strangers_and_that_of_an_application_its_own() {
    let house = House::new(LiveSettings::default());
    house.live.refused(None, &Refusal::KeyUnknown);
    house.live.refused(Some(house.app), &Refusal::KeyDisabled);
    house.store(&[(house.minute(), event("login", "", "{\"a\":1}"))]);
    let of_all = house.live.tail(None, None, 0, 10);
    let reasons: Vec<_> = of_all.iter().map(|entry| entry.reason.as_deref()).collect();
    assert_eq!(reasons, [Some("key_unknown"), Some("key_disabled"), None]);
    assert!(of_all.is_sorted_by_key(|entry| entry.serial));
    let own = house.live.tail(Some(house.app), None, 0, 10);
    assert_eq!(own.len(), 2);
    assert_eq!(own[1].event_data, "{\"a\":1}");
    assert_eq!(house.live.tail(Some(house.app), None, own[0].serial, 10), own[1..]);
    assert!(house.live.apps_now().is_empty(), "no event was settled yet");
}

#[test]
fn applications_beyond_the_limit_are_counted_together() {
    let house = House::new(LiveSettings { max_applications: 2, ..LiveSettings::default() });
    let verdicts = Verdicts { accepted: 10, duplicates: 1, ..Verdicts::default() };
    for id in 1..=4 {
        house.live.app(Uuid::from_u128(id)).settled(house.clock.wall_ms(), &verdicts);
    }
    let apps = house.live.apps_now();
    let shown: Vec<_> = apps.iter().map(|app| (app.name.as_str(), app.last_hour.accepted)).collect();
    assert_eq!(shown[0], ("(other)", 20));
    assert_eq!((shown.len(), shown[1].1), (3, 10));
    house.pass(1_000);
    assert_eq!(house.live.apps_now()[0].events_per_second, 2.0);
    let series = house.live.seconds(None);
    assert_eq!((series.steps.len(), series.steps.iter().map(|step| step.duplicates).sum::<u64>()), (300, 4));
    house.pass(MINUTE);
    assert_eq!(house.live.minutes(Some(Uuid::from_u128(1))).steps[59].accepted, 10);
    house.pass(26 * 60 * MINUTE);
    assert_eq!(house.live.apps_now().len(), 1, "whoever sent nothing for so long is forgotten");
}

#[test]
fn counts_that_wait_for_an_outcome_are_bounded_and_what_is_dropped_is_counted() {
    let house = House::new(LiveSettings { window_memory: Size(2_000), ..LiveSettings::default() });
    let login = event("login", "1.0", "");
    let sent: Vec<_> = (0..20).map(|bucket| house.send(&[(bucket, house.minute(), login)])).collect();
    let waiting = house.live.waiting.used();
    assert!((1..=2_000).contains(&waiting), "{waiting}");
    sent.into_iter().for_each(|sent| sent.settle(&Outcome::Stored));
    assert_eq!(house.live.waiting.used(), 0);
    let dropped = 20 - house.total();
    assert!((10..20).contains(&dropped), "{dropped}");
    assert!(house.exposition().contains(&format!("cause=\"memory\"}} {dropped}")), "{}", house.exposition());
}
