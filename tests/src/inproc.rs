//! A gateway in this process, on files whose faults a test commands, behind real sockets. It has a runtime of its own,
//! so that it can be dropped in the middle of everything, as a power cut would.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headgate::config::Settings;
use headgate::delivery::lake::FileLayer;
use headgate::metrics::Metrics;
use headgate::registry::Registry;
use headgate::serve::{Gateway, Ground, ServeError, Stopped};
use http::{Method, StatusCode};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::client::Target;
use crate::{http as operators, poll};

/// How long dropping a gateway may take: its tasks end at their next step.
const DROP_PATIENCE: Duration = Duration::from_secs(10);
const REGISTRY_PATIENCE: Duration = Duration::from_secs(10);

/// A gateway in this process.
pub struct InProcess {
    gateway: Gateway,
    runtime: OwnRuntime,
    application: Uuid,
    key: String,
}

impl InProcess {
    /// Starts one on `data_dir`; the lake's files are `files`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(data_dir: &Path, files: Arc<dyn FileLayer>, adjust: impl FnOnce(&mut Settings)) -> Self {
        Self::start_on(data_dir, Ground { files, ..Ground::default() }, adjust).await
    }

    /// Starts one on `data_dir` and on this ground.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_on(data_dir: &Path, ground: Ground, adjust: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { data_dir: data_dir.to_owned(), ..Settings::default() };
        settings.grpc.listen.set_port(0);
        settings.rest.listen.set_port(0);
        settings.operate.listen.set_port(0);
        adjust(&mut settings);
        let runtime = OwnRuntime::new();
        let gateway = poll::until("the data folder's lock", DROP_PATIENCE, async || {
            let Ground { clock, files, destination, credentials } = &ground;
            let ground = Ground {
                clock: clock.clone(),
                files: Arc::clone(files),
                destination: destination.clone(),
                credentials: credentials.clone(),
            };
            let started = runtime.get().spawn(Gateway::start(settings.clone(), ground));
            match started.await.expect("the start does not panic") {
                Ok(gateway) => Some(gateway),
                // A process that another test starts has the lock of a gateway that is gone, as a fork has all files,
                // until it has become another program.
                Err(ServeError::DataDir { .. }) => None,
                Err(error) => panic!("the gateway does not start: {error}"),
            }
        })
        .await;
        // It may be out of reach at the moment: faults go on while a gateway starts.
        let listed = async || match gateway.registry().list_applications().await {
            Ok(applications) => Some(applications),
            Err(error) => {
                eprintln!("the registry does not answer yet: {error}");
                None
            }
        };
        let applications = poll::until("the registry", REGISTRY_PATIENCE, listed).await;
        let demo = applications.first().expect("the first start makes the demo application");
        let key = fs::read_to_string(data_dir.join("demo-api-key")).expect("and its key");
        Self { application: demo.application_id, key: key.trim().to_owned(), gateway, runtime }
    }

    /// The demo application and its key.
    #[must_use]
    pub fn demo(&self) -> (Uuid, Target) {
        (self.application, Target::new(self.gateway.grpc_address(), &self.key))
    }

    /// The REST door.
    ///
    /// # Panics
    /// If it was turned off.
    #[must_use]
    pub fn rest_address(&self) -> SocketAddr {
        self.gateway.rest_address().expect("it is on unless a test turns it off")
    }

    /// The operators' listener.
    #[must_use]
    pub fn operate_address(&self) -> SocketAddr {
        self.gateway.operate_address()
    }

    /// Its registry.
    #[must_use]
    pub fn registry(&self) -> Arc<dyn Registry> {
        Arc::clone(self.gateway.registry())
    }

    /// Its metrics.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(self.gateway.metrics())
    }

    /// Whether `/readyz` says that events are taken.
    pub async fn is_ready(&self) -> bool {
        self.says_yes("/readyz").await
    }

    /// Whether it says that it takes calls, whatever becomes of them.
    pub async fn is_ready_by_lifecycle(&self) -> bool {
        self.says_yes("/readyz/lifecycle").await
    }

    async fn says_yes(&self, path: &str) -> bool {
        let answer = operators::ask(Method::GET, self.operate_address(), path, DROP_PATIENCE).await;
        matches!(answer, Ok((StatusCode::OK, _)))
    }

    /// Has the lake's log turned into Parquet now.
    ///
    /// # Panics
    /// If that fails.
    pub async fn compact(&self) {
        let answer =
            operators::ask(Method::POST, self.operate_address(), "/lake/compact", Duration::from_secs(60)).await;
        let (status, text) = answer.expect("the gateway compacts");
        assert_eq!(status, StatusCode::OK, "{text}");
        let report: serde_json::Value = serde_json::from_str(&text).expect("the report is JSON");
        assert_eq!(report["failed"], serde_json::json!([]), "{report}");
    }

    /// Drains and stops it.
    ///
    /// # Panics
    /// If the stop panics.
    pub async fn stop(self) -> Stopped {
        let Self { gateway, runtime, .. } = self;
        let stopped = runtime.get().spawn(gateway.stop()).await.expect("the stop does not panic");
        runtime.end().await;
        stopped
    }

    /// Drops it where it stands.
    pub async fn vanish(self) {
        let Self { gateway, runtime, .. } = self;
        runtime.end().await;
        // The lock of the data folder goes with it.
        drop(gateway);
    }
}

/// A runtime that may be dropped anywhere, also when a test fails.
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.worker_threads(2).enable_all().thread_name("gateway");
        Self(Some(builder.build().expect("a runtime can be had")))
    }

    fn get(&self) -> &Runtime {
        self.0.as_ref().expect("taken only at its end")
    }

    /// Drops its tasks wherever they stand.
    async fn end(mut self) {
        let runtime = self.0.take().expect("ended once");
        let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(DROP_PATIENCE));
        ended.await.expect("a runtime can be shut down");
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
