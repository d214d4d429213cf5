//! Ends one call from outside. While a client takes no bytes, hyper asks a call for nothing but room to send: the
//! response's body is not polled and can't end itself. So the call is wrapped, and whoever holds its [`KillSwitch`] can
//! drop it, which resets the stream (CANCEL) and frees what waits in it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

thread_local! {
    /// The switch of the call that is being polled, if it has one; the outer `None`: none is.
    static CURRENT: RefCell<Option<Option<Arc<KillSwitch>>>> = const { RefCell::new(None) };
}

/// Ends a call.
#[derive(Debug, Default)]
pub struct KillSwitch {
    killed: AtomicBool,
    waker: AtomicWaker,
}

impl KillSwitch {
    /// The switch of the call that is being polled; `None` outside of one. Most calls are short and nobody asks for it.
    pub fn of_this_call() -> Option<Arc<Self>> {
        CURRENT.with_borrow_mut(|current| Some(Arc::clone(current.as_mut()?.get_or_insert_default())))
    }

    /// Drops the call, wherever it stands.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// Runs a call until it ends or is killed.
pub struct Killable<F> {
    call: Option<F>,
    switch: Option<Arc<KillSwitch>>,
}

impl<F: Future<Output = ()> + Unpin> Killable<F> {
    /// Not polled yet.
    pub fn new(call: F) -> Self {
        Self { call: Some(call), switch: None }
    }
}

/// Puts the switch of a call in its place, and takes it back however the poll ends.
struct Inside<'a> {
    switch: &'a mut Option<Arc<KillSwitch>>,
    outer: Option<Option<Arc<KillSwitch>>>,
}

impl<'a> Inside<'a> {
    fn enter(switch: &'a mut Option<Arc<KillSwitch>>) -> Self {
        let outer = CURRENT.replace(Some(switch.take()));
        Self { switch, outer }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        *self.switch = CURRENT.replace(self.outer.take()).flatten();
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Killable<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { call, switch } = self.get_mut();
        let Some(running) = call else { return Poll::Ready(()) };
        {
            let _inside = Inside::enter(switch);
            if Pin::new(running).poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        let Some(switch) = switch else { return Poll::Pending };
        switch.waker.register(cx.waker());
        if switch.killed.load(Ordering::Acquire) {
            *call = None;
            return Poll::Ready(());
        }
        Poll::Pending
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
        tokio::join!(Killable::new(Box::pin(call)), kill);
        assert!(KillSwitch::of_this_call().is_none(), "outside of a call there is none");
    }
}
