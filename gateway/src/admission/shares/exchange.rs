//! Asks the board for many applications at once: in bounded time, so many calls at a time, counted.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, future, stream};

use crate::metrics::{Counter, CounterHandle, Metrics};
use crate::registry::demand::{BoardError, DemandBoard, MemberId, Page, Report};

/// Calls under way at the same time.
const AT_ONCE: usize = 32;
/// After so many failures and no success the board counts as away: the rest of a round is not tried.
const HOPELESS: usize = 3;
/// A call may take as long as the interval, within these bounds.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(500);
const LONGEST_PATIENCE: Duration = Duration::from_secs(2);

/// A page, what to write on it and whose reports to remove.
pub(super) type Call = (Page, Report, Vec<MemberId>);

pub(super) struct Exchange {
    board: Arc<dyn DemandBoard>,
    patience: Duration,
    last_error: Mutex<Option<BoardError>>,
    ok: CounterHandle,
    failed: CounterHandle,
    skipped: CounterHandle,
}

impl Exchange {
    pub(super) fn new(board: Arc<dyn DemandBoard>, interval: Duration, metrics: &Metrics) -> Self {
        let counter = |result| metrics.counter(Counter::ShareExchanges, &[result]);
        Self {
            board,
            patience: interval.clamp(SHORTEST_PATIENCE, LONGEST_PATIENCE),
            last_error: Mutex::new(None),
            ok: counter("ok"),
            failed: counter("failed"),
            skipped: counter("skipped"),
        }
    }

    /// The others' reports on each page; `None` where the board did not answer.
    pub(super) async fn ask(&self, calls: Vec<Call>) -> Vec<(Page, Option<Vec<Report>>)> {
        let (successes, failures) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
        let asked = calls.into_iter().map(|(page, mine, gone)| async move {
            if failures.load(Ordering::Relaxed) >= HOPELESS && successes.load(Ordering::Relaxed) == 0 {
                self.skipped.inc();
                return (page, None);
            }
            let answer = self.in_time(self.board.exchange(page, mine, &gone)).await;
            let tally = if answer.is_ok() { successes } else { failures };
            tally.fetch_add(1, Ordering::Relaxed);
            (page, answer.ok())
        });
        stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
    }

    /// Leaves these pages; says which of them it has left.
    pub(super) async fn withdraw(&self, pages: Vec<Page>, member: MemberId) -> Vec<Page> {
        let withdrawals = pages.into_iter().map(|page| async move {
            let left = self.in_time(self.board.withdraw(page, member)).await;
            left.ok().map(|()| page)
        });
        stream::iter(withdrawals).buffer_unordered(AT_ONCE).filter_map(future::ready).collect().await
    }

    /// What went wrong last, in words.
    pub(super) fn last_error(&self) -> String {
        let last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        last_error.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    async fn in_time<T>(&self, asking: impl Future<Output = Result<T, BoardError>>) -> Result<T, BoardError> {
        let answer = match tokio::time::timeout(self.patience, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(BoardError(format!("no answer within {:?}", self.patience))),
        };
        match &answer {
            Ok(_) => drop(self.ok.inc()),
            Err(error) => {
                self.failed.inc();
                *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            }
        }
        answer
    }
}
