//! Whether the lake holds every acknowledged event once, and no rejected one.

mod bucket;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::course::Notes;
use super::send::Sent;
use super::{Plan, Problem};
use crate::result::Verification;
use crate::store::{Place, StoreError};
use crate::verify::{Destination, Options, VerifyError, verify};
use crate::words;

/// The lake that events end in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lake {
    /// The gateway's own: its folder, or the data folder it is in.
    Folder(PathBuf),
    /// `raw_events` in S3, where Firehose writes it.
    Bucket(Place),
}

impl Lake {
    /// Reads `lake:PATH` or `s3://BUCKET/PREFIX`; none if it is neither.
    ///
    /// # Errors
    /// It is a place in S3 that can't be.
    pub fn parse(text: &str) -> Result<Option<Self>, StoreError> {
        if let Some(path) = text.strip_prefix("lake:").filter(|path| !path.is_empty()) {
            return Ok(Some(Self::Folder(path.into())));
        }
        Ok(Place::parse(Path::new(text))?.map(Self::Bucket))
    }
}

/// What is looked for, and until when.
pub(super) struct Search<'a> {
    pub(super) application_id: &'a str,
    pub(super) sent: &'a Sent,
    /// Unix time.
    pub(super) began: f64,
    pub(super) sent_at_ms: u64,
    pub(super) until: Instant,
}

/// Gives how many records too many there are.
pub(super) async fn check(
    plan: &Plan,
    lake: &Lake,
    search: &Search<'_>,
    notes: &mut Notes<'_>,
) -> Result<u64, Problem> {
    let since = Instant::now();
    let found = match lake {
        Lake::Folder(path) => in_folder(plan, path, search, notes).await?,
        Lake::Bucket(place) => bucket::find(place.clone(), search, notes).await?,
    };
    let Found { verification: seen, advice, at_least_once } = found;
    notes.figure(format!(
        "{} of {} acknowledged events are in {} after {}, {} of them twice",
        words::count(seen.stored),
        words::count(search.sent.acknowledged()),
        seen.destination,
        words::duration(since.elapsed()),
        words::count(seen.doubled),
    ));
    // Kinesis and Firehose deliver at least once: each may be there twice.
    let allowed = if at_least_once { seen.stored } else { search.sent.unsure };
    let place = seen.destination;
    if seen.missing > 0 {
        let (missing, of, examples) = (seen.missing, search.sent.acknowledged(), seen.examples);
        return Err(Problem::Missing { missing, of, examples, place, waited: since.elapsed(), advice });
    }
    if seen.rejected_stored > 0 {
        return Err(Problem::RejectedStored(seen.rejected_stored, place));
    }
    if seen.doubled > allowed {
        return Err(Problem::Doubled { doubled: seen.doubled, allowed, place });
    }
    Ok(seen.doubled)
}

/// What a lake holds.
struct Found {
    verification: Verification,
    /// What to do where something is missing.
    advice: String,
    at_least_once: bool,
}

async fn in_folder(plan: &Plan, path: &Path, search: &Search<'_>, notes: &mut Notes<'_>) -> Result<Found, Problem> {
    let destination = Destination::Lake(path.to_path_buf());
    let began = UNIX_EPOCH + Duration::from_secs_f64(search.began);
    let timeout = search.until.saturating_duration_since(Instant::now());
    let options = Options { timeout, operate: plan.operate.clone(), ..Options::new(began) };
    let told = |progress: crate::verify::Progress| {
        notes.progress(|| format!("{} of {} events are there", progress.found, progress.acknowledged));
    };
    let verified = verify(&destination, Arc::new(search.sent.ids.clone()), &options, told).await?;
    let verified = verified.ok_or_else(|| VerifyError::Destination(destination.to_string()))?;
    let advice = match verified.notes.last() {
        Some(note) => note.clone(),
        None => "look into the gateway's log".to_owned(),
    };
    Ok(Found { verification: verified.verification, advice, at_least_once: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lake_is_a_folder_or_a_place_in_s3() {
        let parse = |text: &str| Lake::parse(text).expect("it can be one");
        assert_eq!(parse("lake:headgate-data"), Some(Lake::Folder("headgate-data".into())));
        let place = Place { bucket: "lake".to_owned(), prefix: "raw_events".to_owned() };
        assert_eq!(parse("s3://lake/raw_events/"), Some(Lake::Bucket(place)));
        for neither in ["", "lake:", "headgate-data", "kinesis:events"] {
            assert_eq!(parse(neither), None, "{neither}");
        }
        assert!(Lake::parse("s3://Lake/raw_events").is_err());
    }
}
