//! The client's own thread: sends what is to be sent, heeds what is answered, and sees that there is a stream.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::{StreamEventsResponse, StreamNotice, stream_notice};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};

use crate::backoff::Backoff;
use crate::clock;
use crate::link::{Heard, Links};
use crate::refusal::{Refusal, duration};
use crate::shared::Shared;
use crate::store::{Ends, LinkId, Next};

/// How long a stream may be used whose key was changed, until the next one is open.
const KEY_GRACE: Duration = Duration::from_secs(30);
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

type Loading = oneshot::Receiver<io::Result<Bytes>>;

pub(crate) struct Worker {
    shared: Arc<Shared>,
    links: Links,
    backoff: Backoff,
    /// Failures in a row, of opening a stream or of one that broke before it gave an answer.
    failures: u32,
    /// When the gateway said to come again.
    hint: Option<Duration>,
    /// The last key that could be read, and its version.
    key: MetadataValue<Ascii>,
    key_version: u64,
    /// Whether there was a stream before.
    opened_once: bool,
    loading: Option<Loading>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, links: Links, key: MetadataValue<Ascii>, backoff: Backoff) -> Self {
        Self { shared, links, backoff, failures: 0, hint: None, key, key_version: 0, opened_once: false, loading: None }
    }

    /// Works until the store is stopping.
    pub(crate) async fn run(mut self) {
        loop {
            let now = clock::now();
            if self.key_version != self.shared.key_version() {
                self.links.move_current(KEY_GRACE);
                // One that is being opened has the old key.
                self.failures = 0;
                self.open(Duration::ZERO);
            } else if self.links.needs_another() && !self.links.is_opening() {
                let wait = self.wait();
                self.open(wait);
            }
            let sending = self.links.sending(now);
            let Some(deadline) = self.work(sending, now) else { break };
            let deadline = deadline.into_iter().chain(self.links.move_by()).min();
            self.listen(deadline).await;
        }
        self.end().await;
    }

    /// Ends the streams in good order, where the gateway does so without delay: what it answers by then is heeded.
    async fn end(&mut self) {
        self.links.close();
        let ends = async {
            while let Some(heard) = self.links.last().await {
                self.heed(heard);
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, ends).await;
    }

    /// Sends what is to be sent. None: the end has come; otherwise, when to look again if nothing happens.
    fn work(&mut self, sending: Option<LinkId>, now: Instant) -> Option<Option<Instant>> {
        let mut store = self.shared.store();
        if store.stopping {
            return None;
        }
        if let Some(link) = store.overdue(now) {
            drop(store);
            self.links.cut(link);
            self.failures = self.failures.saturating_add(1);
            self.lost(link, Some("a batch has had no answer for too long: the stream is given up".to_owned()));
            return Some(Some(now));
        }
        if let Some(link) = sending {
            loop {
                match store.next(link, now) {
                    Next::Send(batch) => self.links.send(batch),
                    Next::Load(number) => {
                        self.loading = store.log.as_mut().map(|log| log.read(number));
                        break;
                    }
                    Next::Nothing => break,
                }
            }
        }
        store.log_what_lingers(now);
        Some(store.look_again(sending.is_some(), now))
    }

    async fn listen(&mut self, deadline: Option<Instant>) {
        let deadline = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let loading = &mut self.loading;
        tokio::select! {
            () = self.shared.work.notified() => {}
            () = deadline => {}
            loaded = async { Some(loading.as_mut()?.await) }, if loading.is_some() => {
                self.loading = None;
                if let Some(loaded) = loaded {
                    let gone = |_| Err(io::Error::other("the log's thread has ended"));
                    self.shared.store().loaded(loaded.unwrap_or_else(gone), clock::now());
                    self.shared.progress();
                }
            }
            heard = self.links.next() => self.heed(heard),
        }
    }

    fn heed(&mut self, heard: Heard) {
        match heard {
            Heard::Opened => {
                let again = self.opened_once;
                let moved = again && self.shared.store().counters().connected;
                self.opened_once = true;
                self.shared.store().count(|counters| {
                    counters.connected = true;
                    counters.moves += u64::from(moved);
                    counters.reconnects += u64::from(again && !moved);
                });
            }
            Heard::NotOpened(status) => {
                self.failed(&status);
                self.shared.store().count(|counters| counters.connects_failed += 1);
            }
            Heard::Answer(link, answer) => self.answer(link, answer),
            Heard::Ended { link, status, asked } => {
                let why = match &status {
                    _ if asked => None,
                    Some(status) => {
                        self.failed(status);
                        Some(describe("the stream broke", status))
                    }
                    None => {
                        self.failures = self.failures.saturating_add(1);
                        Some("the gateway ended the stream".to_owned())
                    }
                };
                self.lost(link, why);
            }
        }
    }

    fn answer(&mut self, link: LinkId, StreamEventsResponse { sequence, answer }: StreamEventsResponse) {
        let now = clock::now();
        // Whoever answers is there.
        (self.failures, self.hint) = (0, None);
        let ends = match answer {
            Some(Answer::Verdict(verdict)) => self.shared.store().verdict(link, sequence, verdict, now),
            Some(Answer::Refusal(status)) => {
                let refusal = Refusal::of_answer(status);
                let failures = self.shared.store().refused(link, sequence, refusal, now);
                Ends { stored: None, failures }
            }
            Some(Answer::Notice(notice)) => return self.notice(link, &notice),
            None => {
                self.shared.store().not_understood(link, sequence, now);
                return;
            }
        };
        self.shared.progress();
        self.shared.report(ends);
    }

    fn notice(&mut self, link: LinkId, notice: &StreamNotice) {
        // One of a kind that is not known yet asks for nothing that is known.
        if notice.kind() != stream_notice::Kind::Unspecified {
            self.links.move_on(link, duration(notice.grace).unwrap_or_default());
        }
    }

    fn lost(&mut self, link: LinkId, why: Option<String>) {
        let connected = self.links.is_connected();
        let mut store = self.shared.store();
        store.lost(link);
        store.count(|counters| {
            counters.connected = connected;
            if why.is_some() {
                counters.last_error = why;
            }
        });
    }

    /// No stream could be opened, or one broke.
    fn failed(&mut self, status: &Status) {
        let refusal = Refusal::of_stream(status);
        self.hint = refusal.hint;
        let changed = |key| key != self.key;
        let rotated = refusal.is_of_the_key() && self.shared.key().0.read().is_ok_and(changed);
        // A key that was changed in its file is worth a try at once.
        self.failures = if rotated { 0 } else { self.failures.saturating_add(1) };
        let why = describe("no stream", status);
        self.shared.store().count(|counters| counters.last_error = Some(why));
    }

    fn wait(&mut self) -> Duration {
        if self.failures == 0 && self.hint.is_none() {
            Duration::ZERO
        } else {
            self.backoff.wait(self.failures.saturating_sub(1), self.hint.take())
        }
    }

    /// Opens a stream. Where the key's file can't be read, the last key that could is tried: files are replaced.
    fn open(&mut self, wait: Duration) {
        let (key, version) = self.shared.key();
        self.key_version = version;
        match key.read() {
            Ok(key) => self.key = key,
            Err(error) => {
                let why = format!("the key can't be read: {error}");
                self.shared.store().count(|counters| counters.last_error = Some(why));
            }
        }
        self.links.open(self.key.clone(), wait);
    }
}

fn describe(what: &str, status: &Status) -> String {
    let Refusal { code, message, .. } = Refusal::of_stream(status);
    format!("{what}: {code:?}: {message}")
}
