//! A build without S3: places are read, so that the error can say what is missing.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Place, StoreError};

/// There is none in this build.
#[derive(Debug)]
pub enum Bucket {}

impl Bucket {
    /// Always fails.
    ///
    /// # Errors
    /// This build knows no S3.
    pub async fn open(place: Place) -> Result<Self, StoreError> {
        Err(StoreError::NotBuilt(place.to_string()))
    }

    /// See the build with S3.
    #[must_use]
    pub fn place(&self) -> &Place {
        match *self {}
    }

    /// See the build with S3.
    ///
    /// # Errors
    /// None: there is no bucket.
    pub async fn put(&self, _name: &str, _bytes: Bytes, _patience: Duration) -> Result<(), StoreError> {
        match *self {}
    }

    /// See the build with S3.
    ///
    /// # Errors
    /// None: there is no bucket.
    pub async fn names(&self) -> Result<Vec<String>, StoreError> {
        match *self {}
    }

    /// See the build with S3.
    ///
    /// # Errors
    /// None: there is no bucket.
    pub async fn get(&self, _name: &str) -> Result<Bytes, StoreError> {
        match *self {}
    }

    /// See the build with S3.
    ///
    /// # Errors
    /// None: there is no bucket.
    pub async fn changed(&self, _folder: &str, _since: SystemTime) -> Result<Vec<String>, StoreError> {
        match *self {}
    }
}
