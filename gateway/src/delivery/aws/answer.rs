//! Answers in CBOR, which the SDK can't read: given to it as JSON.
//!
//! A call in CBOR is answered in CBOR, and so is its refusal. One that can't be read is an error of its body, so that
//! the call counts as ambiguous: it may have been stored.

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
use serde::{Deserialize, Serialize};

use super::body::cbor::CONTENT_TYPE;

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
        if response.headers().get("content-type").is_some_and(is_cbor) {
            let cbor = std::mem::replace(response.body_mut(), SdkBody::taken());
            *response.body_mut() = SdkBody::from_body_1_x(AsJson { cbor: Some(cbor), read: Vec::new() });
        }
        Ok(())
    }
}

/// Whether a content type is CBOR's, whatever parameters follow it.
fn is_cbor(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(CONTENT_TYPE)
}

/// A body in CBOR, as one in JSON.
struct AsJson {
    /// None once it has been read.
    cbor: Option<SdkBody>,
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
        while let Some(cbor) = &mut this.cbor {
            match ready!(Pin::new(cbor).poll_frame(context)) {
                Some(Ok(frame)) => this.read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    this.cbor = None;
                    return Poll::Ready(Some(as_json(&this.read).map(Frame::data)));
                }
            }
        }
        Poll::Ready(None)
    }
}

/// What a call that puts records is answered: both what became of them, and why it was refused.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_record_count: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    records: Option<Vec<Record<'a>>>,
    #[serde(rename = "__type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(rename = "message", alias = "Message", skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
}

/// The tag that says of what follows that it is CBOR (RFC 8949, 3.4.6), which any item may have before it.
const SELF_DESCRIBED: [u8; 3] = [0xd9, 0xd9, 0xf7];

fn as_json(cbor: &[u8]) -> Result<Bytes, BoxError> {
    // A proxy's refusal may have no body at all.
    if cbor.is_empty() {
        return Ok(Bytes::new());
    }
    let cbor = cbor.strip_prefix(&SELF_DESCRIBED).unwrap_or(cbor);
    let answer: Answer<'_> =
        minicbor_serde::from_slice(cbor).map_err(|error| format!("the answer is no CBOR of a put: {error}"))?;
    Ok(serde_json::to_vec(&answer)?.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(cbor: &Value) -> Value {
        let cbor = minicbor_serde::to_vec(cbor).expect("CBOR has all that JSON has");
        serde_json::from_slice(&as_json(&cbor).expect("can be read")).expect("is JSON")
    }

    #[test]
    fn an_answer_is_read_without_what_is_not_known() {
        let stored = json!({"SequenceNumber": "49", "ShardId": "shardId-000000000000"});
        let refused = json!({"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."});
        let answer = json!({"FailedRecordCount": 1, "Records": [stored, refused]});
        assert_eq!(read(&answer), answer);
        let newer = json!({"FailedRecordCount": 0, "EncryptionType": "NONE", "New": {"a": [1, {}]}, "Records": []});
        assert_eq!(read(&newer), json!({"FailedRecordCount": 0, "Records": []}));
    }

    #[test]
    fn an_answer_that_says_that_it_is_cbor_is_read_too() {
        let cbor = minicbor_serde::to_vec(json!({"FailedRecordCount": 0, "Records": []})).expect("CBOR");
        let json = as_json(&[&SELF_DESCRIBED[..], &cbor].concat()).expect("can be read");
        assert_eq!(&json[..], br#"{"FailedRecordCount":0,"Records":[]}"#);
        assert!(is_cbor("Application/X-Amz-Cbor-1.1; charset=binary") && !is_cbor("application/x-amz-json-1.1"));
    }

    #[test]
    fn a_refusal_is_read_whichever_way_its_message_is_named() {
        for name in ["message", "Message"] {
            let refusal = json!({"__type": "ExpiredTokenException", name: "The security token is expired."});
            let expected = json!({"__type": "ExpiredTokenException", "message": "The security token is expired."});
            assert_eq!(read(&refusal), expected);
        }
    }

    #[test]
    fn what_breaks_off_or_is_no_cbor_is_an_error() {
        let whole =
            minicbor_serde::to_vec(json!({"FailedRecordCount": 0, "Records": [{"ShardId": "s"}]})).expect("CBOR");
        for length in 1..whole.len() {
            assert!(as_json(&whole[..length]).is_err(), "{length} of {} bytes are an answer", whole.len());
        }
        assert!(as_json(b"{\"FailedRecordCount\":0}").is_err());
        assert!(as_json(&[]).expect("no body").is_empty());
    }
}
