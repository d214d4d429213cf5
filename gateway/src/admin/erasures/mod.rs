//! Deletes what is stored of a player who asks to be forgotten.
//!
//! The player is suppressed first, so that nothing more of theirs is kept; then the job is written down, so that a restart
//! takes it up again; then it waits for [`GRACE`] and deletes. One at a time. That it was asked for and what came of it is
//! in the audit log, which holds nobody's id; nor does what is kept of a job that is over.
//!
//! A gateway deletes what is on its own disk. What it could not look at, and what it has sent elsewhere, the report names,
//! and the job is [`State::Incomplete`]: it never claims more than was done.

mod job;
mod places;
mod shelf;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::shelf::Shelf;
use super::books::masked;
use super::{Actor, Admin, AdminError};
use crate::clock::Clock;
use crate::delivery::erase::{EraseProblem, EraseReport, Subject};
use crate::event::member::{member, scalar, unescaped};
use crate::metrics::Counter;
use crate::registry::RegistryError;

pub use self::job::{Erasure, State};
pub use self::places::{Places, streamed};

/// How long a job waits at least before it seals the log: every gateway heeds a suppression within 5 s.
pub const GRACE: Duration = Duration::from_secs(5);

/// After the audit log or the disk has refused.
const PAUSE: Duration = Duration::from_secs(5);
/// After the registry could not be asked.
const HEED_PAUSE: Duration = Duration::from_secs(1);

/// Jobs that are not over: each reads the whole lake of its application.
const MAX_OPEN: usize = 1_000;

/// What a gateway that runs does for a deletion.
#[async_trait]
pub trait Running: Send + Sync {
    /// When it returns, this gateway heeds every suppression that was made before.
    async fn heed(&self) -> Result<(), RegistryError>;
    /// Forgets what the live pages show of an application's events.
    fn forget_tail(&self, application: Uuid);
}

/// What it works with.
pub struct Parts {
    /// Suppresses, and writes to the audit log.
    pub admin: Arc<Admin>,
    /// Where it deletes.
    pub places: Places,
    /// See [`GRACE`]; none where no gateway runs.
    pub grace: Duration,
    /// How long what was let in may take to the log.
    pub linger: Duration,
    /// The gateway that runs here, if one does.
    pub running: Option<Arc<dyn Running>>,
    /// The time.
    pub clock: Clock,
}

/// Keeps the jobs and works them off.
pub struct Erasures {
    admin: Arc<Admin>,
    places: Arc<Places>,
    grace: Duration,
    linger: Duration,
    running: Option<Arc<dyn Running>>,
    clock: Clock,
    shelf: Arc<Shelf>,
    jobs: Mutex<BTreeMap<Uuid, Kept>>,
    changed: Notify,
}

struct Kept {
    erasure: Erasure,
    /// From when on the grace counts: when it was asked for, or taken up again.
    since: Instant,
}

impl Erasures {
    /// With what earlier starts have left. Reads the data folder, so not to be called on a runtime's thread.
    ///
    /// # Errors
    /// If the jobs' folder can't be read.
    pub fn open(parts: Parts) -> std::io::Result<Arc<Self>> {
        let Parts { admin, places, grace, linger, running, clock } = parts;
        let shelf = Shelf::new(&places.data_dir);
        shelf.tidy()?;
        let since = clock.now();
        let jobs = shelf.read()?.into_iter().map(|erasure| (erasure.id, Kept { erasure, since })).collect();
        Ok(Arc::new(Self {
            admin,
            places: Arc::new(places),
            grace,
            linger,
            running,
            clock,
            shelf: Arc::new(shelf),
            jobs: Mutex::new(jobs),
            changed: Notify::new(),
        }))
    }

    /// The jobs of a data folder, whoever has it open; how far they are is not known.
    ///
    /// # Errors
    /// If the jobs' folder can't be read.
    pub fn on_disk(data_dir: &Path) -> std::io::Result<Vec<Erasure>> {
        Shelf::new(data_dir).read()
    }

    /// Suppresses a player and has everything deleted that is stored of them. When it returns, the job will be done,
    /// whatever happens to this process. Who asks again for what is not over yet gets the same job. Of an application that
    /// is gone what it has left is deleted, as far as it is stored under this very id.
    ///
    /// # Errors
    /// If too many jobs wait, it can't be written down, or the registry does not say how the application's ids are hashed.
    pub async fn ask(&self, actor: &Actor, application: Uuid, player_id: &str) -> Result<Erasure, AdminError> {
        match self.admin.suppress(actor, application, player_id).await {
            Ok(_) | Err(AdminError::Registry(RegistryError::NotFound { what: "application", .. })) => {}
            Err(error) => return Err(error),
        }
        if let Some(open) = self.open_job(application, player_id)? {
            return Ok(open);
        }
        // Now, and not when it runs: with the application, or with a forgotten secret, the hashes can't be known any more.
        // Under a secret that comes later nothing of theirs is stored, since they are suppressed.
        let ids = self.admin.ids_of(application, player_id).await?.unwrap_or_default();
        let erasure = Erasure {
            id: Uuid::now_v7(),
            application_id: application,
            player_id: player_id.to_owned(),
            ids,
            actor: actor.name.clone(),
            via: actor.via,
            state: State::Queued,
            asked_at_ms: self.clock.wall_ms(),
            started_at_ms: None,
            finished_at_ms: None,
            segments_done: 0,
            segments: 0,
            report: Default::default(),
        };
        self.write(&erasure).await.map_err(AdminError::Erasures)?;
        let subject = Some(masked(player_id));
        let noted = self.admin.note(actor, "player.delete", Some(application), subject, erasure.id.to_string()).await;
        if let Err(error) = noted {
            // What can't be written down is not done.
            let (shelf, id) = (Arc::clone(&self.shelf), erasure.id);
            let _ = spawn_blocking(move || shelf.remove(id)).await;
            return Err(error);
        }
        let kept = Kept { erasure: erasure.clone(), since: self.clock.now() };
        self.lock().insert(erasure.id, kept);
        self.changed.notify_one();
        Ok(erasure)
    }

    /// The job that does the same and is not over.
    fn open_job(&self, application: Uuid, player_id: &str) -> Result<Option<Erasure>, AdminError> {
        let jobs = self.lock();
        let open = || jobs.values().map(|kept| &kept.erasure).filter(|erasure| !erasure.state.is_over());
        let same = open().find(|erasure| erasure.application_id == application && erasure.player_id == player_id);
        if same.is_none() && open().count() >= MAX_OPEN {
            let problem = format!("{MAX_OPEN} deletions wait already: ask again when some of them are over");
            return Err(AdminError::Erasures(std::io::Error::other(problem)));
        }
        Ok(same.cloned())
    }

    /// One job.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub fn get(&self, id: Uuid) -> Result<Erasure, AdminError> {
        let found = self.lock().get(&id).map(|kept| kept.erasure.clone());
        found.ok_or_else(|| RegistryError::NotFound { what: "deletion", id }.into())
    }

    /// The jobs of one application or of all, oldest first.
    #[must_use]
    pub fn list(&self, application: Option<Uuid>) -> Vec<Erasure> {
        let jobs = self.lock();
        let asked = |kept: &&Kept| application.is_none_or(|application| kept.erasure.application_id == application);
        jobs.values().filter(asked).map(|kept| kept.erasure.clone()).collect()
    }

    /// Works the jobs off, until `stop`; what is not done by then is taken up again at the next start.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.next() {
                Some((erasure, since)) => self.work(erasure, since, &stop).await,
                None => {
                    let changed = self.changed.notified();
                    let _ = stop.run_until_cancelled(changed).await;
                }
            }
        }
    }

    /// Works off what there is now.
    pub async fn run_out(&self, stop: &CancellationToken) {
        while !stop.is_cancelled()
            && let Some((erasure, since)) = self.next()
        {
            self.work(erasure, since, stop).await;
        }
    }

    fn next(&self) -> Option<(Erasure, Instant)> {
        let jobs = self.lock();
        // Ids sort by time.
        let open = jobs.values().find(|kept| !kept.erasure.state.is_over())?;
        Some((open.erasure.clone(), open.since))
    }

    /// Returns early only when stopped.
    async fn work(&self, mut erasure: Erasure, since: Instant, stop: &CancellationToken) {
        erasure.state = State::Waiting;
        self.show(&erasure);
        // What this gateway heeds is made sure of; others have until the grace is over.
        let heeding = async {
            self.heed(&erasure).await;
            let settled = self.clock.now() + self.linger;
            tokio::time::sleep_until((since + self.grace).max(settled).into()).await;
        };
        if stop.run_until_cancelled(heeding).await.is_none() {
            return;
        }
        if let Some(running) = &self.running {
            running.forget_tail(erasure.application_id);
        }
        erasure.state = State::Running;
        erasure.started_at_ms.get_or_insert_with(|| self.clock.wall_ms());
        self.show(&erasure);
        if let Err(error) = self.write(&erasure).await {
            // It stands there as asked for, which is as good.
            tracing::warn!(%error, erasure = %erasure.id, "can't write down that a deletion runs");
        }
        let Some(known) = stop.run_until_cancelled(self.known(&erasure)).await else { return };
        let Some(mut report) = self.erase(&erasure, known.ids, stop).await else { return };
        report.errors.extend(known.problem);
        report.elsewhere.extend(known.elsewhere);
        erasure.state = if report.is_complete() { State::Done } else { State::Incomplete };
        erasure.report = report;
        erasure.finished_at_ms = Some(self.clock.wall_ms());
        erasure.player_id = masked(&erasure.player_id);
        erasure.ids = Vec::new();
        self.end(erasure, stop).await;
    }

    async fn heed(&self, erasure: &Erasure) {
        let Some(running) = &self.running else { return };
        while let Err(error) = running.heed().await {
            tracing::warn!(%error, erasure = %erasure.id, "a deletion waits until the registry says whom to suppress");
            tokio::time::sleep(HEED_PAUSE).await;
        }
    }

    /// Every id under which the player's events may be stored: what was known when it was asked for, and what is known now.
    async fn known(&self, erasure: &Erasure) -> Known {
        loop {
            match self.admin.ids_of(erasure.application_id, &erasure.player_id).await {
                Ok(now) => return Known::of(erasure, now),
                // Others are not to wait until somebody has mended it.
                Err(error @ RegistryError::BadRow { .. }) => {
                    let problem = EraseProblem { what: "registry".to_owned(), problem: error.to_string() };
                    return Known { problem: Some(problem), ..Known::of(erasure, Some(Vec::new())) };
                }
                Err(error) => {
                    tracing::warn!(%error, erasure = %erasure.id, "a deletion waits until the registry says how ids are hashed");
                    tokio::time::sleep(HEED_PAUSE).await;
                }
            }
        }
    }

    async fn erase(&self, erasure: &Erasure, ids: Vec<String>, stop: &CancellationToken) -> Option<EraseReport> {
        let (sender, mut receiver) = tokio::sync::watch::channel((0, 0));
        let progress = Arc::new(move |done, all| {
            sender.send_replace((done, all));
        });
        let mut work = std::pin::pin!(self.places.erase(subject(erasure, ids), stop, progress));
        loop {
            tokio::select! {
                report = &mut work => return report,
                Ok(()) = receiver.changed() => {
                    let (done, all) = *receiver.borrow_and_update();
                    if let Some(kept) = self.lock().get_mut(&erasure.id) {
                        (kept.erasure.segments_done, kept.erasure.segments) = (done, all);
                    }
                }
            }
        }
    }

    /// Writes down what came of it, in the audit log and on the disk, however long that takes. Until then it is not over.
    async fn end(&self, erasure: Erasure, stop: &CancellationToken) {
        let mut noted = false;
        loop {
            match self.write_end(&erasure, &mut noted).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, erasure = %erasure.id, "can't write down what a deletion did"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
        tracing::info!(erasure = %erasure.id, state = erasure.state.as_str(), "a deletion is over");
        self.places.lake_parts.metrics.counter(Counter::PlayerDeletions, &[erasure.state.as_str()]).inc();
        self.show(&erasure);
        let all = self.list(None);
        for id in Shelf::beyond(&all) {
            self.lock().remove(&id);
            let shelf = Arc::clone(&self.shelf);
            let _ = spawn_blocking(move || shelf.remove(id)).await;
        }
    }

    async fn write_end(&self, erasure: &Erasure, noted: &mut bool) -> Result<(), AdminError> {
        if !*noted {
            let subject = Some(erasure.player_id.clone());
            let application = Some(erasure.application_id);
            let actor = erasure.actor();
            self.admin.note(&actor, "player.deleted", application, subject, erasure.summary()).await?;
            *noted = true;
        }
        self.write(erasure).await.map_err(AdminError::Erasures)
    }

    fn show(&self, erasure: &Erasure) {
        if let Some(kept) = self.lock().get_mut(&erasure.id) {
            kept.erasure = erasure.clone();
        }
    }

    async fn write(&self, erasure: &Erasure) -> std::io::Result<()> {
        let (shelf, erasure) = (Arc::clone(&self.shelf), erasure.clone());
        spawn_blocking(move || shelf.write(&erasure)).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Kept>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under which ids a player's events may be stored.
struct Known {
    ids: Vec<String>,
    /// Why the hashes can't be known.
    problem: Option<EraseProblem>,
    /// Where the application has taken them with it, what to do.
    elsewhere: Option<String>,
}

impl Known {
    /// `now`: what the registry says now; `None` if the application is gone.
    fn of(erasure: &Erasure, now: Option<Vec<String>>) -> Self {
        let elsewhere = (now.is_none() && erasure.ids.is_empty()).then(|| {
            "hashed ids: the application was deleted before this was asked for, and with it the secrets that tell a \
             player's hashes; what is stored under a hash was not looked for: delete it by the hash (docs/privacy.md)"
                .to_owned()
        });
        let mut ids = vec![erasure.player_id.clone()];
        for id in erasure.ids.iter().cloned().chain(now.unwrap_or_default()) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Self { ids, problem: None, elsewhere }
    }
}

/// Whose events: those whose `event_data.player_id`, a string or a number, is one of the player's ids.
fn subject(erasure: &Erasure, ids: Vec<String>) -> Subject {
    let texts: Vec<Vec<u8>> = ids.iter().map(|id| id.clone().into_bytes()).collect();
    let is_theirs = move |event_data: &[u8]| {
        // An id that is not there as it stands may still be there with escapes.
        let is_there = |id: &Vec<u8>| memchr::memmem::find(event_data, id).is_some();
        let may_be = event_data.contains(&b'\\') || texts.iter().any(is_there);
        let player = may_be.then(|| member(event_data, "player_id").and_then(scalar).map(unescaped)).flatten();
        player.is_some_and(|player| texts.contains(&player))
    };
    Subject::new(erasure.id, erasure.application_id, &ids, is_theirs)
}

#[cfg(test)]
mod tests;
