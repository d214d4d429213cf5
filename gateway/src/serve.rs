//! The composition root: builds every part from the settings, starts it, and takes it down in order.
//!
//! Start: the data folder and its lock, registry, destination (with recovery), admission, ingest, doors. Stop: readiness
//! off, clients asked to leave, open calls answered while delivery goes on, then the buckets, then the destination.

mod data_dir;
mod demo;
mod doors;
mod erasures;
mod error;
mod key_tasks;
mod names;
mod outlets;
mod services;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use self::data_dir::DataDir;
pub use self::demo::{Demo, DemoError};
pub use self::error::ServeError;
use self::names::Names;
use self::outlets::Outlets;
pub use self::stop::Stopped;
use crate::admin::Admin;
use crate::admin::authority::{Authority, MadeToken};
use crate::admission::app::Apps;
use crate::admission::key_cache::KeyCache;
use crate::admission::shares::Shares;
use crate::clock::Clock;
use crate::config::{Loaded, Settings};
use crate::delivery::Destination;
use crate::delivery::lake::{FileLayer, OsFiles};
use crate::delivery::rejects::Rejects;
use crate::delivery::route::Routes;
use crate::delivery::spill::Spill;
use crate::door::admin;
use crate::door::direct::Direct;
use crate::door::intake::{self, Intake};
use crate::door::listener::Ends;
use crate::ingest::policy::{Policies, PolicyFeed};
use crate::ingest::{self, Ingest};
use crate::live::Live;
use crate::metrics::{Gauge, LastMinute, Metrics};
use crate::operate::console::{self, Console};
use crate::operate::http::{self, Operated};
use crate::operate::lifecycle::{Lifecycle, Phase};
use crate::operate::tasks::Tasks;
use crate::registry::{self, Books, Opened, Registry};

/// What a gateway stands on. The defaults are the machine's; tests put others in their place.
pub struct Ground {
    /// The clock.
    pub clock: Clock,
    /// The file system under the lake.
    pub files: Arc<dyn FileLayer>,
    /// A destination to use in place of the one that the settings name.
    pub destination: Option<Arc<dyn Destination>>,
    /// Where credentials for streams come from, in place of where the SDK looks.
    #[cfg(feature = "aws")]
    pub credentials: Option<aws_credential_types::provider::SharedCredentialsProvider>,
}

impl Default for Ground {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            files: Arc::new(OsFiles),
            destination: None,
            #[cfg(feature = "aws")]
            credentials: None,
        }
    }
}

/// A gateway that runs.
pub struct Gateway {
    grpc: SocketAddr,
    rest: Option<SocketAddr>,
    operate: SocketAddr,
    demo: Option<Demo>,
    authority: Arc<Authority>,
    settings: Settings,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    health: HealthReporter,
    registry: Arc<dyn Registry>,
    books: Arc<dyn Books>,
    keys: Arc<KeyCache>,
    routes: Arc<Routes>,
    // In the order in which they are closed: what one can't deliver may go to one after it.
    destinations: Vec<Arc<dyn Destination>>,
    spills: Vec<Arc<Spill>>,
    shares: Arc<Shares>,
    rejects: Arc<Rejects>,
    ends: Ends,
    stop: CancellationToken,
    // Ends what delivers, once everything is delivered.
    delivered: CancellationToken,
    calls: Tasks,
    background: Tasks,
    clock: Clock,
    // Held until everything else is down.
    data_dir: DataDir,
}

impl Gateway {
    /// Starts every part. When it returns, events are taken.
    ///
    /// # Errors
    /// [`ServeError`] with what can't be used; nothing is left running.
    pub async fn start(settings: Settings, ground: Ground) -> Result<Self, ServeError> {
        Self::start_loaded(settings.into(), ground).await
    }

    /// As [`Self::start`], with settings that know where they came from.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_loaded(loaded: Loaded, ground: Ground) -> Result<Self, ServeError> {
        let Loaded { settings, sources } = loaded;
        let Ground {
            clock,
            files,
            destination,
            #[cfg(feature = "aws")]
            credentials,
        } = ground;
        let metrics = Metrics::new();
        let lifecycle = Lifecycle::new(&metrics);
        let data_dir = DataDir::lock(&settings.data_dir)?;

        let opened = registry::open(&settings, &clock).await.map_err(|error| ServeError::part("registry", error))?;
        let Opened { registry, books } = opened;
        let authority = Authority::open(&settings).map_err(|error| ServeError::part("admin", error))?;
        let authority = Arc::new(authority);
        let demo = if settings.registry.makes_demo_application() {
            let demo = demo::ensure_demo(registry.as_ref(), &settings.data_dir).await;
            demo.map_err(|error| ServeError::part("demo application", error))?
        } else {
            None
        };
        let apps = Apps::new(&settings.admission, &metrics);
        let sharing = |error: &dyn std::fmt::Display| ServeError::part("shared limits", error);
        let board = registry::demand::open(&settings).await.map_err(|error| sharing(&error))?;
        let shares = Shares::new(board, &apps, &settings.cluster, &clock, &metrics).map_err(|error| sharing(&error))?;
        let names = Names::load(registry.as_ref(), &apps).await?;
        let background = Tasks::new(&metrics);
        let calls = Tasks::new(&metrics);
        let stop = CancellationToken::new();
        let delivered = CancellationToken::new();
        // A start that fails below ends what it has started.
        let started = (stop.clone().drop_guard(), delivered.clone().drop_guard());
        let outlets = outlets::Builder {
            settings: &settings,
            files: &files,
            #[cfg(feature = "aws")]
            credentials: credentials.as_ref(),
            names: Arc::clone(&names),
            clock: &clock,
            metrics: &metrics,
            background: &background,
            stop: &stop,
            delivered: &delivered,
        };
        let Outlets { routes, destinations, lake, spills } = outlets.build(destination).await?;
        run_lanes(&routes, &metrics, &background, &stop);
        let minutes = LastMinute::new(&metrics);
        background.supervise("last minute", &stop, move || Arc::clone(&minutes).run());
        let rejects = outlets.rejects().await?;

        let keys =
            KeyCache::new(Arc::clone(&registry), Arc::clone(&apps), &settings.admission, clock.clone(), &metrics);
        let live = Live::new(&settings.live, &apps, &clock, &metrics);
        let policies = Policies::new();
        let feed = PolicyFeed::new(&policies, &books, settings.ingest.policy_refresh, &metrics);
        feed.load().await.map_err(|error| ServeError::part("schemas and suppressed players", error))?;
        let following = Arc::clone(&feed);
        background.supervise("policies", &stop, move || Arc::clone(&following).run());
        let reading = ingest::Parts {
            routes: Arc::clone(&routes),
            rejects: Some(Arc::clone(&rejects)),
            policies,
            live: Arc::clone(&live),
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
        };
        let ingest = Ingest::new(&settings.ingest, reading).map_err(|error| ServeError::part("ingest", error))?;

        let ends = Ends {
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            drain_grace: settings.lifecycle.drain_grace,
        };
        let intake = Intake::new(intake::Parts {
            ingest: Arc::new(ingest),
            keys: Arc::clone(&keys),
            routes: Arc::clone(&routes),
            live: Arc::clone(&live),
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
        });
        let doors = doors::Builder {
            settings: &settings,
            intake: &intake,
            clock: &clock,
            metrics: &metrics,
            calls: &calls,
            background: &background,
            ends: &ends,
            stop: &stop,
        };
        let admin = Admin::new(Arc::clone(&registry), Arc::clone(&books), clock.clone());
        let deleting = erasures::Builder {
            settings: &settings,
            files: &files,
            names,
            lake: lake.clone(),
            rejects: &rejects,
            clock: &clock,
            metrics: &metrics,
            feed,
            live: &live,
        };
        let erasures = deleting.open(&admin).await?;
        let administration = admin::Parts {
            admin: Arc::clone(&admin),
            erasures: Arc::clone(&erasures),
            authority: Arc::clone(&authority),
            tasks: calls.clone(),
            metrics: Arc::clone(&metrics),
            started_at_ms: clock.wall_ms(),
        };
        let (health, others) = services::others(administration).await?;
        let calls_of_grpc = doors.calls_of_grpc();
        let grpc = doors.grpc(&calls_of_grpc, others).await?;
        let rest = doors.rest(&calls_of_grpc, &admin, &authority, &live).await?;
        let operate = http::bind(settings.operate.listen).await.map_err(|source| ServeError::Listen {
            setting: "operate.listen",
            address: settings.operate.listen,
            source,
        })?;
        let address = |address: std::io::Result<SocketAddr>| address.map_err(|error| ServeError::part("socket", error));
        let grpc_address = address(grpc.address())?;
        let rest_address = rest.as_ref().map(|rest| address(rest.address())).transpose()?;
        let operate_address = address(operate.local_addr())?;

        key_tasks::start(&keys, &settings.admission, &background, &stop);
        erasures::run(&erasures, &background, &stop);
        let showing = Arc::clone(&live);
        background.supervise("live", &stop, move || Arc::clone(&showing).run());
        let console = settings.console.enabled.then(|| {
            Console::new(console::Parts {
                admin: Arc::clone(&admin),
                erasures: Arc::clone(&erasures),
                authority: Arc::clone(&authority),
                live: Arc::clone(&live),
                direct: Direct::new(&intake, &clock),
                metrics: Arc::clone(&metrics),
                lifecycle: lifecycle.clone(),
                routes: Arc::clone(&routes),
                tasks: background.clone(),
                settings: settings.clone(),
                sources,
                grpc: grpc_address,
                rest: rest_address,
                operate: operate_address,
                clock: clock.clone(),
            })
        });
        let operated = Operated {
            metrics: Arc::clone(&metrics),
            lifecycle: lifecycle.clone(),
            routes: Arc::clone(&routes),
            lake,
            console,
            live,
            authority: Arc::clone(&authority),
            is_local: operate_address.ip().is_loopback(),
        };
        drop(background.spawn("operators", http::serve(operate, operated, stop.clone())));
        // A share of each limit is known before the first batch asks for it.
        shares.announce().await;
        let sharing = Arc::clone(&shares);
        background.supervise("rate shares", &stop, move || Arc::clone(&sharing).run());
        // Among the calls: a drain waits for the connections that they accept last.
        calls.supervise("listener", &stop, move || Arc::clone(&grpc).run());
        if let Some(rest) = rest {
            calls.supervise("REST listener", &stop, move || Arc::clone(&rest).run());
        }

        data_dir.publish(grpc_address, rest_address, operate_address)?;
        let (stop_guard, delivered_guard) = started;
        let _ = (stop_guard.disarm(), delivered_guard.disarm());
        lifecycle.enter(Phase::Ready);
        Ok(Self {
            grpc: grpc_address,
            rest: rest_address,
            operate: operate_address,
            demo,
            authority,
            settings,
            metrics,
            lifecycle,
            health,
            registry,
            books,
            keys,
            routes,
            destinations,
            spills,
            shares,
            rejects,
            ends,
            stop,
            delivered,
            calls,
            background,
            clock,
            data_dir,
        })
    }

    /// The address of the gRPC door.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// The address of the REST door, where there is one.
    #[must_use]
    pub fn rest_address(&self) -> Option<SocketAddr> {
        self.rest
    }

    /// The address of the operators' listener.
    #[must_use]
    pub fn operate_address(&self) -> SocketAddr {
        self.operate
    }

    /// The demo application, where there is one.
    #[must_use]
    pub fn demo(&self) -> Option<&Demo> {
        self.demo.as_ref()
    }

    /// The admin token that it made for itself, where it did.
    #[must_use]
    pub fn made_admin_token(&self) -> Option<&MadeToken> {
        self.authority.made_token()
    }

    /// Its metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Its registry.
    #[must_use]
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// What its registry keeps beside applications and keys.
    #[must_use]
    pub fn books(&self) -> &Arc<dyn Books> {
        &self.books
    }
}

/// Closes what lingers, and shows how much is on its way.
fn run_lanes(routes: &Arc<Routes>, metrics: &Metrics, background: &Tasks, stop: &CancellationToken) {
    for outlet in routes.outlets() {
        let lanes = Arc::clone(&outlet.lanes);
        background.supervise("linger", stop, move || Arc::clone(&lanes).linger());
    }
    let (in_flight, gauge) = (Arc::clone(routes.in_flight()), metrics.gauge(Gauge::BucketsInFlight, &[]));
    background.supervise("gauges", stop, move || {
        let (in_flight, gauge) = (Arc::clone(&in_flight), gauge.clone());
        async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            loop {
                ticks.tick().await;
                gauge.set(i64::try_from(in_flight.len()).unwrap_or(i64::MAX));
            }
        }
    });
}
