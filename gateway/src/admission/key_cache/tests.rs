//! The guarantees of the cache, on a real registry and on one that fails.

mod looking_up;
mod memory;
mod outage;
mod revocation;
mod scopes;
mod uses;

use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;
use crate::admission::key::ApiKey;
use crate::registry::{
    Application, Authorization, KeyAnswer, Limits, NewApplication, NewAuthorization, RegistryError, Scopes,
    SqliteRegistry,
};

const LONG: Duration = Duration::from_secs(3_600);

/// A cache over a SQLite registry that can be made to fail, and a second handle on the same file, as the command line
/// has it.
struct Rig {
    cache: Arc<KeyCache>,
    faulty: Arc<Faulty>,
    command_line: SqliteRegistry,
    wall_offset: Arc<AtomicI64>,
    metrics: Arc<Metrics>,
    _folder: TempDir,
}

/// A registry with faults that SQLite can't be brought to have. Counts what it is asked.
struct Faulty {
    sqlite: SqliteRegistry,
    fault: Mutex<Fault>,
    gate: Semaphore,
    calls: AtomicUsize,
    largest_call: AtomicUsize,
    notes: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Fault {
    None,
    Fails,
    Hangs,
    /// Waits for a permit of the gate.
    WaitsAtGate,
    /// Knows no key, without asking SQLite.
    KnowsNone,
    /// Answers with the record of this key, whatever it is asked.
    AnswersWith(KeyHash),
}

impl Faulty {
    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn not_asked<T>() -> Result<T, RegistryError> {
    Err(RegistryError::Unavailable("the cache asks for keys only".into()))
}

#[async_trait]
impl Registry for Faulty {
    async fn keys_by_hash(&self, hashes: &[KeyHash]) -> Result<Vec<KeyAnswer>, RegistryError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.largest_call.fetch_max(hashes.len(), Ordering::Relaxed);
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Fault::None => self.sqlite.keys_by_hash(hashes).await,
            Fault::Fails => Err(RegistryError::Unavailable("a fault".into())),
            Fault::Hangs => std::future::pending().await,
            Fault::WaitsAtGate => {
                self.gate.acquire().await.expect("the gate stays").forget();
                self.sqlite.keys_by_hash(hashes).await
            }
            Fault::KnowsNone => Ok(hashes.iter().map(|_| Ok(None)).collect()),
            Fault::AnswersWith(hash) => self.sqlite.keys_by_hash(&vec![hash; hashes.len()]).await,
        }
    }

    async fn create_application(&self, _: NewApplication) -> Result<Application, RegistryError> {
        not_asked()
    }
    async fn list_applications(&self) -> Result<Vec<Application>, RegistryError> {
        not_asked()
    }
    async fn get_application(&self, _: Uuid) -> Result<Application, RegistryError> {
        not_asked()
    }
    async fn update_application(&self, _: Uuid, _: NewApplication) -> Result<Application, RegistryError> {
        not_asked()
    }
    async fn delete_application(&self, _: Uuid) -> Result<bool, RegistryError> {
        not_asked()
    }
    async fn create_authorization(&self, _: NewAuthorization) -> Result<Authorization, RegistryError> {
        not_asked()
    }
    async fn list_authorizations(&self, _: Uuid) -> Result<Vec<Authorization>, RegistryError> {
        not_asked()
    }
    async fn get_authorization(&self, _: Uuid) -> Result<Authorization, RegistryError> {
        not_asked()
    }
    async fn set_enabled(&self, _: Uuid, _: bool) -> Result<Authorization, RegistryError> {
        not_asked()
    }
    async fn set_scopes(&self, _: Uuid, _: Scopes) -> Result<Authorization, RegistryError> {
        not_asked()
    }
    async fn rotate(&self, _: Uuid, _: NewAuthorization, _: Option<i64>) -> Result<Authorization, RegistryError> {
        not_asked()
    }
    async fn note_used(&self, used: &[(Uuid, Uuid, i64)]) -> Result<(), RegistryError> {
        self.notes.fetch_add(used.len(), Ordering::Relaxed);
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Fault::Fails => Err(RegistryError::Unavailable("a fault".into())),
            _ => self.sqlite.note_used(used).await,
        }
    }
    async fn delete_authorization(&self, _: Uuid) -> Result<bool, RegistryError> {
        not_asked()
    }
}

/// Settings under which nothing happens by itself within a test.
fn calm() -> AdmissionSettings {
    AdmissionSettings {
        unknown_key_ttl: LONG,
        key_refresh: LONG,
        key_stale_grace: LONG,
        key_lookup_timeout: LONG,
        key_idle: LONG,
        ..AdmissionSettings::default()
    }
}

/// Settings under which an answer of the registry is old after an instant.
fn aging() -> AdmissionSettings {
    AdmissionSettings { key_refresh: Duration::ZERO, ..calm() }
}

impl Rig {
    fn new(settings: &AdmissionSettings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("registry.sqlite");
        let open = || SqliteRegistry::open(&file, Clock::system()).expect("opens");
        let faulty = Arc::new(Faulty {
            sqlite: open(),
            fault: Mutex::new(Fault::None),
            gate: Semaphore::new(0),
            calls: AtomicUsize::new(0),
            largest_call: AtomicUsize::new(0),
            notes: AtomicUsize::new(0),
        });
        let (clock, wall_offset) = Clock::shifted();
        let metrics = Metrics::new();
        let registry: Arc<dyn Registry> = Arc::clone(&faulty) as _;
        let apps = Apps::new(settings, &metrics);
        let cache = KeyCache::new(registry, apps, settings, clock, &metrics);
        Self { cache, faulty, command_line: open(), wall_offset, metrics, _folder: folder }
    }

    async fn application(&self) -> Uuid {
        let new = NewApplication { name: "skyfall".to_owned(), ..NewApplication::default() };
        self.command_line.create_application(new).await.expect("creates").application_id
    }

    async fn key_in(&self, application_id: Uuid, expires_at_ms: Option<i64>) -> (ApiKey, Uuid) {
        let key = ApiKey::generate().expect("random numbers");
        let id = self.register(&key, application_id, expires_at_ms).await;
        (key, id)
    }

    async fn register(&self, key: &ApiKey, application_id: Uuid, expires_at_ms: Option<i64>) -> Uuid {
        let new = NewAuthorization {
            application_id,
            name: "server".to_owned(),
            description: None,
            hash: key.hash(),
            masked_key: key.masked(),
            expires_at_ms,
            scopes: Scopes::INGEST,
        };
        self.command_line.create_authorization(new).await.expect("creates").api_key_id
    }

    async fn key(&self) -> (ApiKey, Uuid) {
        self.key_in(self.application().await, None).await
    }

    async fn ask(&self, key: &ApiKey) -> Result<Grant, Refusal> {
        self.cache.authenticate(key.expose()).await
    }

    async fn refused(&self, key: &ApiKey) -> Refusal {
        self.ask(key).await.expect_err("refused")
    }

    fn counted(&self, metric: Counter, labels: &[&str]) -> u64 {
        self.metrics.counter(metric, labels).get()
    }
}

async fn within_seconds<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("happens within seconds")
}

fn is_unavailable(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::KeyStoreUnavailable { .. })
}
