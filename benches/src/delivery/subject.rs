//! A gateway with a destination, and the stand-in that it delivers to, while they are measured.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::certificate::Certificate;
use super::options::Options;
use crate::Result;
use crate::cpu::{CpuClock, MachineReading};
use crate::load::{Call, Case, Load};
use crate::server::{Counted, CountedService, Gateway, STREAM, StandIn};

const CASE: Case = Case::new(Call::Stream, 100);
/// More than the dedupe window holds, so that it forgets as fast as it learns.
const WARM_UP_EVENTS: u64 = 1_500_000;

/// Where a gateway delivers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Destination {
    /// Nowhere.
    Discard,
    /// A data stream, plain HTTP.
    Kinesis,
    /// A data stream, HTTPS.
    KinesisTls,
    /// A delivery stream, plain HTTP.
    Firehose,
}

impl Destination {
    /// In the order in which they are measured.
    pub(super) const ALL: [Self; 4] = [Self::Discard, Self::Kinesis, Self::KinesisTls, Self::Firehose];

    /// Its name in reports.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Kinesis => "kinesis",
            Self::KinesisTls => "kinesis, TLS",
            Self::Firehose => "firehose",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Kinesis | Self::KinesisTls => "kinesis",
            Self::Firehose => "firehose",
        }
    }
}

/// One load, between two marks.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Measurement {
    /// Events accepted, which is: stored.
    pub(super) events: u64,
    /// Seconds on the wall.
    pub(super) elapsed: f64,
    /// The gateway's CPU seconds, user and system.
    pub(super) gateway_cpu: f64,
    /// The part of them spent in the kernel.
    pub(super) gateway_system_share: f64,
    /// The stand-in's CPU seconds.
    pub(super) stand_in_cpu: f64,
    /// The load's CPU seconds.
    pub(super) load_cpu: f64,
    /// Cores that were busy with none of them.
    pub(super) elsewhere_cores: f64,
}

impl Measurement {
    /// The gateway's CPU seconds for a million events.
    #[must_use]
    pub(super) fn gateway_per_million(&self) -> f64 {
        self.gateway_cpu * 1e6 / self.events()
    }

    /// The stand-in's.
    #[must_use]
    pub(super) fn stand_in_per_million(&self) -> f64 {
        self.stand_in_cpu * 1e6 / self.events()
    }

    /// The load's.
    #[must_use]
    pub(super) fn load_per_million(&self) -> f64 {
        self.load_cpu * 1e6 / self.events()
    }

    /// Events a second on the wall.
    #[must_use]
    pub(super) fn rate(&self) -> f64 {
        self.events() / self.elapsed
    }

    #[allow(clippy::cast_precision_loss, reason = "below 2^52")]
    fn events(&self) -> f64 {
        self.events.max(1) as f64
    }
}

/// What arrived at the stand-in for the events of all loads.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Arrived {
    /// Bytes of records, envelopes included, an event.
    pub(super) record_bytes_an_event: f64,
    /// Bytes read from sockets, an event.
    pub(super) wire_bytes_an_event: f64,
    /// Bytes of a record.
    pub(super) bytes_a_record: f64,
    /// Records of a call.
    pub(super) records_a_call: f64,
}

/// See the module.
pub(super) struct Subject {
    pub(super) destination: Destination,
    gateway: Gateway,
    gateway_clock: CpuClock,
    stand_in: Option<(StandIn, CpuClock)>,
    events: u64,
}

impl Subject {
    /// Starts both.
    pub(super) async fn start(
        destination: Destination,
        options: &Options,
        programs: (&Path, &Path),
        certificate: &Certificate,
    ) -> Result<Self> {
        let (gateway, stand_in) = programs;
        let stand_in = match destination {
            Destination::Discard => None,
            Destination::Kinesis | Destination::Firehose => Some(StandIn::start(stand_in, None)?),
            Destination::KinesisTls => Some(StandIn::start(stand_in, Some(certificate.files()))?),
        };
        // So many events are under way that one application's usual share of memory could be short of them.
        let mut settings = vec!["admission.bytes_in_flight=256MiB".to_owned(), "admission.app_share=1.0".to_owned()];
        match destination {
            Destination::Discard => {}
            Destination::Kinesis | Destination::KinesisTls => settings.push(format!("kinesis.stream={STREAM}")),
            Destination::Firehose => settings.push(format!("firehose.delivery_stream={STREAM}")),
        }
        settings.extend(options.set.iter().cloned());
        let environment = stand_in.as_ref().map(|stand_in| environment(stand_in, certificate)).unwrap_or_default();
        let gateway = Gateway::start_to(destination.setting(), gateway, &settings, &environment).await?;
        let gateway_clock = CpuClock::of(gateway.pid())?;
        let stand_in = match stand_in {
            Some(stand_in) => {
                let clock = CpuClock::of(stand_in.pid())?;
                Some((stand_in, clock))
            }
            None => None,
        };
        eprintln!("{}: process {}, {}", destination.name(), gateway.pid(), gateway.target().address);
        Ok(Self { destination, gateway, gateway_clock, stand_in, events: 0 })
    }

    pub(super) async fn warm_up(&mut self, options: &Options) -> Result<()> {
        let mut load = self.load(options).await?;
        load.until(WARM_UP_EVENTS).await?;
        self.events += load.stop().await?;
        Ok(())
    }

    pub(super) async fn measure(&mut self, options: &Options) -> Result<Measurement> {
        let own_clock = CpuClock::of(std::process::id())?;
        let seconds = Duration::from_secs_f64(options.seconds());
        let mut load = self.load(options).await?;
        load.run_for(seconds.mul_f64(0.3)).await?;

        let read = || -> Result<_> {
            let stand_in = self.stand_in.as_ref().map(|(_, clock)| clock.read()).transpose()?;
            Ok((self.gateway_clock.read()?, stand_in, own_clock.read()?, MachineReading::take()?, Instant::now()))
        };
        let events_before = load.accepted();
        let before = read()?;
        load.run_for(seconds).await?;
        let after = read()?;
        let events = load.accepted() - events_before;
        self.events += load.stop().await?;
        if events == 0 {
            return Err("no event was accepted during the measurement".into());
        }

        let elapsed = (after.4 - before.4).as_secs_f64();
        let gateway_cpu = after.0.seconds_since(&before.0);
        let stand_in_cpu = after.1.zip(before.1).map_or(0.0, |(after, before)| after.seconds_since(&before));
        let load_cpu = after.2.seconds_since(&before.2);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        #[allow(clippy::cast_precision_loss, reason = "few cores")]
        let busy_cores = after.3.busy_since(&before.3) * cores as f64;
        Ok(Measurement {
            events,
            elapsed,
            gateway_cpu,
            gateway_system_share: after.0.system_share_since(&before.0),
            stand_in_cpu,
            load_cpu,
            elsewhere_cores: (busy_cores - (gateway_cpu + stand_in_cpu + load_cpu) / elapsed).max(0.0),
        })
    }

    async fn load(&self, options: &Options) -> Result<Load> {
        Load::sized(self.gateway.target(), CASE, options.connections, options.size()).await
    }

    /// Ends both. Returns what arrived.
    pub(super) fn stop(self) -> Result<Option<Arrived>> {
        drop(self.gateway);
        let Some((stand_in, _)) = self.stand_in else { return Ok(None) };
        let counted = stand_in.stop()?;
        arrived(&counted, self.destination, self.events).map(Some)
    }
}

/// Variables that lead an SDK to a stand-in.
pub(super) fn environment(stand_in: &StandIn, certificate: &Certificate) -> Vec<(&'static str, String)> {
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
