//! gRPC's frames, and the metadata of a call.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::Frame;
use http_body_util::StreamBody;
use uuid::Uuid;

use super::message::{MessageReader, Next, ReadError};
use crate::admission::app::{App, Apps};
use crate::config::AdmissionSettings;
use crate::door::decompress::Encoding;
use crate::fuzz::Input;
use crate::metrics::Metrics;
use crate::registry::{Application, Environment, Limits};

const LIMIT: usize = 4_096;
/// As many times the limit a refused message may be long and still be read over.
const SKIP_FACTOR: usize = 4;

/// What the frames of a body hold, in whatever pieces it arrives.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Message(Vec<u8>),
    Refused,
    Broken,
    End,
}

/// Messages are those that a plain reading of the frames gives, whatever pieces they arrive in; no byte of the budget is
/// kept.
pub fn grpc_frames(data: &[u8]) {
    let mut input = Input::new(data);
    let encoding = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd][input.below(3)];
    let chunk = usize::from(input.byte()) + 1;
    let body = input.rest();
    let (apps, app) = house();
    let pieces: Vec<_> = body.chunks(chunk).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let pieces = futures_util::stream::iter::<Vec<Result<_, Infallible>>>(pieces);
    let mut reader = MessageReader::new(StreamBody::new(pieces), encoding, LIMIT);
    let mut cx = Context::from_waker(Waker::noop());
    let mut rest = body;
    loop {
        let Poll::Ready(next) = reader.poll_next(&mut cx, app) else { panic!("all of the body is there") };
        let found = match next {
            Ok(Next::Message { bytes, .. }) => {
                assert!(bytes.len() <= LIMIT);
                Found::Message(bytes.to_vec())
            }
            Ok(Next::Refused { .. }) => Found::Refused,
            Ok(Next::End) => Found::End,
            Err(ReadError::Protocol(_)) => Found::Broken,
            Err(ReadError::Gone) => panic!("nobody went"),
        };
        let (flag, expected) = plainly(encoding, &mut rest);
        // What a compressed message holds, or whether it can be read, is another target's.
        if flag == 1 && matches!(expected, Found::Message(_)) {
            assert!(matches!(found, Found::Message(_) | Found::Refused), "{found:?}");
            continue;
        }
        assert_eq!(found, expected);
        if matches!(found, Found::Broken | Found::End) {
            break;
        }
    }
    drop(reader);
    assert_eq!(apps.budget().held(), 0, "every byte of the budget is given back");
}

/// The next frame's flag and what it holds.
fn plainly(encoding: Encoding, rest: &mut &[u8]) -> (u8, Found) {
    let [flag, a, b, c, d, message @ ..] = *rest else {
        return (0, if rest.is_empty() { Found::End } else { Found::Broken });
    };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    let is_known = *flag == 0 || (*flag == 1 && encoding != Encoding::Identity);
    if !is_known || length > LIMIT * SKIP_FACTOR || length > message.len() {
        return (*flag, Found::Broken);
    }
    let (message, after) = message.split_at(length);
    *rest = after;
    (*flag, if length > LIMIT { Found::Refused } else { Found::Message(message.to_vec()) })
}

fn house() -> (&'static Apps, &'static App) {
    static HOUSE: OnceLock<(Arc<Apps>, Arc<App>)> = OnceLock::new();
    let (apps, app) = HOUSE.get_or_init(|| {
        let apps = Apps::new(&AdmissionSettings::default(), &Metrics::new());
        let app = apps.get(&Application {
            application_id: Uuid::from_u128(7),
            name: "game".to_owned(),
            description: None,
            limits: Limits::default(),
            route: None,
            environment: Environment::Dev,
            created_at_ms: 0,
            updated_at_ms: 0,
        });
        (apps, app)
    });
    (apps, app)
}

/// A call's metadata: the key it presents, if any, and its encoding.
pub(crate) fn metadata(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let _ = Encoding::parse(Some(&value));
    for name in [header::HeaderName::from_static("x-api-key"), header::AUTHORIZATION] {
        let headers = HeaderMap::from_iter([(name, value.clone())]);
        if let Ok(key) = super::presented_key(&headers) {
            assert!(
                value.as_bytes().ends_with(key.as_bytes()) || value.as_bytes().trim_ascii().ends_with(key.as_bytes())
            );
        }
    }
}
