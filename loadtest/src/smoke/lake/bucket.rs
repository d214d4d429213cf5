//! A lake in S3, where Firehose writes an object every few minutes: the days of the events are listed again and again, and
//! every object that has changed since the start is read once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Found, Search};
use crate::result::Verification;
use crate::smoke::course::Notes;
use crate::smoke::{Problem, events};
use crate::store::{Bucket, Place};
use crate::verify::lake::ids_of;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The clocks of S3 and of this machine may be apart by so much.
const CLOCKS: Duration = Duration::from_secs(60);
/// Missing ids that are named.
const EXAMPLES: usize = 10;

/// How often each id of the application is there.
type Copies = BTreeMap<u128, u64>;

pub(super) async fn find(place: Place, search: &Search<'_>, notes: &mut Notes<'_>) -> Result<Found, Problem> {
    let since = UNIX_EPOCH + Duration::from_secs_f64(search.began) - CLOCKS;
    let bucket = Bucket::open(place).await?;
    let folders = days(search.sent_at_ms);
    let mut read = BTreeSet::new();
    let mut copies = Copies::new();
    loop {
        for folder in &folders {
            for name in bucket.changed(folder, since).await? {
                if !read.contains(&name) {
                    take(&bucket, &name, search, &mut copies).await?;
                    read.insert(name);
                }
            }
        }
        let mut seen = compare(&copies, search);
        notes.progress(|| {
            let there = format!("{} of {} events are there", seen.stored, search.sent.acknowledged());
            format!(
                "{there}, in {} objects of {}",
                read.len(),
                folders.iter().cloned().collect::<Vec<_>>().join(" and ")
            )
        });
        if seen.missing == 0 || Instant::now() >= search.until {
            notes.figure(format!("{} objects read", read.len()));
            seen.destination = bucket.place().to_string();
            let advice =
                "look at the age of the delivery stream's data (DeliveryToS3.DataFreshness), at what it has put \
                          under errors/, and at the transform function's log; or give a longer --timeout"
                    .to_owned();
            return Ok(Found { verification: seen, advice, at_least_once: true });
        }
        sleep(LOOK_EVERY.min(search.until.saturating_duration_since(Instant::now()))).await;
    }
}

async fn take(bucket: &Bucket, name: &str, search: &Search<'_>, copies: &mut Copies) -> Result<(), Problem> {
    let object = bucket.get(name).await?;
    ids_of(object, search.application_id, |id| *copies.entry(id).or_default() += 1)
        .map_err(|fault| Problem::Object { object: bucket.place().url(name), fault })
}

/// The folders of the days that the events are of: they are partitioned by event time.
fn days(sent_at_ms: u64) -> BTreeSet<String> {
    let day = |ms: u64| {
        let time: SystemTime = UNIX_EPOCH + Duration::from_millis(ms);
        // 2026-03-09T…
        let text = humantime::format_rfc3339_seconds(time).to_string();
        format!("year={}/month={}/day={}", &text[..4], &text[5..7], &text[8..10])
    };
    events::instants(sent_at_ms).map(day).into_iter().collect()
}

fn compare(copies: &Copies, search: &Search<'_>) -> Verification {
    let ids = &search.sent.ids;
    let mut seen = Verification::default();
    for id in &ids.acknowledged {
        match copies.get(id) {
            Some(copies) => {
                seen.stored += 1;
                seen.doubled += copies - 1;
            }
            None => {
                seen.missing += 1;
                if seen.examples.len() < EXAMPLES {
                    seen.examples.push(Uuid::from_u128(*id).to_string());
                }
            }
        }
    }
    seen.rejected_stored = ids.rejected.iter().filter(|id| copies.contains_key(id)).count() as u64;
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Ids;
    use crate::smoke::send::Sent;

    #[test]
    fn events_around_midnight_are_of_two_days() {
        // 2026-03-01T00:01:30Z: one and two minutes before are on both sides of it.
        let midnight = days(1_772_323_290_000);
        assert_eq!(
            midnight.into_iter().collect::<Vec<_>>(),
            ["year=2026/month=02/day=28", "year=2026/month=03/day=01"]
        );
        assert_eq!(days(1_772_330_000_000).len(), 1);
    }

    #[test]
    fn what_is_missing_doubled_or_not_to_be_there_is_told_apart() {
        let ids = Ids { acknowledged: vec![1, 2, 3], rejected: vec![7, 8], undecided: Vec::new() };
        let sent = Sent { ids, ..Sent::default() };
        let until = Instant::now();
        let search = Search { application_id: "a", sent: &sent, began: 0.0, sent_at_ms: 0, until };
        let seen = compare(&Copies::from([(1, 1), (3, 2), (8, 1), (9, 5)]), &search);
        let expected = Verification {
            stored: 2,
            missing: 1,
            doubled: 1,
            rejected_stored: 1,
            examples: vec![Uuid::from_u128(2).to_string()],
            ..Verification::default()
        };
        assert_eq!(seen, expected);
    }
}
