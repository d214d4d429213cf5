//! Results in S3, for the commands: where a run leaves its own, and where others read them.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::Failure;
use super::results::Files;
use crate::load::epoch_now;
use crate::result::{self, RunResult};
use crate::store::{Bucket, Gathered, Name, Notice, Place, StoreError, gather};

/// How long the notice is tried to be left: the run has not begun.
const BEFORE: Duration = Duration::from_secs(30);
/// How long a result is: it can't be had again, and in a container nothing else keeps it.
const AFTER: Duration = Duration::from_secs(600);

/// The place in S3, if it is one and no path.
pub(super) fn place(given: &Path) -> Result<Option<Place>, Failure> {
    Place::parse(given).map_err(Failure::usage)
}

/// Says in the place that this run begins, which it can't where another one did, or where nothing can be written.
pub(super) async fn begin(place: Place, notice: &Notice) -> Result<Bucket, Failure> {
    let bucket = Bucket::open(place).await.map_err(Failure::usage)?;
    let text = serde_json::to_vec(notice).map_err(Failure::internal)?;
    bucket.put(&Name::Notice(notice.shard).text(), text.into(), BEFORE).await.map_err(Failure::usage)?;
    Ok(bucket)
}

/// Leaves a run's files in the place, the result last: who sees it finds the report there, too.
///
/// # Errors
/// Where the result is kept instead, and how to bring it there.
pub(super) async fn leave(bucket: &Bucket, files: &Files) -> Result<(), String> {
    for file in [&files.html, &files.json] {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Err(error) = leave_one(bucket, file, name).await {
            let (kept, url) = (file.display(), bucket.place().url(name));
            return Err(format!(
                "the result is not in S3: {error}\nit is kept in {}: mend that, then `aws s3 cp {kept} {url}`",
                files.folder.display()
            ));
        }
    }
    Ok(())
}

async fn leave_one(bucket: &Bucket, file: &Path, name: &str) -> Result<(), StoreError> {
    let bytes = tokio::fs::read(file).await?;
    bucket.put(name, Bytes::from(bytes), AFTER).await
}

/// Fetches the results of all shards, waiting for those that are missing; says on standard error how far it is.
pub(super) fn gathered(place: Place, wait: Duration) -> Result<Gathered, Failure> {
    runtime()?.block_on(async {
        let bucket = Bucket::open(place).await.map_err(Failure::usage)?;
        gather(&bucket, wait, epoch_now, |news| eprintln!("{news}")).await.map_err(Failure::usage)
    })
}

/// Reads a result, from a file or from S3.
pub(super) fn read(path: &Path) -> Result<RunResult, Failure> {
    let Some(object) = place(path)? else { return result::read(path).map_err(Failure::usage) };
    let (place, name) = object.split();
    let bytes = runtime()?.block_on(async {
        let bucket = Bucket::open(place).await.map_err(Failure::usage)?;
        bucket.get(name).await.map_err(Failure::usage)
    })?;
    let folder = tempfile::tempdir().map_err(Failure::internal)?;
    // Under its own name, which errors show.
    let file = folder.path().join(name);
    std::fs::write(&file, bytes).map_err(Failure::internal)?;
    result::read(&file).map_err(Failure::usage)
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(Failure::internal)
}
