//! Who is signed in. Sessions live in memory: a restart signs everybody out, and so does the end of their time.
//!
//! A session's id is 256 random bits, known to the browser alone; what is kept of it is its hash, so that looking one up
//! tells nothing about others by the time that it takes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::admin::{Actor, HandedOut};
use crate::clock::Clock;

/// Past so many the oldest are signed out: whoever has the token must not fill the memory.
const MAX_SESSIONS: usize = 1_000;

/// For how long a key that was just made can be used in the test form.
const KEY_AT_HAND: Duration = Duration::from_secs(15 * 60);

/// Everybody who is signed in.
pub(super) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Arc<Session>>>,
    lifetime: Duration,
    clock: Clock,
}

/// Somebody who is signed in.
pub(super) struct Session {
    actor: Actor,
    form_token: String,
    began: Instant,
    ends: Instant,
    memory: Mutex<Memory>,
}

/// What is remembered from one page to the next.
#[derive(Default)]
struct Memory {
    notice: Option<String>,
    made: Option<MadeKey>,
}

/// A key that was just made. It is shown once; until its time is over the test form can still use it.
#[derive(Clone)]
pub(super) struct MadeKey {
    /// The application it lets in.
    pub(super) application_id: Uuid,
    /// Its name.
    pub(super) name: String,
    /// What may be shown of it later.
    pub(super) masked: String,
    /// The key itself.
    pub(super) key: crate::admission::key::ApiKey,
    made: Instant,
    shown: bool,
}

impl Sessions {
    /// Nobody is signed in.
    pub(super) fn new(lifetime: Duration, clock: &Clock) -> Self {
        Self { open: Mutex::default(), lifetime, clock: clock.clone() }
    }

    /// Signs somebody in; the id is for their cookie.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub(super) fn open(&self, actor: Actor) -> Result<(String, Arc<Session>), getrandom::Error> {
        let id = random()?;
        let now = self.clock.now();
        let session = Arc::new(Session {
            actor,
            form_token: random()?,
            began: now,
            ends: now + self.lifetime,
            memory: Mutex::default(),
        });
        let mut open = self.lock();
        open.retain(|_, session| session.ends > now);
        if open.len() >= MAX_SESSIONS
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.began).map(|(hash, _)| *hash)
        {
            open.remove(&oldest);
        }
        open.insert(hash(&id), Arc::clone(&session));
        Ok((id, session))
    }

    /// The session of this id, while it lasts.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        let session = Arc::clone(self.lock().get(&hash(id))?);
        (session.ends > self.clock.now()).then_some(session)
    }

    /// Signs out.
    pub(super) fn close(&self, id: &str) {
        self.lock().remove(&hash(id));
    }

    /// How long a sign-in lasts.
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Who does what is done here.
    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What every form of this session carries.
    pub(super) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Whether a form is one of this session's.
    pub(super) fn is_form_token(&self, token: &str) -> bool {
        self.form_token.as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Says something on the next page.
    pub(super) fn tell(&self, notice: impl Into<String>) {
        self.memory().notice = Some(notice.into());
    }

    /// What the next page is to say, once.
    pub(super) fn take_notice(&self) -> Option<String> {
        self.memory().notice.take()
    }

    /// Keeps a key that was just made.
    pub(super) fn keep(&self, made: HandedOut, clock: &Clock) {
        let HandedOut { key, authorization } = made;
        self.memory().made = Some(MadeKey {
            application_id: authorization.application_id,
            name: authorization.name,
            masked: authorization.masked_key,
            key,
            made: clock.now(),
            shown: false,
        });
    }

    /// The key that is still to be shown, once.
    pub(super) fn take_to_show(&self, application: Uuid) -> Option<MadeKey> {
        let mut memory = self.memory();
        let made = memory.made.as_mut().filter(|made| made.application_id == application && !made.shown)?;
        made.shown = true;
        Some(made.clone())
    }

    /// The key that was just made, for the test form.
    pub(super) fn made_key(&self, clock: &Clock) -> Option<MadeKey> {
        let mut memory = self.memory();
        if memory.made.as_ref().is_some_and(|made| clock.now().saturating_duration_since(made.made) > KEY_AT_HAND) {
            memory.made = None;
        }
        memory.made.clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 random bits in hexadecimal.
fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn hash(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Via;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn opened(sessions: &Sessions) -> (String, Arc<Session>) {
        sessions.open(Actor { name: "admin-token".to_owned(), via: Via::Console }).expect("the system has randomness")
    }

    #[test]
    fn a_session_is_found_by_its_id_until_it_is_closed() {
        let sessions = Sessions::new(HOUR, &Clock::system());
        let (id, session) = opened(&sessions);
        assert_eq!(id.len(), 64);
        assert!(Arc::ptr_eq(&sessions.find(&id).expect("it is open"), &session));
        assert!(sessions.find(&id.to_uppercase()).is_none());
        assert!(sessions.find("").is_none());
        let (other, _) = opened(&sessions);
        assert_ne!(id, other);
        sessions.close(&id);
        assert!(sessions.find(&id).is_none());
        assert!(sessions.find(&other).is_some());
    }

    #[test]
    fn a_session_ends_with_its_time() {
        let sessions = Sessions::new(Duration::ZERO, &Clock::system());
        let (id, _) = opened(&sessions);
        assert!(sessions.find(&id).is_none());
    }

    #[test]
    fn past_the_limit_the_oldest_is_signed_out() {
        let sessions = Sessions::new(HOUR, &Clock::system());
        let (first, _) = opened(&sessions);
        let ids: Vec<String> = (0..MAX_SESSIONS).map(|_| opened(&sessions).0).collect();
        assert!(sessions.find(&first).is_none());
        assert!(ids.iter().all(|id| sessions.find(id).is_some()));
    }

    #[test]
    fn a_form_of_another_session_is_told_apart() {
        let sessions = Sessions::new(HOUR, &Clock::system());
        let ((_, one), (_, other)) = (opened(&sessions), opened(&sessions));
        assert!(one.is_form_token(one.form_token()));
        assert!(!one.is_form_token(other.form_token()));
        assert!(!one.is_form_token(""));
        assert!(!one.is_form_token(&one.form_token()[..63]));
    }

    #[test]
    fn a_notice_is_said_once() {
        let sessions = Sessions::new(HOUR, &Clock::system());
        let (_, session) = opened(&sessions);
        session.tell("done");
        assert_eq!(session.take_notice().as_deref(), Some("done"));
        assert_eq!(session.take_notice(), None);
    }
}
