//! tonic and prost with nothing behind them: what any gRPC server in Rust spends before it does anything.

use futures_util::StreamExt;
use futures_util::stream::Map;
use headgate_proto::v1::ingest_service_server::IngestService;
use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::{
    BatchVerdict, PublishEventsRequest, PublishEventsResponse, StreamEventsRequest, StreamEventsResponse,
};
use tonic::{Request, Response, Status, Streaming};

/// Decodes, drops, accepts.
pub(super) struct Bare;

type Decoded = Result<StreamEventsRequest, Status>;
type Answered = Result<StreamEventsResponse, Status>;

#[tonic::async_trait]
impl IngestService for Bare {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        let events = request.into_inner().events;
        Ok(Response::new(PublishEventsResponse { verdict: Some(accepted(events.len())) }))
    }

    type StreamEventsStream = Map<Streaming<StreamEventsRequest>, fn(Decoded) -> Answered>;

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        // No task and no channel between requests and answers: the cheapest that tonic has.
        Ok(Response::new(request.into_inner().map(answer)))
    }
}

fn answer(request: Decoded) -> Answered {
    let StreamEventsRequest { sequence, events } = request?;
    Ok(StreamEventsResponse { sequence, answer: Some(Answer::Verdict(accepted(events.len()))) })
}

pub(super) fn accepted(events: usize) -> BatchVerdict {
    BatchVerdict { accepted: u32::try_from(events).unwrap_or(u32::MAX), ..BatchVerdict::default() }
}
