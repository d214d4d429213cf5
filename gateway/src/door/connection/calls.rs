//! The calls of one connection, and what else it waits for.
//!
//! hyper would run each call of HTTP/2 as a task of its own. Here they are part of the connection's task: nothing is
//! spawned for a call, calls that are settled together wake one task and leave with one write, and a call ends with its
//! connection. What that gives up is that calls of the same connection are read on several cores at once.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::rt::Executor;

use crate::door::kill::Killable;
use crate::operate::tasks::Tasks;

/// Where hyper leaves the calls that begin.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    begun: Arc<Mutex<Vec<Call>>>,
    tasks: Tasks,
}

/// A call, until it ends, is killed or panics.
struct Call {
    call: Killable<Pin<Box<dyn Future<Output = ()> + Send>>>,
    tasks: Tasks,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Call")
    }
}

impl Future for Call {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let call = Pin::new(&mut self.call);
        catch_unwind(AssertUnwindSafe(|| call.poll(cx))).unwrap_or_else(|_| {
            self.tasks.panicked("http2");
            Poll::Ready(())
        })
    }
}

impl Calls {
    pub(super) fn new(tasks: &Tasks) -> Self {
        Self { begun: Arc::default(), tasks: tasks.clone() }
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Calls {
    fn execute(&self, future: F) {
        let call = Call { call: Killable::new(Box::pin(future)), tasks: self.tasks.clone() };
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// A connection at work: what it waits for is asked only when it is ready, however often the connection is.
pub(super) struct Work<'a, S> {
    calls: Calls,
    parts: FuturesUnordered<Part<'a, S>>,
}

enum Part<'a, S> {
    Call(Call),
    Signal(Pin<Box<dyn Future<Output = Option<S>> + Send + 'a>>),
}

/// What a connection came to.
pub(super) enum Step<O, S> {
    /// Its end.
    Ended(O),
    /// Something that it waited for.
    Signal(S),
}

impl<S> Future for Part<'_, S> {
    type Output = Option<S>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S>> {
        match self.get_mut() {
            Self::Call(call) => Pin::new(call).poll(cx).map(|()| None),
            Self::Signal(signal) => signal.as_mut().poll(cx),
        }
    }
}

impl<'a, S> Work<'a, S> {
    pub(super) fn new(calls: Calls) -> Self {
        Self { calls, parts: FuturesUnordered::new() }
    }

    /// Where its calls begin.
    pub(super) fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// Waits for one more thing; one that comes to `None` was not worth waiting for.
    pub(super) fn wait_for(&self, signal: impl Future<Output = Option<S>> + Send + 'a) {
        self.parts.push(Part::Signal(Box::pin(signal)));
    }

    /// Drives the connection and its calls to the next step.
    pub(super) async fn step<C: Future>(&mut self, mut connection: Pin<&mut C>) -> Step<C::Output, S> {
        std::future::poll_fn(|cx| {
            // Calls first: what they answer leaves with the connection's turn.
            if let Poll::Ready(signal) = self.poll_parts(cx) {
                return Poll::Ready(Step::Signal(signal));
            }
            if let Poll::Ready(end) = connection.as_mut().poll(cx) {
                return Poll::Ready(Step::Ended(end));
            }
            let begun = self.calls.take();
            if begun.is_empty() {
                return Poll::Pending;
            }
            self.parts.extend(begun.into_iter().map(Part::Call));
            // What they do to the connection wakes it.
            self.poll_parts(cx).map(Step::Signal)
        })
        .await
    }

    fn poll_parts(&mut self, cx: &mut Context<'_>) -> Poll<S> {
        loop {
            match self.parts.poll_next_unpin(cx) {
                Poll::Ready(Some(Some(signal))) => return Poll::Ready(signal),
                Poll::Ready(Some(None)) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::sync::Notify;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;
    use crate::metrics::{Counter, Metrics};

    const PATIENCE: Duration = Duration::from_secs(10);

    struct Rig {
        metrics: Arc<Metrics>,
        calls: Calls,
        done: Arc<AtomicU32>,
    }

    impl Rig {
        fn new() -> Self {
            let metrics = Metrics::new();
            let calls = Calls::new(&Tasks::new(&metrics));
            Self { metrics, calls, done: Arc::default() }
        }

        fn begin(&self, call: impl Future<Output = ()> + Send + 'static) {
            let done = Arc::clone(&self.done);
            self.calls.execute(async move {
                call.await;
                done.fetch_add(1, Ordering::Relaxed);
            });
        }

        fn done(&self) -> u32 {
            self.done.load(Ordering::Relaxed)
        }

        fn panics(&self) -> u64 {
            self.metrics.counter(Counter::Panics, &["http2"]).get()
        }
    }

    #[tokio::test]
    async fn a_call_that_panics_is_counted_and_ends_neither_the_connection_nor_the_other_calls() {
        let rig = Rig::new();
        let mut work = Work::<()>::new(rig.calls.clone());
        let done = Arc::clone(&rig.done);
        let connection = async {
            rig.begin(async { panic!("as a bug would") });
            rig.begin(yield_now());
            while done.load(Ordering::Relaxed) < 2 {
                yield_now().await;
                if done.load(Ordering::Relaxed) == 1 {
                    rig.begin(async {});
                }
            }
            "ended"
        };
        let step = timeout(PATIENCE, work.step(std::pin::pin!(connection))).await;
        assert!(matches!(step, Ok(Step::Ended("ended"))));
        assert_eq!(rig.panics(), 1);
    }

    #[tokio::test]
    async fn a_call_goes_on_while_the_connection_waits_for_its_client() {
        let rig = Rig::new();
        let settled = Arc::new(Notify::new());
        let mut work = Work::new(rig.calls.clone());
        let waits = Arc::clone(&settled);
        rig.begin(async move { waits.notified().await });
        work.wait_for(async {
            settled.notify_one();
            None
        });
        let done = Arc::clone(&rig.done);
        work.wait_for(async move {
            while done.load(Ordering::Relaxed) == 0 {
                yield_now().await;
            }
            Some("settled")
        });
        let step = timeout(PATIENCE, work.step(std::pin::pin!(std::future::pending::<()>()))).await;
        assert!(matches!(step, Ok(Step::Signal("settled"))));
    }

    #[tokio::test]
    async fn calls_end_with_their_connection() {
        struct Guard(Arc<AtomicU32>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let rig = Rig::new();
        let dropped = Arc::new(AtomicU32::new(0));
        let mut work = Work::<()>::new(rig.calls.clone());
        for _ in 0..3 {
            let guard = Guard(Arc::clone(&dropped));
            rig.begin(async move {
                std::future::pending::<()>().await;
                drop(guard);
            });
        }
        // Ends after a turn in which the calls began.
        let connection = yield_now();
        assert!(matches!(work.step(std::pin::pin!(connection)).await, Step::Ended(())));
        assert_eq!((rig.done(), dropped.load(Ordering::Relaxed)), (0, 0));
        drop(work);
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
    }
}
