//! Sends batches through `PublishEvents`, again as long as the gateway says so or a call gets lost, and counts what became
//! of the events. All of them have ids, so that one that is sent twice is the same event to the gateway and to queries.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use headgate_proto::v1::ingest_service_client::IngestServiceClient;
use headgate_proto::v1::{Event, PublishEventsRequest, Reason, VerdictCode};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::ReplayArgs;
use crate::cli::CliError;
use crate::clock::Clock;

const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Between tries, where the gateway says nothing about it.
const PAUSE: Duration = Duration::from_millis(500);
/// However long a hint is, whoever waits wants to see life.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What became of the events so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) retry: u64,
    pub(super) unknown: u64,
    pub(super) calls: u64,
    pub(super) calls_repeated: u64,
    pub(super) reasons: BTreeMap<(&'static str, String), u64>,
}

impl Counts {
    /// Events that have their last verdict.
    pub(super) fn settled(&self) -> u64 {
        self.accepted + self.rejected + self.retry + self.unknown
    }
}

/// Why a replay can't go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("the gateway answered {0:?}: {1}")]
    Refused(Code, String),
    #[error("nothing got through for {0:?}; the last answer was {1}")]
    Patience(Duration, String),
}

pub(super) struct Sender {
    client: IngestServiceClient<Channel>,
    key: MetadataValue<Ascii>,
    clock: Clock,
    patience: Duration,
    last_success: Instant,
    pub(super) counts: Counts,
}

impl Sender {
    pub(super) async fn connect(args: &ReplayArgs, clock: Clock) -> Result<Self, CliError> {
        let Some(path) = &args.api_key_file else {
            return Err(CliError::usage("--api-key-file is needed"));
        };
        let file = |error: std::io::Error| CliError::failed(format!("{}: {error}", path.display()));
        let key = fs::read_to_string(path).map_err(file)?;
        // The text is not repeated: it may be a key.
        let mut key: MetadataValue<Ascii> =
            key.trim().parse().map_err(|_| CliError::failed(format!("{}: this is no API key", path.display())))?;
        key.set_sensitive(true);
        let last_success = clock.now();
        let client = IngestServiceClient::new(endpoint(args)?.connect_lazy());
        Ok(Self { client, key, clock, patience: args.patience, last_success, counts: Counts::default() })
    }

    /// Sends a batch until each of its events has a verdict that is not "try again".
    pub(super) async fn send(&mut self, mut events: Vec<Event>) -> Result<(), Stop> {
        self.last_success = self.clock.now();
        // Whether a call got lost, so that the gateway may have stored what is sent again.
        let mut maybe_stored = false;
        while !events.is_empty() {
            let mut request = Request::new(PublishEventsRequest { events: events.clone() });
            request.set_timeout(CALL_TIMEOUT);
            request.metadata_mut().insert("x-api-key", self.key.clone());
            self.counts.calls += 1;
            let (pause, last_answer) = match self.client.publish_events(request).await {
                Ok(answer) => {
                    let verdict = answer.into_inner().verdict.unwrap_or_default();
                    if verdict.accepted > 0 {
                        self.last_success = self.clock.now();
                    }
                    self.counts.accepted += u64::from(verdict.accepted);
                    self.count_unanswered(events.len(), u64::from(verdict.accepted), verdict.not_accepted.len());
                    let Some((pause, why)) = self.settle(&mut events, &verdict.not_accepted) else { return Ok(()) };
                    (pause, format!("retry, {why}"))
                }
                Err(status) => {
                    maybe_stored |= is_lost(status.code());
                    match pause_after(&status) {
                        Some(pause) => (pause, format!("{:?}: {}", status.code(), status.message())),
                        None => return Err(self.refused(&status, &events, maybe_stored)),
                    }
                }
            };
            if self.last_success + self.patience < self.clock.now() + pause {
                self.give_up(&events, maybe_stored);
                return Err(Stop::Patience(self.patience, last_answer));
            }
            self.counts.calls_repeated += 1;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Counts what is settled and leaves in `events` what is to be sent again. Returns when, and why it was not taken.
    fn settle(
        &mut self,
        events: &mut Vec<Event>,
        not_accepted: &[headgate_proto::v1::EventVerdict],
    ) -> Option<(Duration, String)> {
        let mut again = Vec::new();
        let mut pause: Option<Duration> = None;
        let mut why = String::new();
        for verdict in not_accepted {
            let reason = reason(verdict.reason());
            match verdict.code() {
                VerdictCode::Retry => {
                    let hint = verdict.retry_delay.and_then(|delay| Duration::try_from(delay).ok()).unwrap_or(PAUSE);
                    pause = pause.max(Some(hint.min(LONGEST_PAUSE)));
                    why = reason;
                    again.extend(events.get_mut(verdict.index as usize).map(std::mem::take));
                    continue;
                }
                VerdictCode::Rejected => {
                    self.counts.rejected += 1;
                    let field = if verdict.field.is_empty() { reason } else { format!("{reason} ({})", verdict.field) };
                    *self.counts.reasons.entry(("rejected", field)).or_default() += 1;
                }
                VerdictCode::Unknown | VerdictCode::Unspecified | VerdictCode::Accepted => {
                    self.counts.unknown += 1;
                    *self.counts.reasons.entry(("unknown", reason)).or_default() += 1;
                }
            }
        }
        *events = again;
        pause.map(|pause| (pause, why))
    }

    /// Events that an answer leaves out; a gateway has to say something about each.
    fn count_unanswered(&mut self, sent: usize, accepted: u64, not_accepted: usize) {
        let unanswered = (sent as u64).saturating_sub(accepted.saturating_add(not_accepted as u64));
        self.count_unknown(unanswered, "no verdict");
    }

    fn count_unknown(&mut self, events: u64, why: &str) {
        if events > 0 {
            self.counts.unknown += events;
            *self.counts.reasons.entry(("unknown", why.to_owned())).or_default() += events;
        }
    }

    fn refused(&mut self, status: &Status, events: &[Event], maybe_stored: bool) -> Stop {
        let nothing_stored = matches!(
            status.code(),
            Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument | Code::Unimplemented
        );
        if maybe_stored || !nothing_stored {
            self.count_unknown(events.len() as u64, status.code().description());
        }
        Stop::Refused(status.code(), status.message().to_owned())
    }

    fn give_up(&mut self, events: &[Event], maybe_stored: bool) {
        let events = events.len() as u64;
        if maybe_stored {
            return self.count_unknown(events, "patience");
        }
        self.counts.retry += events;
        *self.counts.reasons.entry(("retry", "patience".to_owned())).or_default() += events;
    }
}

fn endpoint(args: &ReplayArgs) -> Result<Endpoint, CliError> {
    let url = &args.to_endpoint;
    let bad = |error: &dyn std::fmt::Display| CliError::usage(format!("--to-endpoint {url}: {error}"));
    let endpoint = Endpoint::from_shared(url.clone()).map_err(|error| bad(&error))?;
    let endpoint = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true);
    match (url.starts_with("https:"), &args.ca_file) {
        (false, None) => Ok(endpoint),
        (false, Some(_)) => Err(bad(&"--ca-file is for an https URL")),
        (true, None) => Err(bad(&"an https URL needs --ca-file, the authority of the gateway's certificate")),
        (true, Some(path)) => {
            let pem = fs::read(path).map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            endpoint.tls_config(tls).map_err(|error| bad(&error))
        }
    }
}

/// When a failed call may be made again; `None`: making it again can't help.
fn pause_after(status: &Status) -> Option<Duration> {
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted => {
            let hint = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Some(hint.unwrap_or(PAUSE).min(LONGEST_PAUSE))
        }
        code => is_lost(code).then_some(PAUSE),
    }
}

/// Whether nobody can tell what became of the call: it ran out of time, or its connection was lost, for which tonic 0.14
/// has these three codes, depending on how the connection went.
fn is_lost(code: Code) -> bool {
    matches!(code, Code::DeadlineExceeded | Code::Unknown | Code::Internal | Code::Cancelled)
}

fn reason(reason: Reason) -> String {
    reason.as_str_name().trim_start_matches("REASON_").to_lowercase()
}
