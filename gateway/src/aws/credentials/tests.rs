use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use super::*;

/// A source whose answers a test chooses; each set of credentials has a number of its own.
#[derive(Debug, Default)]
struct Source {
    asked: AtomicUsize,
    down: AtomicBool,
    hangs: AtomicBool,
    /// Seconds that its credentials last; 0: for ever.
    lifetime: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Shared(Arc<Source>);

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let number = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            if self.0.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.0.down.load(Ordering::SeqCst) {
                return Err(CredentialsError::provider_error("the endpoint answers 500"));
            }
            let mut credentials = Credentials::new(format!("AKID{number}"), "secret", None, None, "test");
            let lifetime = Duration::from_secs(self.0.lifetime.load(Ordering::SeqCst) as u64);
            if !lifetime.is_zero() {
                let now = UNIX_EPOCH + Duration::from_millis(Clock::system().wall_ms().unsigned_abs());
                *credentials.expiry_mut() = Some(now + lifetime);
            }
            Ok(credentials)
        })
    }
}

struct Rig {
    source: Arc<Source>,
    cache: Arc<Cache>,
    wall: Arc<AtomicI64>,
}

fn rig(lifetime: usize) -> Rig {
    let source = Arc::new(Source::default());
    source.lifetime.store(lifetime, Ordering::SeqCst);
    let (clock, wall) = Clock::shifted();
    let provider = SharedCredentialsProvider::new(Shared(Arc::clone(&source)));
    Rig { cache: Arc::new(Cache::new(provider, clock)), source, wall }
}

impl Rig {
    async fn key(&self) -> Result<String, String> {
        match self.cache.credentials().await {
            Ok(credentials) => Ok(credentials.access_key_id().to_owned()),
            Err(error) => Err(CredentialsFailure::of(&error).to_string()),
        }
    }

    async fn has(&self, key: &str) {
        assert_eq!(self.key().await.as_deref(), Ok(key));
    }

    /// Waits until nobody asks the source.
    async fn loaded(&self) {
        drop(self.cache.loading.lock().await);
    }

    fn asked(&self) -> usize {
        self.source.asked.load(Ordering::SeqCst)
    }

    /// As if so much time had passed since the source was last asked.
    fn rest(&self, time: Duration) {
        let mut known = self.cache.known();
        known.asked = known.asked.and_then(|asked| asked.checked_sub(time));
    }
}

#[tokio::test]
async fn a_thousand_callers_ask_the_source_once() {
    let rig = rig(3_600);
    let keys = futures_util::future::join_all((0..1_000).map(|_| rig.key())).await;
    assert!(keys.iter().all(|key| key.as_deref() == Ok("AKID1")), "{:?}", keys.first());
    assert_eq!(rig.asked(), 1);
}

#[tokio::test]
async fn new_ones_are_fetched_ahead_of_the_expiry_and_nobody_waits_for_them() {
    let rig = rig(3_600);
    rig.has("AKID1").await;
    rig.wall.store(3_400_000, Ordering::SeqCst);
    rig.rest(AHEAD_PAUSE);
    rig.source.lifetime.store(7_200, Ordering::SeqCst);
    let (first, second) = tokio::join!(rig.key(), rig.key());
    assert_eq!((first.as_deref(), second.as_deref()), (Ok("AKID1"), Ok("AKID1")), "the old ones are good");
    rig.loaded().await;
    assert_eq!(rig.asked(), 2, "one of them had new ones fetched");
    rig.has("AKID2").await;
}

/// The SDK gives up a call, and with it whoever fetches credentials for it, after an attempt's time-out.
#[tokio::test]
async fn a_caller_that_gives_up_does_not_stop_the_fetching() {
    let rig = rig(3_600);
    let gave_up = futures_util::poll!(Box::pin(rig.key()));
    assert!(gave_up.is_pending(), "the source takes a moment");
    rig.loaded().await;
    rig.has("AKID1").await;
    assert_eq!(rig.asked(), 1);
}

#[tokio::test]
async fn old_ones_serve_to_their_expiry_while_the_source_is_down() {
    let rig = rig(3_600);
    rig.has("AKID1").await;
    rig.source.down.store(true, Ordering::SeqCst);
    rig.wall.store(3_599_000, Ordering::SeqCst);
    rig.rest(AHEAD_PAUSE);
    rig.has("AKID1").await;
    rig.loaded().await;
    assert_eq!(rig.asked(), 2, "the source was tried");
    rig.wall.store(3_601_000, Ordering::SeqCst);
    rig.rest(RETRY_PAUSE);
    for _ in 0..100 {
        let error = rig.key().await.expect_err("they have expired");
        assert!(error.contains("the endpoint answers 500"), "{error}");
    }
    assert_eq!(rig.asked(), 3, "callers do not hammer a source that is down");
    rig.source.down.store(false, Ordering::SeqCst);
    rig.source.lifetime.store(7_200, Ordering::SeqCst);
    rig.rest(RETRY_PAUSE);
    rig.has("AKID4").await;
}

#[tokio::test]
async fn refused_ones_are_replaced_at_once_and_at_most_twice_a_second() {
    let rig = rig(0);
    let old = rig.cache.credentials().await.expect("loads");
    rig.rest(RETRY_PAUSE);
    Signer::refused(&old);
    rig.has("AKID2").await;
    // Word of the old ones comes late: the new ones have not been refused.
    Signer::refused(&old);
    rig.rest(RETRY_PAUSE);
    rig.has("AKID2").await;
    Signer::refused(&rig.cache.credentials().await.expect("are there"));
    rig.has("AKID3").await;
    Signer::refused(&rig.cache.credentials().await.expect("are there"));
    rig.has("AKID3").await;
    assert_eq!(rig.asked(), 3, "not asked again so soon");
}

#[tokio::test]
async fn a_source_that_hangs_is_given_up() {
    let rig = rig(0);
    let old = rig.cache.credentials().await.expect("loads");
    rig.source.hangs.store(true, Ordering::SeqCst);
    rig.rest(RETRY_PAUSE);
    Signer::refused(&old);
    let began = rig.cache.clock.now();
    // Whether the old ones are good is for the service to say.
    rig.has("AKID1").await;
    let took = rig.cache.clock.now() - began;
    assert!((LOAD_TIMEOUT..LOAD_TIMEOUT + Duration::from_secs(1)).contains(&took), "{took:?}");
}
