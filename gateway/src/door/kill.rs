//! Ends one call from outside. hyper runs each call as a task of its own, and while a client takes no bytes it asks that
//! task for nothing but room to send: the response's body is not polled and can't end itself. So the task is wrapped, and
//! whoever holds the call's [`KillSwitch`] can drop it, which resets the stream (CANCEL) and frees what waits in it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

tokio::task_local! {
    static CURRENT: Arc<KillSwitch>;
}

const UNARMED: u8 = 0;
const ARMED: u8 = 1;
const KILLED: u8 = 2;

/// Ends a call.
#[derive(Debug, Default)]
pub struct KillSwitch {
    state: AtomicU8,
    waker: AtomicWaker,
}

impl KillSwitch {
    /// The switch of the call that is being polled; `None` outside of one. From now on it works.
    pub fn of_this_call() -> Option<Arc<Self>> {
        let switch = CURRENT.try_with(Arc::clone).ok()?;
        let _ = switch.state.compare_exchange(UNARMED, ARMED, Ordering::AcqRel, Ordering::Acquire);
        Some(switch)
    }

    /// Drops the call, wherever it stands.
    pub fn kill(&self) {
        self.state.store(KILLED, Ordering::Release);
        self.waker.wake();
    }
}

/// Runs a call until it ends or is killed.
pub async fn killable<F: Future>(call: F) {
    let switch = Arc::new(KillSwitch::default());
    let killed = Killed(Arc::clone(&switch));
    let _ = CURRENT.scope(switch, futures_util::future::select(Box::pin(call), killed)).await;
}

struct Killed(Arc<KillSwitch>);

impl Future for Killed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Most calls are short and nobody asks for their switch.
        if self.0.state.load(Ordering::Acquire) == UNARMED {
            return Poll::Pending;
        }
        self.0.waker.register(cx.waker());
        if self.0.state.load(Ordering::Acquire) == KILLED { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_call_is_dropped_where_it_stands() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let call = async move {
            let switch = KillSwitch::of_this_call().expect("inside a call");
            let _ = sender.send(switch);
            std::future::pending::<()>().await;
        };
        let kill = async { receiver.await.expect("the call runs").kill() };
        tokio::join!(killable(call), kill);
        assert!(KillSwitch::of_this_call().is_none(), "outside of a call there is none");
    }
}
