//! What happens while the registry fails.

use super::*;

#[tokio::test]
async fn a_failure_is_told_from_a_denial_and_not_remembered() {
    let rig = Rig::new(&calm());
    let (key, _) = rig.key().await;
    rig.faulty.set(Fault::Fails);
    assert_eq!(rig.refused(&key).await, Refusal::KeyStoreUnavailable { retry_after: LONG });
    assert_eq!(rig.counted(Counter::KeyLookups, &["failed"]), 1);
    rig.faulty.set(Fault::None);
    rig.ask(&key).await.expect("let in as soon as the registry answers");
}

#[tokio::test]
async fn a_registry_that_hangs_keeps_an_unknown_key_waiting_no_longer_than_the_time_out() {
    let rig = Rig::new(&AdmissionSettings { key_lookup_timeout: Duration::from_millis(20), ..calm() });
    let (key, _) = rig.key().await;
    rig.faulty.set(Fault::Hangs);
    assert!(is_unavailable(&within_seconds(rig.refused(&key)).await));
}

#[tokio::test]
async fn known_keys_go_on_working_while_the_registry_fails_and_unknown_ones_are_told_to_come_back() {
    let rig = Rig::new(&aging());
    let (known, _) = rig.key().await;
    let (not_yet_known, _) = rig.key().await;
    let grant = rig.ask(&known).await.expect("let in");
    rig.faulty.set(Fault::Fails);
    for _ in 0..100 {
        rig.cache.refresh().await;
        rig.ask(&known).await.expect("let in");
        assert!(is_unavailable(&rig.refused(&not_yet_known).await));
    }
    assert!(!grant.is_revoked());
    assert!(rig.counted(Counter::KeyCacheHits, &["stale"]) >= 100);
    rig.faulty.set(Fault::None);
    rig.ask(&not_yet_known).await.expect("let in as soon as the registry answers");
}

#[tokio::test]
async fn a_known_key_does_not_wait_for_a_registry_that_is_known_to_hang() {
    // Also how long the failure is remembered.
    let lookup_timeout = Duration::from_secs(1);
    let rig = Rig::new(&AdmissionSettings {
        key_refresh: Duration::from_millis(1),
        key_lookup_timeout: lookup_timeout,
        ..calm()
    });
    let (key, _) = rig.key().await;
    let _grant = rig.ask(&key).await.expect("let in");
    rig.faulty.set(Fault::Hangs);
    within_seconds(rig.cache.refresh()).await;
    let calls = rig.faulty.calls();
    rig.ask(&key).await.expect("let in");
    assert_eq!(rig.faulty.calls(), calls, "the refresh noted that the registry hangs");
}

#[tokio::test]
async fn after_the_stale_grace_nobody_is_let_in_until_the_registry_answers() {
    let rig = Rig::new(&AdmissionSettings { key_stale_grace: Duration::from_secs(1), ..aging() });
    let (key, _) = rig.key().await;
    let grant = rig.ask(&key).await.expect("let in");
    rig.faulty.set(Fault::Fails);
    let mut let_in = 0;
    let refusal = within_seconds(async {
        loop {
            match rig.ask(&key).await {
                Ok(_) => let_in += 1,
                Err(refusal) => break refusal,
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(let_in > 0, "within the grace the key works");
    assert!(is_unavailable(&refusal), "{refusal}");
    rig.cache.refresh().await;
    within_seconds(grant.revoked()).await;
    assert!(grant.revocation().as_ref().is_some_and(is_unavailable));
    assert_eq!(rig.counted(Counter::KeysRevoked, &[]), 0, "the key was not found to be bad");

    rig.faulty.set(Fault::None);
    assert!(!rig.ask(&key).await.expect("let in again").is_revoked());
}

#[tokio::test]
async fn a_record_of_another_key_lets_nobody_in() {
    let rig = Rig::new(&calm());
    let (key, _) = rig.key().await;
    let stranger = ApiKey::generate().expect("random numbers");
    rig.faulty.set(Fault::AnswersWith(key.hash()));
    assert!(is_unavailable(&rig.refused(&stranger).await));
}
