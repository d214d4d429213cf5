//! Answers in CBOR, which the SDK can't read: given to it as JSON.
//!
//! A call in CBOR is answered in CBOR, and so is its refusal. Which it is the body tells, not its content type: CBOR of a map
//! begins with a byte that no JSON begins with. An answer that can't be read is an error of its body ([`NotCbor`]), so
//! that the call counts as ambiguous: it may have been stored.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use http_body::{Body, Frame};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// The interceptor: add it to a client whose calls are in CBOR.
#[derive(Debug, Default)]
pub(super) struct ReadCbor;

#[dyn_dispatch_hint]
impl Intercept for ReadCbor {
    fn name(&self) -> &'static str {
        "ReadCbor"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let refused = !response.status().is_success();
        let body = std::mem::replace(response.body_mut(), SdkBody::taken());
        *response.body_mut() = SdkBody::from_body_1_x(AsJson { body: Some(body), refused, read: Vec::new() });
        Ok(())
    }
}

/// A body in CBOR, as one in JSON; any other as it is.
struct AsJson {
    /// None once it has been read.
    body: Option<SdkBody>,
    refused: bool,
    read: Vec<u8>,
}

impl Body for AsJson {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        while let Some(body) = &mut this.body {
            match ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(frame)) => this.read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    this.body = None;
                    let json = match as_json(std::mem::take(&mut this.read)) {
                        // A header says why, too.
                        Err(_) if this.refused => Ok(Bytes::from_static(b"{}")),
                        json => json,
                    };
                    return Poll::Ready(Some(json.map(Frame::data).map_err(BoxError::from)));
                }
            }
        }
        Poll::Ready(None)
    }
}

/// An answer that is neither JSON nor CBOR of what a put is answered.
#[derive(Debug, thiserror::Error)]
#[error("the answer is no CBOR of a put: {0}")]
pub(super) struct NotCbor(String);

/// What a call that puts records is answered: both what became of them, and why it was refused.
#[derive(Deserialize, Serialize)]
struct Answer<'a> {
    #[serde(rename = "Records", borrow, skip_serializing_if = "Option::is_none")]
    records: Option<Vec<Record<'a>>>,
    #[serde(rename = "__type", borrow, skip_serializing_if = "Option::is_none")]
    kind: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    code: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    message: Option<Text<'a>>,
    #[serde(rename = "Message", borrow, skip_serializing_if = "Option::is_none")]
    also_message: Option<Text<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    sequence_number: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    shard_id: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    error_code: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    error_message: Option<Text<'a>>,
}

/// A string in one piece or, as long ones can be, in several.
#[derive(Serialize)]
#[serde(transparent)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Cow<'de, str>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Strings).map(Text)
    }
}

/// The tag that says of what follows that it is CBOR (RFC 8949, 3.4.6), which any item may have before it.
const SELF_DESCRIBED: [u8; 3] = [0xd9, 0xd9, 0xf7];
/// The major type of maps, in the upper three bits of an item's first byte.
const MAP: u8 = 5;

fn as_json(body: Vec<u8>) -> Result<Bytes, NotCbor> {
    let cbor = body.strip_prefix(&SELF_DESCRIBED).unwrap_or(&body);
    // JSON begins with a brace or white space, a proxy's page with something else, and no body with nothing.
    if cbor.first().is_none_or(|first| first >> 5 != MAP) {
        return Ok(body.into());
    }
    let mut reader = minicbor_serde::Deserializer::new(cbor);
    let answer = Answer::deserialize(&mut reader).map_err(|error| NotCbor(error.to_string()))?;
    let (end, len) = (reader.decoder().position(), cbor.len());
    if end != len {
        return Err(NotCbor(format!("it ends after {end} of {len} bytes")));
    }
    Ok(serde_json::to_vec(&answer).map_err(|error| NotCbor(error.to_string()))?.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(cbor: &[u8]) -> Value {
        serde_json::from_slice(&as_json(cbor.to_vec()).expect("can be read")).expect("is JSON")
    }

    fn read_back(answer: &Value) -> Value {
        read(&minicbor_serde::to_vec(answer).expect("CBOR has all that JSON has"))
    }

    #[test]
    fn an_answer_is_read_without_what_is_not_known() {
        let stored = json!({"SequenceNumber": "49", "ShardId": "shardId-000000000000"});
        let refused = json!({"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."});
        let answer = json!({"Records": [stored, refused]});
        assert_eq!(read_back(&answer), answer);
        let newer = json!({"FailedRecordCount": 0.5, "EncryptionType": "NONE", "New": {"a": [1, {}]}, "Records": []});
        assert_eq!(read_back(&newer), json!({"Records": []}));
    }

    // Maps, arrays and a long string without a length before them, as a writer that goes along writes them; nulls; and
    // unknown members of every kind: a tagged number, undefined, a float.
    #[test]
    fn an_answer_without_lengths_is_read() {
        let answer = b"\xbf\x71FailedRecordCount\x01\x67Records\x9f\
            \xbf\x6eSequenceNumber\x6249\x67ShardId\x7f\x65shard\x63Id-\x610\xff\x69ErrorCode\xf6\x6cErrorMessage\xf6\xff\
            \xbf\x69ErrorCode\x6fInternalFailure\xff\xff\
            \x61t\xc1\x1a\x65\x00\x00\x00\x61u\xf7\x61f\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00\xff";
        let expected = json!({"Records": [
            {"SequenceNumber": "49", "ShardId": "shardId-0"},
            {"ErrorCode": "InternalFailure"},
        ]});
        assert_eq!(read(answer), expected);
    }

    #[test]
    fn an_answer_that_says_that_it_is_cbor_is_read_too() {
        let cbor = minicbor_serde::to_vec(json!({"Records": []})).expect("CBOR");
        assert_eq!(read(&[&SELF_DESCRIBED[..], &cbor].concat()), json!({"Records": []}));
    }

    #[test]
    fn a_refusal_is_read_whichever_way_its_message_is_named() {
        for refusal in [
            json!({"__type": "ExpiredTokenException", "message": "The security token is expired."}),
            json!({"__type": "ExpiredTokenException", "Message": "The security token is expired."}),
            json!({"code": "ExpiredTokenException", "message": "one", "Message": "another"}),
        ] {
            assert_eq!(read_back(&refusal), refusal);
        }
    }

    #[test]
    fn what_is_no_cbor_stays_as_it_is() {
        for body in [&b""[..], b"{\"Records\":[]}", b" {}", b"<html>503</html>"] {
            assert_eq!(as_json(body.to_vec()).expect("is passed on"), body);
        }
    }

    #[test]
    fn what_breaks_off_or_goes_on_is_an_error() {
        let whole = minicbor_serde::to_vec(json!({"Records": [{"ShardId": "s"}]})).expect("CBOR");
        for length in 1..whole.len() {
            assert!(as_json(whole[..length].to_vec()).is_err(), "{length} of {} bytes are an answer", whole.len());
        }
        assert!(as_json([&whole[..], b"\xff"].concat()).is_err());
    }
}
