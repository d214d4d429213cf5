//! Put calls read out of their JSON without a copy: strings stay in the request's body unless they hold escapes.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::error::Refusal;

/// `PutRecords`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecords<'a> {
    #[serde(borrow, default)]
    pub(super) stream_name: Option<Text<'a>>,
    #[serde(borrow, default, rename = "StreamARN")]
    pub(super) stream_arn: Option<Text<'a>>,
    #[serde(default)]
    pub(super) dry_run: Option<bool>,
    #[serde(borrow)]
    pub(super) records: Vec<Entry<'a>>,
}

/// One of its records, and what `PutRecord` has beside the stream.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) data: Base64<'a>,
    #[serde(borrow, default)]
    pub(super) partition_key: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) explicit_hash_key: Option<Text<'a>>,
}

/// `PutRecord`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecord<'a> {
    #[serde(borrow, default)]
    stream_name: Option<Text<'a>>,
    #[serde(borrow, default, rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(borrow)]
    data: Base64<'a>,
    #[serde(borrow, default)]
    partition_key: Option<Text<'a>>,
    #[serde(borrow, default)]
    explicit_hash_key: Option<Text<'a>>,
}

impl<'a> From<PutRecord<'a>> for PutRecords<'a> {
    fn from(put: PutRecord<'a>) -> Self {
        let (partition_key, explicit_hash_key) = (put.partition_key, put.explicit_hash_key);
        let records = vec![Entry { data: put.data, partition_key, explicit_hash_key }];
        Self { stream_name: put.stream_name, stream_arn: put.stream_arn, dry_run: put.dry_run, records }
    }
}

/// Firehose's `PutRecordBatch`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordBatch<'a> {
    #[serde(borrow)]
    pub(super) delivery_stream_name: Text<'a>,
    #[serde(borrow)]
    pub(super) records: Vec<Blob<'a>>,
}

/// One of its records.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow)]
    pub(super) data: Base64<'a>,
}

/// Which stream a call of any kind is about.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Target<'a> {
    #[serde(borrow, default)]
    pub(super) stream_name: Option<Text<'a>>,
    #[serde(borrow, default, rename = "StreamARN")]
    pub(super) stream_arn: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) delivery_stream_name: Option<Text<'a>>,
}

impl Target<'_> {
    /// The name of the stream that a body names.
    pub(super) fn of(body: &[u8]) -> Option<String> {
        let target: Target<'_> = serde_json::from_slice(body).ok()?;
        match target.delivery_stream_name {
            Some(name) => Some(name.0.into_owned()),
            None => stream_name(target.stream_name.as_ref(), target.stream_arn.as_ref()).map(str::to_owned),
        }
    }
}

/// A stream's name, given itself or at the end of an ARN.
pub(super) fn stream_name<'a>(name: Option<&'a Text<'_>>, arn: Option<&'a Text<'_>>) -> Option<&'a str> {
    match (name, arn) {
        (Some(name), _) => Some(&name.0),
        (None, Some(arn)) => arn.0.split_once(":stream/").map(|(_, name)| name),
        (None, None) => None,
    }
}

pub(super) fn body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::serialization(&error))
}

/// A string of the body.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Strings)
    }
}

/// A blob of the body, still in base64: not even its UTF-8 is checked, since decoding refuses all but 65 characters.
pub(super) struct Base64<'a>(Cow<'a, [u8]>);

impl Base64<'_> {
    /// The decoded size, if the padding is right.
    pub(super) fn decoded_len(&self) -> Option<usize> {
        let padding = self.0.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
        self.0.len().is_multiple_of(4).then(|| self.0.len() / 4 * 3 - padding)
    }

    /// Appends what it decodes to.
    pub(super) fn decode_into(&self, buffer: &mut Vec<u8>) -> Result<(), Refusal> {
        STANDARD
            .decode_vec(self.0.as_ref(), buffer)
            .map_err(|error| Refusal::validation(format!("a record's data is no base64: {error}")))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Base64<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Blobs;
        impl<'de> Visitor<'de> for Blobs {
            type Value = Base64<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a blob in base64")
            }

            fn visit_borrowed_bytes<E: Error>(self, blob: &'de [u8]) -> Result<Base64<'de>, E> {
                Ok(Base64(Cow::Borrowed(blob)))
            }

            fn visit_bytes<E: Error>(self, blob: &[u8]) -> Result<Base64<'de>, E> {
                Ok(Base64(Cow::Owned(blob.to_vec())))
            }
        }
        deserializer.deserialize_bytes(Blobs)
    }
}
