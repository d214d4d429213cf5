//! Tasks with a name and an end. A panic in one is caught, counted and logged; it never takes another down with it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::{Counter, Metrics};

/// How long a supervised task stays down after a panic, so that one that panics at once does not burn a core.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Spawns tasks and waits for their end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    metrics: Arc<Metrics>,
}

impl Tasks {
    /// No task yet.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>) -> Self {
        Self { tracker: TaskTracker::new(), metrics: Arc::clone(metrics) }
    }

    /// Runs a task once. The handle gives `None` after a panic.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let tasks = self.clone();
        self.tracker.spawn(async move { tasks.guard(name, future).await })
    }

    /// Runs a task that the process can't do without, until `stop`: after a panic it is started again.
    pub fn supervise<F>(&self, name: &'static str, stop: &CancellationToken, start: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        let run = async move {
            while tasks.guard(name, start()).await.is_none() {
                tokio::time::sleep(RESTART_PAUSE).await;
            }
        };
        let stop = stop.clone();
        drop(self.spawn(name, async move { stop.run_until_cancelled(run).await }));
    }

    /// Waits until every task has ended. Call [`Tasks::close`] first.
    pub async fn wait(&self) {
        self.tracker.wait().await;
    }

    /// Lets [`Tasks::wait`] return once the tasks that run now have ended.
    pub fn close(&self) {
        self.tracker.close();
    }

    /// How many tasks run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether no task runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    async fn guard<F: Future>(&self, name: &'static str, future: F) -> Option<F::Output> {
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(output) => Some(output),
            Err(_) => {
                self.panicked(name);
                None
            }
        }
    }

    /// Counts and logs a panic that was caught elsewhere. The panic's message went to standard error already.
    pub fn panicked(&self, name: &'static str) {
        self.metrics.counter(Counter::Panics, &[name]).inc();
        tracing::error!(task = name, "a task panicked; this is a bug");
    }
}
