//! Objects in a bucket: written once, listed and read.

use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};
use tokio::time::{Instant, sleep};

use super::credentials::FromSdk;
use super::fault::{Doing, Fault, may_be_stored};
use super::{Place, StoreError};

/// The variable with an endpoint for S3 alone; aws-config reads the one for all services.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_S3";
/// For one call; results have some MiB.
const CALL: Duration = Duration::from_secs(60);
/// How long reading is tried again.
const READING: Duration = Duration::from_secs(30);
/// Between two tries, doubled after each, up to the longest, with full jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A place in S3 that is spoken to.
#[derive(Debug)]
pub struct Bucket {
    place: Place,
    region: String,
    s3: AmazonS3,
}

impl Bucket {
    /// Finds region and endpoint. Nothing is asked of S3 yet.
    ///
    /// # Errors
    /// Nobody says which region.
    pub async fn open(place: Place) -> Result<Self, StoreError> {
        // Pinned, as the gateway has it.
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
        let region = config.region().ok_or_else(|| StoreError::Region(place.bucket.clone()))?.to_string();
        let credentials = config.credentials_provider().ok_or_else(|| StoreError::Credentials("none at all".into()))?;
        let endpoint = std::env::var(ENDPOINT_VARIABLE).ok().or_else(|| config.endpoint_url().map(str::to_owned));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(&region)
            .with_credentials(FromSdk::new(credentials))
            // A try that was answered too late may have been stored, which only this file's own tries know how to take.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_timeout(CALL).with_allow_http(endpoint.is_some()));
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let s3 = builder.build().map_err(|error| StoreError::Failed {
            url: place.to_string(),
            says: error.to_string(),
            tries: 0,
            took: Duration::ZERO,
        })?;
        Ok(Self { place, region, s3 })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Writes an object that is not there yet, trying again for so long.
    ///
    /// # Errors
    /// One is there, or it can't be written.
    pub async fn put(&self, name: &str, bytes: Bytes, patience: Duration) -> Result<(), StoreError> {
        let key = self.key(name);
        let mut unanswered = false;
        self.patiently(Doing::Put, name, patience, async || {
            let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.s3.put_opts(&key, bytes.clone().into(), create).await {
                // Ours: an earlier try was stored, and only its answer was lost.
                Err(object_store::Error::AlreadyExists { .. }) if unanswered => Ok(()),
                Err(error) => {
                    unanswered |= may_be_stored(&error);
                    Err(error)
                }
                Ok(_) => Ok(()),
            }
        })
        .await
    }

    /// The names of the objects that lie right here, without their prefix.
    ///
    /// # Errors
    /// They can't be listed.
    pub async fn names(&self) -> Result<Vec<String>, StoreError> {
        let prefix = (!self.place.prefix.is_empty()).then(|| Key::from(self.place.prefix.as_str()));
        let listed =
            self.patiently(Doing::List, "", READING, async || self.s3.list_with_delimiter(prefix.as_ref()).await);
        Ok(listed.await?.objects.iter().filter_map(|object| object.location.filename().map(str::to_owned)).collect())
    }

    /// The names of the objects below a folder that were written since then, however deep they lie.
    ///
    /// # Errors
    /// They can't be listed.
    pub async fn changed(&self, folder: &str, since: SystemTime) -> Result<Vec<String>, StoreError> {
        let below = self.key(folder);
        let listed = self
            .patiently(Doing::List, folder, READING, async || self.s3.list(Some(&below)).try_collect::<Vec<_>>().await);
        let own = |key: &Key| {
            let name = key.as_ref().strip_prefix(self.place.prefix.as_str())?;
            Some(name.trim_start_matches('/').to_owned())
        };
        let listed = listed.await?;
        let changed = listed.iter().filter(|object| SystemTime::from(object.last_modified) >= since && object.size > 0);
        Ok(changed.filter_map(|object| own(&object.location)).collect())
    }

    /// Reads an object.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub async fn get(&self, name: &str) -> Result<Bytes, StoreError> {
        let key = self.key(name);
        self.patiently(Doing::Get, name, READING, async || self.s3.get(&key).await?.bytes().await).await
    }

    fn key(&self, name: &str) -> Key {
        Key::from(self.place.key(name))
    }

    /// Tries until it is done, can't be done, or the time is over.
    async fn patiently<T>(
        &self,
        doing: Doing,
        name: &str,
        patience: Duration,
        mut what: impl AsyncFnMut() -> Result<T, object_store::Error>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let error = match what().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let fault = Fault { doing, name, place: &self.place, region: &self.region, tries, took: began.elapsed() };
            let (error, lasting) = fault.of(&error);
            if lasting || began.elapsed() + pause > patience {
                return Err(error);
            }
            sleep(pause.mul_f64(jitter())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        unreachable!("there are more numbers than tries")
    }
}

/// A share of a pause, at random: tasks that failed together must not come again together.
fn jitter() -> f64 {
    let drawn = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(drawn) / f64::from(u32::MAX)
}
