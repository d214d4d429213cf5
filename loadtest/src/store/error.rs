//! Why results can't be kept in S3, or not be had from there.

use std::time::Duration;

use thiserror::Error;

use crate::words;

/// Why; each says what to do about it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It is no place.
    #[error("`{0}` is no place in S3: give s3://BUCKET/PREFIX")]
    Place(String),
    /// This build can't.
    #[error("{0}: this build knows no S3; use one with feature `aws`, or give a folder")]
    NotBuilt(String),
    /// Nobody said which region.
    #[error("no AWS region: set AWS_REGION to the one of the bucket {0}")]
    Region(String),
    /// There are no credentials.
    #[error(
        "no AWS credentials ({0}): set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the task or instance a role"
    )]
    Credentials(String),
    /// There is no such bucket.
    #[error("there is no bucket {0}: check its name and the account, or deploy the stack that makes it")]
    NoBucket(String),
    /// The bucket is in another region.
    #[error("the bucket {bucket} is not in {region}: set AWS_REGION to its region")]
    OtherRegion {
        /// Which.
        bucket: String,
        /// Where it was looked for.
        region: String,
    },
    /// The service refuses.
    #[error("{url}: access denied ({says}): the role needs {needs}, and the use of the bucket's key")]
    Denied {
        /// Of what.
        url: String,
        /// The service's own words.
        says: String,
        /// The actions.
        needs: &'static str,
    },
    /// Another run's object has this name.
    #[error("{0} is there already, and nothing is written over: give another --result-dir")]
    There(String),
    /// There is no such object.
    #[error("there is no {0}: check its name")]
    Missing(String),
    /// The service can't be reached, or fails.
    #[error("{url}: {says} (tried {tries} times in {})", words::duration(*.took))]
    Failed {
        /// What was to be read or written.
        url: String,
        /// The last try's fault.
        says: String,
        /// How often it was tried.
        tries: u32,
        /// For how long.
        took: Duration,
    },
    /// There are no results.
    #[error("no results in {0}: check the place, or wait for them with --wait TIME")]
    Empty(String),
    /// A temporary file can't be written.
    #[error("can't keep results in the temporary folder (set TMPDIR to one with room): {0}")]
    Temporary(#[from] std::io::Error),
}
