//! `PublishEvents` for clients that can't speak gRPC's own HTTP/2. `tonic-web` puts their wire into gRPC's and back; from
//! there on the call is one like every other.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower_layer::Layer;
use tower_service::Service;
use uuid::Uuid;

use super::body::GrpcBody;
use super::message::MessageReader;
use super::publish::Answer;
use super::{GRPC_ENCODING, Shared, publish, refused, response};
use crate::admission::budget::Permit;
use crate::admission::refusal::Refusal;
use crate::door::client_clock;
use crate::door::decompress::Encoding;
use crate::door::open_calls::OpenCalls;
use crate::metrics::{Counter, CounterHandle, Metrics};
use crate::registry::Purpose;

/// `PublishEvents` in gRPC-Web.
pub type WebPublish = GrpcWebService<Publish>;

/// `PublishEvents`, whatever brings its bytes.
#[derive(Clone)]
pub struct Publish {
    shared: Arc<Shared>,
    batches: CounterHandle,
}

impl Publish {
    /// The call in gRPC-Web, over what the calls of gRPC share.
    #[must_use]
    pub fn web(shared: &Arc<Shared>, metrics: &Metrics) -> WebPublish {
        let batches = metrics.counter(Counter::DoorBatches, &["grpc_web"]);
        GrpcWebLayer::new().layer(Self { shared: Arc::clone(shared), batches })
    }

    /// A refusal comes with the application, where it is known.
    async fn publish(&self, request: Request<Body>) -> Result<Answer, (Option<Uuid>, Refusal)> {
        let shared = &self.shared;
        let (head, body) = request.into_parts();
        let grant = shared.authenticate(&head.headers).await?;
        let refused = |refusal| (Some(grant.app().id()), refusal);
        grant.check(Purpose::SendBatch).map_err(refused)?;
        let encoding = Encoding::parse(head.headers.get(GRPC_ENCODING)).map_err(refused)?;
        let reader = MessageReader::new(body, encoding, shared.max_message);
        let affinity = shared.intake.next_affinity();
        let skew = client_clock::skew_ms(&head.headers, &shared.clock);
        publish::publish(shared, &grant, reader, affinity, skew, Some(&self.batches)).await.map_err(refused)
    }
}

/// The bytes that an answer's batch holds of the budget. What the answer's own bytes would hold is gone once they are put
/// into gRPC-Web's wire, which copies them; so this travels beside them, for whoever sends them.
#[derive(Clone)]
pub struct OfBatch(pub Arc<Permit>);

fn answered(answer: Answer) -> Response<GrpcBody> {
    let is_small = answer.is_small();
    let Answer { framed, permit } = answer;
    // Its listener's answer counts the call.
    let mut response = response(GrpcBody::message(framed.into(), OpenCalls::default().begin()));
    if !is_small {
        response.extensions_mut().insert(OfBatch(Arc::new(permit)));
    }
    response
}

impl Service<Request<Body>> for Publish {
    type Response = Response<GrpcBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            Ok(match this.publish(request).await {
                Ok(answer) => answered(answer),
                Err((application, refusal)) => {
                    this.shared.refused(application, &refusal);
                    refused(&refusal)
                }
            })
        })
    }
}
