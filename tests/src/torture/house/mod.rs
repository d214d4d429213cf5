//! A house: a gateway of a plan with everything that it stands on, and the ways to make it worse and to start it again.

pub(crate) mod credentials;
pub(crate) mod files;
pub(crate) mod panicky;

pub(crate) mod keys;
mod settings;
mod spilled;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use headgate::clock::Clock;
use headgate::delivery::Destination as _;
use headgate::delivery::lake::power_cut::{PowerCutFiles, Survival};
use headgate::delivery::lake::{ApplicationNames, Lake, LakeParts};
use headgate::metrics::Metrics;
use headgate::serve::{Ground, Stopped};
use http::{Method, StatusCode};
use tempfile::TempDir;
use uuid::Uuid;

use self::credentials::Source;
use self::files::TortureFiles;
use self::panicky::Panicky;
use super::plan::{Destination, Fault, HousePlan, Plan, RegistryKind};
use crate::aws::kinesis::{Stream, StreamSettings};
use crate::aws::{Settings as StandInSettings, StandIn};
use crate::client::{Target, Trust};
use crate::fault_proxy::FaultProxy;
use crate::gateway::{GatewayProcess, free_address};
use crate::inproc::InProcess;
use crate::metrics::Scrape;
use crate::ministack::{self, MiniStack};
use crate::oracle::Oracle;
use crate::{http as operators, poll};

pub(crate) const STREAM: &str = "events";
pub(crate) const DELIVERY_STREAM: &str = "events-to-s3";
const ASK_PATIENCE: Duration = Duration::from_secs(10);
/// For a gateway that ends after SIGTERM; it has its own, shorter deadline.
const END_PATIENCE: Duration = Duration::from_secs(60);

/// The gateway, as it is now.
pub(crate) enum Running {
    InProcess(Box<InProcess>),
    Process(Box<GatewayProcess>),
    /// Being started again, or ended.
    Down,
}

/// See the module.
pub(crate) struct House {
    pub(crate) plan: HousePlan,
    pub(crate) stand_in: Option<StandIn>,
    pub(crate) stream: Option<Arc<Stream>>,
    pub(crate) credentials: Source,
    pub(crate) wall_offset_ms: Arc<AtomicI64>,
    pub(crate) gateway: tokio::sync::Mutex<Running>,
    pub(crate) network: Option<FaultProxy>,
    pub(crate) applications: Vec<Uuid>,
    pub(crate) targets: Vec<Target>,
    pub(crate) stops: Mutex<Vec<Duration>>,
    clock: Clock,
    files: Mutex<TortureFiles>,
    panicky: Mutex<Option<Arc<Panicky>>>,
    panics_before: AtomicU64,
    // Records of calls that gateways which are gone took for unanswered.
    unanswered_before: AtomicU64,
    // How often each event lay in the spill when a gateway was started again.
    spilled: Mutex<HashMap<Uuid, u16>>,
    settings: settings::List,
    operate: SocketAddr,
    data: TempDir,
}

impl House {
    /// Builds it; the gateway takes events when this returns. `emulator`: where DynamoDB is, if the plan has it.
    pub(crate) async fn build(plan: &Plan, emulator: Option<&MiniStack>) -> Self {
        Self::build_with(plan, emulator, &[]).await
    }

    /// As [`House::build`], with further settings, which win over the plan's.
    pub(crate) async fn build_with(plan: &Plan, emulator: Option<&MiniStack>, more: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let house = &plan.house;
        let needs_stand_in = house.streams() || house.registry == RegistryKind::Dynamodb;
        let dynamodb = emulator.map(MiniStack::address);
        let tables = keys::Tables::of(plan.seed);
        if let (RegistryKind::Dynamodb, Some(emulator)) = (house.registry, emulator) {
            tables.create(emulator).await;
        }
        let stand_in = if needs_stand_in {
            let settings = StandInSettings { throttle: None, seed: plan.seed, dynamodb, ..StandInSettings::default() };
            Some(StandIn::start(settings).await)
        } else {
            None
        };
        let stream = stand_in.as_ref().map(|stand_in| {
            stand_in.create_delivery_stream(DELIVERY_STREAM);
            stand_in.create_stream(StreamSettings::new(STREAM, house.shards))
        });
        let certificate = house.tls.then(|| keys::certificate(data.path()));
        let (clock, wall_offset_ms) = Clock::shifted();
        let credentials = Source::default();
        if plan.strikes.iter().any(|strike| matches!(strike.fault, Fault::CredentialsAway { expired: true })) {
            credentials.short_lived();
        }
        let mut settings = settings::List::of(house, data.path(), &tables, stand_in.as_ref().map(StandIn::endpoint));
        more.iter().for_each(|(setting, value)| settings.set(setting, value));
        let mut built = Self {
            plan: house.clone(),
            stand_in,
            stream,
            credentials,
            wall_offset_ms,
            gateway: tokio::sync::Mutex::new(Running::Down),
            network: None,
            applications: Vec::new(),
            targets: Vec::new(),
            stops: Mutex::default(),
            clock,
            files: Mutex::new(TortureFiles::on(disk(data.path(), Survival::Everything))),
            panicky: Mutex::new(None),
            panics_before: AtomicU64::new(0),
            unanswered_before: AtomicU64::new(0),
            spilled: Mutex::default(),
            settings,
            operate: free_address(),
            data,
        };
        let door = free_address();
        built.settings.set("grpc.listen", &door.to_string());
        built.settings.set("operate.listen", &built.operate.to_string());
        if house.process {
            built.begin_process().await;
        } else {
            *built.gateway.lock().await = built.started(Survival::Everything).await;
            built.register().await;
        }
        if house.network {
            let proxy = FaultProxy::start(built.targets[0].address).await;
            built.targets.iter_mut().for_each(|target| target.address = proxy.address());
            built.network = Some(proxy);
        }
        if let Some(certificate) = certificate {
            built.targets.iter_mut().for_each(|target| target.trust = Some(Trust::in_authority(&certificate)));
        }
        built
    }

    /// The first start of a process, with its two applications.
    async fn begin_process(&mut self) {
        let environment = self.stand_in.as_ref().map(|stand_in| ministack::environment(stand_in.address()));
        let settings: Vec<String> = self.settings.process();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let process = GatewayProcess::start_in(self.data.path(), &settings, &environment.unwrap_or_default()).await;
        self.operate = process.operate_address();
        let route: Vec<&str> = self.plan.second_route.into_iter().flat_map(|route| ["--route", route]).collect();
        let (demo, second) =
            tokio::task::block_in_place(|| (process.demo(), process.new_application_with("skyfall", &route)));
        (self.applications, self.targets) = [demo, second].into_iter().unzip();
        *self.gateway.get_mut() = Running::Process(Box::new(process));
    }

    /// The second application of a gateway in this process.
    async fn register(&mut self) {
        let (registry, demo) = match self.gateway.get_mut() {
            Running::InProcess(gateway) => (gateway.registry(), gateway.demo()),
            Running::Process(_) | Running::Down => return,
        };
        let second = keys::application(&*registry, "skyfall", self.plan.second_route).await;
        let second = (second.0, Target::new(demo.1.address, &second.1));
        (self.applications, self.targets) = [demo, second].into_iter().unzip();
    }

    /// A gateway in this process on what is there. `survival`: what a power cut leaves, the next time.
    async fn started(&self, survival: Survival) -> Running {
        let files = TortureFiles::on(disk(self.data.path(), survival));
        *lock(&self.files) = files.clone();
        let settings = self.settings.loaded();
        let panicky = (self.plan.destination == Destination::PanickyLake).then(|| {
            let parts = LakeParts {
                files: Arc::new(files.clone()),
                names: Arc::new(Nameless),
                metrics: Metrics::new(),
                clock: self.clock.clone(),
            };
            let lake = Lake::open(self.data.path(), &settings.lake, &settings.gather, parts).expect("the lake opens");
            Panicky::before(lake)
        });
        *lock(&self.panicky) = panicky.clone();
        let ground = Ground {
            clock: self.clock.clone(),
            files: Arc::new(files),
            destination: panicky.map(|panicky| panicky as _),
            credentials: Some(self.credentials.provider()),
        };
        let gateway = InProcess::start_on(self.data.path(), ground, |defaults| {
            let data_dir = std::mem::take(&mut defaults.data_dir);
            *defaults = settings;
            defaults.data_dir = data_dir;
        });
        Running::InProcess(Box::new(gateway.await))
    }

    /// The disk that the gateway has now.
    pub(crate) fn files(&self) -> TortureFiles {
        lock(&self.files).clone()
    }

    /// The wall before the lake, if there is one.
    pub(crate) fn panicky(&self) -> Option<Arc<Panicky>> {
        lock(&self.panicky).clone()
    }

    /// Panics that the plan has brought about in the gateway that runs now.
    pub(crate) fn panics(&self) -> u64 {
        self.files().panics() + self.panicky().map_or(0, |panicky| panicky.panics())
    }

    /// ... and in those before it.
    pub(crate) fn all_panics(&self) -> u64 {
        self.panics() + self.panics_before.load(Ordering::Relaxed)
    }

    /// The power is cut before the `nth` operation on the disk from now, or soon if there are none, and the gateway is
    /// started again on what is left.
    pub(crate) async fn cut_power(&self, oracle: &Oracle, nth: u64, some_survives: Option<u64>) {
        let mut gateway = self.gateway.lock().await;
        self.note_unanswered().await;
        let files = self.files();
        files.disk.set_survival(some_survives.map_or(Survival::Nothing, Survival::Some));
        files.disk.cut_at(nth);
        let until = tokio::time::Instant::now() + Duration::from_millis(200);
        while files.disk.is_powered() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        files.disk.cut().expect("the power can be cut");
        let panics = self.panics();
        if let Running::InProcess(running) = std::mem::replace(&mut *gateway, Running::Down) {
            running.vanish().await;
        }
        let panicky = lock(&self.panicky).take();
        if let Some(panicky) = panicky {
            panicky.close().await;
        }
        oracle.stopped();
        self.note_spilled();
        *gateway = self.started(Survival::Everything).await;
        self.panics_before.fetch_add(panics, Ordering::Relaxed);
    }

    /// SIGKILL, and a start on what is left.
    pub(crate) async fn kill(&self, oracle: &Oracle) {
        if let Running::Process(process) = &mut *self.gateway.lock().await {
            self.note_unanswered().await;
            process.kill();
            oracle.stopped();
            self.note_spilled();
            process.start_again().await;
        }
    }

    /// SIGTERM at full load, and another start. Gives the exit code.
    pub(crate) async fn terminate(&self, oracle: &Oracle) -> Option<i32> {
        let mut gateway = self.gateway.lock().await;
        let Running::Process(process) = &mut *gateway else { return None };
        self.note_unanswered().await;
        let began = Instant::now();
        let status = process.terminate(END_PATIENCE).await;
        oracle.stopped();
        lock(&self.stops).push(began.elapsed());
        self.note_spilled();
        process.start_again().await;
        status.code()
    }

    /// The end: whether the drain was clean.
    pub(crate) async fn stop(&self) -> bool {
        let mut gateway = self.gateway.lock().await;
        self.note_unanswered().await;
        let began = Instant::now();
        let clean = match std::mem::replace(&mut *gateway, Running::Down) {
            Running::InProcess(running) => running.stop().await == Stopped::Clean,
            Running::Process(mut process) => process.terminate(END_PATIENCE).await.success(),
            Running::Down => false,
        };
        lock(&self.stops).push(began.elapsed());
        clean
    }

    /// Records of calls that the gateways, each up to its end, took for unanswered.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered_before.load(Ordering::Relaxed)
    }

    async fn note_unanswered(&self) {
        if let Some(scrape) = self.metrics().await {
            let records = scrape.sum("headgate_delivery_ambiguous_records_total", &[]);
            self.unanswered_before.fetch_add(records as u64, Ordering::Relaxed);
        }
    }

    /// How often this event was left in the spill for another gateway.
    pub(super) fn spilled(&self, id: Uuid) -> u16 {
        lock(&self.spilled).get(&id).copied().unwrap_or(0)
    }

    fn note_spilled(&self) {
        let mut spilled = lock(&self.spilled);
        for (id, times) in spilled::events(self.data_dir()) {
            *spilled.entry(id).or_default() += times;
        }
    }

    /// What the gateway says of itself.
    pub(crate) async fn metrics(&self) -> Option<Scrape> {
        let answer = operators::ask(Method::GET, self.operate, "/metrics", ASK_PATIENCE).await;
        answer.ok().filter(|(status, _)| *status == StatusCode::OK).map(|(_, text)| Scrape::parse(&text))
    }

    /// Has what is in the lake's log turned into Parquet, until all of it is.
    pub(crate) async fn compact(&self) {
        poll::until("the lake's log to be turned into Parquet", END_PATIENCE, async || match self.panicky() {
            Some(panicky) => panicky.lake.compact_now().await.ok()?.failed.is_empty().then_some(()),
            None => {
                let answer = operators::ask(Method::POST, self.operate, "/lake/compact", END_PATIENCE).await;
                let (status, text) = answer.ok()?;
                let report: serde_json::Value = serde_json::from_str(&text).ok()?;
                (status == StatusCode::OK && report["failed"] == serde_json::json!([])).then_some(())
            }
        })
        .await;
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data.path()
    }
}

/// A lake without names: they are no part of what is judged.
struct Nameless;

impl ApplicationNames for Nameless {
    fn name(&self, _: &str) -> Option<String> {
        None
    }
}

/// Whether a lake is as its manifests say.
pub(crate) fn verified(data_dir: &Path) -> Result<(), String> {
    let report = headgate::delivery::lake::verify(data_dir, |_, _| {}).map_err(|error| error.to_string())?;
    if report.is_good() { Ok(()) } else { Err(format!("{report:?}")) }
}

fn disk(data_dir: &Path, survival: Survival) -> PowerCutFiles {
    PowerCutFiles::new(data_dir, survival).expect("the folder can be used")
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
