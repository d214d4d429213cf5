//! Put calls read out of their JSON or CBOR without a copy: strings stay in the request's body unless they hold escapes.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
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
    pub(super) data: Data<'a>,
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
    data: Data<'a>,
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
    pub(super) data: Data<'a>,
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
    pub(super) fn of(body: &Body) -> Option<String> {
        let target: Target<'_> = body.read().ok()?;
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

/// How a call is encoded, and its answer in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Cbor,
}

impl Encoding {
    /// What a content type says.
    pub(super) fn of(content_type: &str) -> Self {
        if content_type == Self::Cbor.content_type() { Self::Cbor } else { Self::Json }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }
}

/// A request's body.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) encoding: Encoding,
}

impl Body {
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Refusal> {
        match self.encoding {
            Encoding::Json => serde_json::from_slice(&self.bytes).map_err(|error| Refusal::serialization(&error)),
            Encoding::Cbor => {
                let mut reader = minicbor_serde::Deserializer::new(&self.bytes);
                let read = T::deserialize(&mut reader).map_err(|error| Refusal::serialization(&error))?;
                if reader.decoder().position() != self.bytes.len() {
                    return Err(Refusal::serialization(&std::io::Error::other("something follows the call")));
                }
                Ok(read)
            }
        }
    }
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

/// A blob of the body. In JSON it is still in base64: not even its UTF-8 is checked, since decoding refuses all but 65
/// characters.
pub(super) enum Data<'a> {
    Base64(Cow<'a, [u8]>),
    Raw(Cow<'a, [u8]>),
}

impl Data<'_> {
    /// The decoded size, if the padding is right.
    pub(super) fn decoded_len(&self) -> Option<usize> {
        match self {
            Self::Raw(data) => Some(data.len()),
            Self::Base64(text) => {
                let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
                text.len().is_multiple_of(4).then(|| text.len() / 4 * 3 - padding)
            }
        }
    }

    /// Appends what it decodes to.
    pub(super) fn decode_into(&self, buffer: &mut Vec<u8>) -> Result<(), Refusal> {
        match self {
            Self::Raw(data) => {
                buffer.extend_from_slice(data);
                Ok(())
            }
            Self::Base64(text) => STANDARD
                .decode_vec(text.as_ref(), buffer)
                .map_err(|error| Refusal::validation(format!("a record's data is no base64: {error}"))),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Blobs;
        impl<'de> Visitor<'de> for Blobs {
            type Value = Cow<'de, [u8]>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a blob")
            }

            fn visit_borrowed_bytes<E: Error>(self, blob: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(blob))
            }

            fn visit_bytes<E: Error>(self, blob: &[u8]) -> Result<Self::Value, E> {
                Ok(Cow::Owned(blob.to_vec()))
            }
        }
        // Of the two encodings, JSON is for people.
        let of_json = deserializer.is_human_readable();
        let blob = deserializer.deserialize_bytes(Blobs)?;
        Ok(if of_json { Self::Base64(blob) } else { Self::Raw(blob) })
    }
}
