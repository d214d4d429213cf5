//! A gateway with a destination, and the stand-in that it delivers to, if that is what it does.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::certificate::Certificate;
use super::{Counted, CountedService, Gateway, Ground, STREAM, StandIn};
use crate::Result;
use crate::subject::Subject;

/// Where a gateway delivers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// Nowhere.
    Discard,
    /// A data stream, plain HTTP.
    Kinesis,
    /// A data stream, HTTPS.
    KinesisTls,
    /// A delivery stream, plain HTTP.
    Firehose,
    /// Its lake.
    Lake,
}

/// What runs the gateway and what it delivers to.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `headgate`
    pub gateway: PathBuf,
    /// `aws_stand_in`
    pub stand_in: PathBuf,
}

/// What arrived at the stand-in for the events of all loads.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Arrived {
    /// Bytes of records, envelopes included, an event.
    pub record_bytes_an_event: f64,
    /// Bytes read from sockets, an event.
    pub wire_bytes_an_event: f64,
    /// Bytes of a record.
    pub bytes_a_record: f64,
    /// Records of a call.
    pub records_a_call: f64,
}

/// See the module.
#[derive(Debug)]
pub struct House {
    destination: Destination,
    // Before what it delivers to.
    gateway: Gateway,
    stand_in: Option<StandIn>,
    _certificate: Certificate,
}

impl Programs {
    /// These programs, built where they are not given.
    ///
    /// # Errors
    /// If one does not build, or is not there.
    pub fn find(gateway: Option<&Path>, stand_in: Option<&Path>) -> Result<Self> {
        let found = |given: Option<&Path>, build: fn() -> Result<PathBuf>| match given {
            Some(program) => Ok(std::fs::canonicalize(program)?),
            None => build(),
        };
        Ok(Self { gateway: found(gateway, Gateway::build)?, stand_in: found(stand_in, StandIn::build)? })
    }
}

impl Programs {
    /// For houses without a stand-in.
    ///
    /// # Errors
    /// If the gateway does not build, or is not there.
    pub fn of_gateway(gateway: Option<&Path>) -> Result<Self> {
        let gateway = match gateway {
            Some(program) => std::fs::canonicalize(program)?,
            None => Gateway::build()?,
        };
        Ok(Self { gateway, stand_in: PathBuf::new() })
    }
}

impl Destination {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Kinesis => "kinesis",
            Self::KinesisTls => "kinesis, TLS",
            Self::Firehose => "firehose",
            Self::Lake => "lake",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Kinesis | Self::KinesisTls => "kinesis",
            Self::Firehose => "firehose",
            Self::Lake => "lake",
        }
    }
}

impl House {
    /// Starts both, the gateway with these settings on top of the bench's own. What is measured is called `name`.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start(
        name: &str,
        destination: Destination,
        programs: &Programs,
        settings: &[String],
    ) -> Result<Subject<Self>> {
        Self::start_on(name, destination, programs, settings, Ground::new()?).await
    }

    /// The same, with the gateway in a place of its own.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start_on(
        name: &str,
        destination: Destination,
        programs: &Programs,
        settings: &[String],
        ground: Ground,
    ) -> Result<Subject<Self>> {
        let certificate = Certificate::new()?;
        let stand_in = match destination {
            Destination::Discard | Destination::Lake => None,
            Destination::Kinesis | Destination::Firehose => Some(StandIn::start(&programs.stand_in, None)?),
            Destination::KinesisTls => Some(StandIn::start(&programs.stand_in, Some(certificate.files()))?),
        };
        // So many events are under way that one application's usual share of memory could be short of them.
        let mut own = vec!["admission.bytes_in_flight=256MiB".to_owned(), "admission.app_share=1.0".to_owned()];
        match destination {
            Destination::Discard => {}
            // As it is where the endpoint is AWS's.
            Destination::Kinesis | Destination::KinesisTls => {
                own.extend([format!("kinesis.stream={STREAM}"), "kinesis.encoding=cbor".to_owned()]);
            }
            Destination::Firehose => own.push(format!("firehose.delivery_stream={STREAM}")),
            // Under load segments close for their size; what is left at its end is turned into Parquet, too.
            Destination::Lake => own.push("lake.segment_age=1s".to_owned()),
        }
        own.extend(settings.iter().cloned());
        let environment = stand_in.as_ref().map(|stand_in| environment(stand_in, &certificate)).unwrap_or_default();
        let gateway = Gateway::start_to(destination.setting(), &programs.gateway, &own, &environment, ground).await?;
        let (pid, target) = (gateway.pid(), gateway.target().clone());
        let behind = stand_in.as_ref().map(StandIn::pid);
        let house = Self { destination, gateway, stand_in, _certificate: certificate };
        let subject = Subject::new(name, house, pid, target)?;
        let subject = match behind {
            Some(pid) => subject.delivers_to(pid)?,
            None => subject,
        };
        Ok(if destination == Destination::Lake { subject.works_on() } else { subject })
    }

    /// Where it delivers to.
    #[must_use]
    pub fn destination(&self) -> Destination {
        self.destination
    }

    /// Ends both. Returns what arrived of so many events.
    ///
    /// # Errors
    /// If the stand-in refused something.
    pub fn stop(self, events: u64) -> Result<Option<Arrived>> {
        drop(self.gateway);
        let Some(stand_in) = self.stand_in else { return Ok(None) };
        arrived(&stand_in.stop()?, self.destination, events).map(Some)
    }
}

/// Variables that lead an SDK to a stand-in.
#[must_use]
pub fn environment(stand_in: &StandIn, certificate: &Certificate) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", stand_in.endpoint().to_owned()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("SSL_CERT_FILE", certificate.files().certificate.display().to_string()),
    ]
}

#[allow(clippy::cast_precision_loss, reason = "below 2^52")]
fn arrived(counted: &Counted, destination: Destination, events: u64) -> Result<Arrived> {
    let CountedService { calls, stored_records, stored_data_bytes, failed_records, .. } = match destination {
        Destination::Firehose => &counted.firehose,
        _ => &counted.kinesis,
    };
    if !failed_records.is_empty() {
        return Err(format!("the stand-in refused records: {failed_records:?}").into());
    }
    let puts: u64 = calls.iter().filter(|(operation, _)| operation.starts_with("Put")).map(|(_, calls)| calls).sum();
    let ratio = |part: u64, whole: u64| part as f64 / whole as f64;
    Ok(Arrived {
        record_bytes_an_event: ratio(*stored_data_bytes, events),
        wire_bytes_an_event: ratio(counted.wire_bytes_in, events),
        bytes_a_record: ratio(*stored_data_bytes, *stored_records),
        records_a_call: ratio(*stored_records, puts),
    })
}
