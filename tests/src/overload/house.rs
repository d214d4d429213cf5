//! A gateway to be overloaded, and where its events go.

use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::aws::faults::{Fault, Rule};
use crate::aws::kinesis::StreamSettings;
use crate::aws::{Settings, StandIn};
use crate::client::Target;
use crate::gateway::GatewayProcess;
use crate::process::{cores, cpu_time, forget_peak, peak_resident, pin, resident};
use crate::{ministack, poll};

const STREAM: &str = "events";

/// How long what is on its way may take to settle once nothing comes any more: a deadline of the delivery, and some.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// What the gateway writes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Destination {
    /// A stand-in for Kinesis with so many shards of 1 MiB/s each: capacity is the destination's.
    Kinesis {
        /// How many.
        shards: u32,
    },
    /// The lake, and the gateway is kept on one core: capacity is the core's, or the disk's.
    Lake,
    /// None, and the gateway is kept on one core: capacity is the core's.
    Discard,
}

/// A stand-in on a thread of its own: what it reads in one go would hold up clients that are measured.
struct Service {
    stand_in: StandIn,
    runtime: Option<Runtime>,
}

impl Service {
    fn start(shards: u32) -> Self {
        let start = move || {
            let runtime =
                Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be had");
            let stand_in = runtime.block_on(StandIn::start(Settings { keep: false, ..Settings::default() }));
            stand_in.create_stream(StreamSettings::new(STREAM, shards));
            Self { stand_in, runtime: Some(runtime) }
        };
        std::thread::spawn(start).join().expect("the stand-in starts")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A gateway of its own process with two applications, of which each may hold half of the budget.
pub struct House {
    /// The gateway.
    pub gateway: GatewayProcess,
    /// Its applications.
    pub applications: [Target; 2],
    /// Its budget, bytes.
    pub budget: u64,
    /// What it takes of memory before anything was sent, bytes.
    pub idle: u64,
    stand_in: Option<Service>,
    // The cores that this process had before.
    pinned: Option<Vec<String>>,
    _data: TempDir,
}

impl House {
    /// Starts it with a budget of so many bytes, and `more` settings such as `lake.segment=16MiB`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(destination: Destination, budget: u64, more: &[String]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let bytes_in_flight = format!("admission.bytes_in_flight={budget}B");
        let mut settings = vec![
            "admission.events_per_second=1000000000",
            "admission.events_burst=1000000000",
            "admission.bytes_per_second=100GiB",
            "admission.bytes_burst=100GiB",
            "grpc.slow_reader_timeout=5s",
            "operate.log=error",
            &bytes_in_flight,
        ];
        let stand_in = match destination {
            Destination::Lake => None,
            Destination::Discard => {
                settings.push("delivery.destination=discard");
                None
            }
            Destination::Kinesis { shards } => {
                settings.extend([
                    "delivery.destination=kinesis",
                    "kinesis.stream=events",
                    "kinesis.encoding=cbor",
                    "delivery.spill=0B",
                ]);
                Some(Service::start(shards))
            }
        };
        settings.extend(more.iter().map(String::as_str));
        let environment = stand_in.as_ref().map(|service| ministack::environment(service.stand_in.address()));
        let gateway = GatewayProcess::start_in(data.path(), &settings, &environment.unwrap_or_default()).await;
        let applications = [gateway.new_application("one").1, gateway.new_application("two").1];
        let pinned = matches!(destination, Destination::Lake | Destination::Discard).then(cores);
        if let Some([first, others @ ..]) = pinned.as_deref()
            && !others.is_empty()
        {
            pin(gateway.pid(), std::slice::from_ref(first));
            pin(std::process::id(), others);
        }
        let idle = resident(gateway.pid());
        Self { gateway, applications, budget, idle, stand_in, pinned, _data: data }
    }

    /// Has every call of the destination's answered so much later.
    ///
    /// # Panics
    /// If there is no stand-in.
    pub fn slow_down(&self, time: Duration) {
        let service = self.stand_in.as_ref().expect("the destination is a stand-in");
        service.stand_in.faults().set(Rule::new(Fault::SlowAnswer(time)));
    }

    /// The gateway's CPU time so far.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        cpu_time(self.gateway.pid())
    }

    /// The memory that it has grown by at most since [`House::forget_peak`], bytes.
    #[must_use]
    pub fn grown(&self) -> u64 {
        peak_resident(self.gateway.pid()).saturating_sub(self.idle)
    }

    /// See [`House::grown`].
    pub fn forget_peak(&self) {
        forget_peak(self.gateway.pid());
    }

    /// Bytes of the budget that are held.
    pub async fn held(&self) -> f64 {
        self.gateway.metrics().await.sum("headgate_in_flight_bytes", &[])
    }

    /// Waits until nothing is on its way and nothing is held; then whether the books are right.
    ///
    /// # Panics
    /// If something stays held.
    pub async fn settle(&self) {
        poll::until("bytes and buckets in flight to be back at zero", SETTLE_PATIENCE, async || {
            let metrics = self.gateway.metrics().await;
            let held = metrics.sum("headgate_in_flight_bytes", &[]) + metrics.sum("headgate_in_flight_buckets", &[]);
            (held == 0.0).then_some(())
        })
        .await;
    }

    /// Waits until every client is gone, and checks the books.
    ///
    /// # Panics
    /// If a stream or a connection stays, or the books are wrong.
    pub async fn emptied(&self) {
        self.settle().await;
        poll::until("streams and connections to be back at zero", SETTLE_PATIENCE, async || {
            let metrics = self.gateway.metrics().await;
            let open = metrics.sum("headgate_streams", &[]) + metrics.sum("headgate_connections", &[]);
            (open == 0.0).then_some(())
        })
        .await;
        let metrics = self.gateway.metrics().await;
        assert_eq!(metrics.sum("headgate_accounting_violations_total", &[]), 0.0, "verdicts that do not add up");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // The next house may have all of them.
        if let Some(cores) = &self.pinned {
            pin(std::process::id(), cores);
        }
    }
}
