//! Fetching the results of all shards, and waiting for those that are not there yet.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{Bucket, Name, Notice, StoreError};
use crate::words;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the same news is told again.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// The results that were there, as files.
#[derive(Debug)]
pub struct Gathered {
    /// One for each shard, in its order.
    pub files: Vec<PathBuf>,
    /// Shards without a result, and what is known of each; one sentence each.
    pub missing: Vec<String>,
    /// Gone with this.
    _folder: TempDir,
}

/// Fetches the results in a place once all shards have left theirs, or the time is over. `tell` hears how far it is.
/// `now` is the Unix time in seconds.
///
/// # Errors
/// There is no result at all, or the place can't be read.
pub async fn gather(
    bucket: &Bucket,
    patience: Duration,
    now: impl Fn() -> f64,
    mut tell: impl FnMut(&str),
) -> Result<Gathered, StoreError> {
    let deadline = Instant::now() + patience;
    let mut notices: BTreeMap<u32, Notice> = BTreeMap::new();
    let mut told: Option<(String, Instant)> = None;
    let there = loop {
        let there = There::of(&bucket.names().await?);
        for index in there.begun.iter().filter(|index| !there.results.contains(index)) {
            if !notices.contains_key(index) {
                let name = Name::Notice(crate::config::ShardOf { index: *index, of: there.of }).text();
                // A notice is a courtesy: one that can't be read is none.
                if let Ok(notice) = serde_json::from_slice(&bucket.get(&name).await?) {
                    notices.insert(*index, notice);
                }
            }
        }
        if there.is_complete() || deadline <= Instant::now() {
            break there;
        }
        let news = there.in_words(&notices, now());
        let again = told.as_ref().is_none_or(|(last, at)| *last != news || at.elapsed() >= TELL_EVERY);
        if again {
            tell(&news);
            told = Some((news, Instant::now()));
        }
        sleep(LOOK_EVERY.min(deadline.saturating_duration_since(Instant::now()))).await;
    };
    if there.results.is_empty() {
        return Err(StoreError::Empty(bucket.place().to_string()));
    }
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for name in &there.names {
        let file = folder.path().join(name);
        fs::write(&file, bucket.get(name).await?)?;
        files.push(file);
    }
    let missing = there.waited_for().map(|index| state(index, there.of, notices.get(&index), now())).collect();
    Ok(Gathered { files, missing, _folder: folder })
}

/// What lies in a place.
#[derive(Debug, Default, PartialEq, Eq)]
struct There {
    /// How many shards there are; 0 if nothing says so yet.
    of: u32,
    results: Vec<u32>,
    /// The results' names.
    names: Vec<String>,
    begun: Vec<u32>,
}

impl There {
    fn of(names: &[String]) -> Self {
        let mut there = Self::default();
        for (name, text) in names.iter().filter_map(|text| Some((Name::parse(text)?, text))) {
            let shard = name.shard();
            there.of = there.of.max(shard.of);
            match name {
                Name::Result(_) => {
                    there.results.push(shard.index);
                    there.names.push(text.clone());
                }
                Name::Notice(_) => there.begun.push(shard.index),
            }
        }
        there
    }

    fn is_complete(&self) -> bool {
        self.of > 0 && self.waited_for().next().is_none()
    }

    fn waited_for(&self) -> impl Iterator<Item = u32> {
        (1..=self.of).filter(|index| !self.results.contains(index))
    }

    fn in_words(&self, notices: &BTreeMap<u32, Notice>, now: f64) -> String {
        if self.of == 0 {
            return "no shard has begun yet".to_owned();
        }
        let mut states = BTreeMap::<String, Vec<String>>::new();
        for index in self.waited_for() {
            let state = match notices.get(&index) {
                None => "has not begun",
                Some(notice) if now < notice.begins_at => "is ready",
                Some(notice) if now < notice.ends_at => "is running",
                Some(_) => "ought to be done",
            };
            states.entry(state.to_owned()).or_default().push(index.to_string());
        }
        let shards = states.iter().map(|(state, shards)| {
            let some = shards.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
            let more = if shards.len() > 10 { format!(" and {} more", shards.len() - 10) } else { String::new() };
            format!("; {some}{more} {state}")
        });
        format!("{} of {} shards have left their results{}", self.results.len(), self.of, shards.collect::<String>())
    }
}

fn state(index: u32, of: u32, notice: Option<&Notice>, now: f64) -> String {
    match notice {
        None => format!("shard {index} of {of} has never begun"),
        Some(Notice { host, ends_at, .. }) => {
            let late = Duration::from_secs_f64((now - ends_at).max(0.0));
            let by = if late.is_zero() {
                "is not done yet".to_owned()
            } else {
                format!("is late by {}", words::duration(late))
            };
            format!("shard {index} of {of} began on {host} and {by}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ShardOf;

    fn there(names: &[&str]) -> There {
        There::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn all_shards_are_waited_for_as_soon_as_one_says_how_many_there_are() {
        assert!(!there(&["report.html"]).is_complete());
        assert!(there(&["result.json", "report.html"]).is_complete());
        let one = there(&["begun-2-of-3.json", "result-2-of-3.json"]);
        assert!(!one.is_complete());
        assert_eq!(one.waited_for().collect::<Vec<_>>(), [1, 3]);
        assert!(there(&["result-1-of-2.json", "begun-1-of-2.json", "result-2-of-2.json"]).is_complete());
    }

    #[test]
    fn who_waits_hears_what_each_shard_does() {
        let notice = |index, begins_at| {
            let shard = ShardOf { index, of: 4 };
            (index, Notice { shard, run_id: 1, host: "here".into(), begins_at, ends_at: begins_at + 60.0 })
        };
        let notices = BTreeMap::from([notice(2, 1_000.0), notice(3, 1_100.0)]);
        let some = there(&["result-1-of-4.json", "begun-2-of-4.json", "begun-3-of-4.json"]);
        let says = |now| some.in_words(&notices, now);
        assert_eq!(says(1_050.0), "1 of 4 shards have left their results; 4 has not begun; 3 is ready; 2 is running");
        assert!(says(1_090.0).ends_with("; 3 is ready; 2 ought to be done"), "{}", says(1_090.0));
        assert_eq!(there(&[]).in_words(&notices, 0.0), "no shard has begun yet");
        assert_eq!(state(2, 4, notices.get(&2), 1_090.0), "shard 2 of 4 began on here and is late by 30 s");
        assert_eq!(state(4, 4, None, 1_090.0), "shard 4 of 4 has never begun");
    }
}
