//! Places in S3, as they are given.

use std::fmt;
use std::path::Path;

use super::StoreError;

/// A bucket, and what stands before the names of the objects in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// Without `/` at either end; empty for the bucket as a whole.
    pub prefix: String,
}

impl Place {
    /// Reads `s3://BUCKET/PREFIX`; none if it does not begin with `s3://` and so is a path.
    ///
    /// # Errors
    /// It names no bucket, or one that can't be.
    pub fn parse(given: &Path) -> Result<Option<Self>, StoreError> {
        let Some(rest) = given.to_str().and_then(|text| text.strip_prefix("s3://")) else { return Ok(None) };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        if !is_bucket(bucket) || prefix.split('/').any(|part| part.is_empty() && !prefix.is_empty()) {
            return Err(StoreError::Place(given.display().to_string()));
        }
        Ok(Some(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
    }

    /// The key of an object of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// Where an object of this name is.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.key(name))
    }

    /// The place that an object is in, and its name there.
    #[must_use]
    pub fn split(&self) -> (Self, &str) {
        let (prefix, name) = self.prefix.rsplit_once('/').unwrap_or(("", &self.prefix));
        (Self { bucket: self.bucket.clone(), prefix: prefix.to_owned() }, name)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// As the service has it: 3 to 63 small letters, digits, `.` and `-`, with a letter or digit at both ends.
fn is_bucket(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'-'))
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix_and_a_path_is_none() {
        let parse = |text: &str| Place::parse(Path::new(text));
        for (text, shown, object) in [
            ("s3://results/runs/1", "s3://results/runs/1", "s3://results/runs/1/a.json"),
            ("s3://results/runs/1/", "s3://results/runs/1", "s3://results/runs/1/a.json"),
            ("s3://results", "s3://results/", "s3://results/a.json"),
        ] {
            let place = parse(text).expect("it can be one").expect("it is one");
            assert_eq!((place.to_string().as_str(), place.url("a.json").as_str()), (shown, object));
        }
        let object = parse("s3://results/runs/1/a.json").expect("it can be one").expect("it is one");
        assert_eq!(object.split(), (parse("s3://results/runs/1").expect("a place").expect("a place"), "a.json"));
        for path in ["results", "./s3:/results", "/s3", "S3://results"] {
            assert_eq!(parse(path).expect("a path"), None, "{path}");
        }
        for wrong in ["s3://", "s3:///runs", "s3://Results/x", "s3://ab", "s3://results-/x", "s3://results/a//b"] {
            let error = parse(wrong).expect_err("refused").to_string();
            assert!(error.contains("s3://BUCKET/PREFIX"), "{error}");
        }
    }
}
