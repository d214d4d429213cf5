//! How what is open learns that its key is no longer good.

use super::*;

#[tokio::test]
async fn a_disabled_key_ends_what_is_open_and_an_enabled_one_lets_in_again() {
    let rig = Rig::new(&calm());
    let (key, id) = rig.key().await;
    let (other_key, _) = rig.key().await;
    let grant = rig.ask(&key).await.expect("let in");
    let other_grant = rig.ask(&other_key).await.expect("let in");
    rig.cache.refresh().await;
    assert!(!grant.is_revoked());

    rig.command_line.set_enabled(id, false).await.expect("disables");
    let mut revoked = Box::pin(grant.revoked());
    assert!(futures_util::poll!(revoked.as_mut()).is_pending());
    rig.cache.refresh().await;
    within_seconds(revoked).await;
    assert!(grant.is_revoked());
    assert_eq!(grant.revocation(), Some(Refusal::KeyDisabled));
    let calls = rig.faulty.calls();
    assert_eq!(rig.refused(&key).await, Refusal::KeyDisabled);
    assert_eq!(rig.faulty.calls(), calls, "a disabled key is remembered");
    assert!(!other_grant.is_revoked());
    assert_eq!(rig.counted(Counter::KeysRevoked, &[]), 1);

    rig.command_line.set_enabled(id, true).await.expect("enables");
    rig.cache.refresh().await;
    assert!(!rig.ask(&key).await.expect("let in again").is_revoked());
    assert!(grant.is_revoked(), "what was ended stays ended");
}

#[tokio::test]
async fn a_change_is_seen_without_a_refresh_once_the_last_answer_is_old() {
    let rig = Rig::new(&aging());
    let (key, id) = rig.key().await;
    let grant = rig.ask(&key).await.expect("let in");
    rig.command_line.set_enabled(id, false).await.expect("disables");
    assert_eq!(rig.refused(&key).await, Refusal::KeyDisabled);
    within_seconds(grant.revoked()).await;
}

#[tokio::test]
async fn a_deleted_key_and_a_deleted_application_end_what_is_open() {
    let rig = Rig::new(&calm());
    let application = rig.application().await;
    let (first, first_id) = rig.key_in(application, None).await;
    let (second, _) = rig.key_in(application, None).await;
    let first_grant = rig.ask(&first).await.expect("let in");
    let second_grant = rig.ask(&second).await.expect("let in");

    rig.command_line.delete_authorization(first_id).await.expect("deletes");
    rig.cache.refresh().await;
    within_seconds(first_grant.revoked()).await;
    assert_eq!(first_grant.revocation(), Some(Refusal::KeyUnknown));
    assert_eq!(rig.refused(&first).await, Refusal::KeyUnknown);
    assert!(!second_grant.is_revoked());

    rig.command_line.delete_application(application).await.expect("deletes");
    rig.cache.refresh().await;
    within_seconds(second_grant.revoked()).await;
    assert_eq!(rig.refused(&second).await, Refusal::KeyUnknown);
}

#[tokio::test]
async fn a_key_that_moved_to_another_application_ends_what_is_open_under_the_first() {
    let rig = Rig::new(&calm());
    let (key, id) = rig.key().await;
    let grant = rig.ask(&key).await.expect("let in");
    let other = rig.application().await;
    rig.command_line.delete_authorization(id).await.expect("deletes");
    rig.register(&key, other, None).await;
    rig.cache.refresh().await;
    within_seconds(grant.revoked()).await;
    assert_eq!(rig.ask(&key).await.expect("let in").app().id(), other);
}

#[tokio::test]
async fn a_key_expires_by_the_wall_clock_even_while_the_registry_fails() {
    let rig = Rig::new(&calm());
    let application = rig.application().await;
    let in_an_hour = Clock::system().wall_ms() + 3_600_000;
    let (asked_again, _) = rig.key_in(application, Some(in_an_hour)).await;
    let (held_open, _) = rig.key_in(application, Some(in_an_hour)).await;
    let first_grant = rig.ask(&asked_again).await.expect("let in");
    let second_grant = rig.ask(&held_open).await.expect("let in");
    rig.faulty.set(Fault::Fails);
    rig.cache.refresh().await;
    assert!(!first_grant.is_revoked() && !second_grant.is_revoked());

    rig.wall_offset.store(3_600_001, Ordering::Relaxed);
    assert_eq!(rig.refused(&asked_again).await, Refusal::KeyExpired);
    within_seconds(first_grant.revoked()).await;
    rig.cache.refresh().await;
    within_seconds(second_grant.revoked()).await;
    assert_eq!(second_grant.revocation(), Some(Refusal::KeyExpired));
    assert_eq!(rig.counted(Counter::KeysRevoked, &[]), 2);

    // A clock that jumped and was set right must not lock anybody out.
    rig.wall_offset.store(0, Ordering::Relaxed);
    rig.faulty.set(Fault::None);
    rig.cache.refresh().await;
    rig.ask(&asked_again).await.expect("let in again");
}

#[tokio::test]
async fn a_key_that_was_dropped_from_the_cache_is_still_looked_up_while_somebody_holds_a_grant() {
    let rig = Rig::new(&AdmissionSettings { key_cache_entries: 1, ..calm() });
    let (key, id) = rig.key().await;
    let grant = rig.ask(&key).await.expect("let in");
    for _ in 0..10 {
        let (other, _) = rig.key().await;
        rig.ask(&other).await.expect("let in");
    }
    rig.cache.refresh().await;
    assert!(rig.cache.known.get(&key.hash()).await.is_none(), "others took its place");

    let calls = rig.faulty.calls();
    let again = rig.ask(&key).await.expect("let in");
    assert_eq!(rig.faulty.calls(), calls, "what keeps a grant alive need not be looked up anew");
    rig.cache.known.forget(&key.hash()).await;

    rig.command_line.set_enabled(id, false).await.expect("disables");
    rig.cache.refresh().await;
    within_seconds(grant.revoked()).await;
    within_seconds(again.revoked()).await;
}

#[tokio::test]
async fn an_older_answer_does_not_undo_a_newer_one() {
    let rig = Rig::new(&calm());
    let (key, id) = rig.key().await;
    let asked_early = rig.cache.clock.now();
    let early = rig.command_line.keys_by_hash(&[key.hash()]).await.expect("looks up").remove(0).expect("a good row");
    let grant = rig.ask(&key).await.expect("let in");
    rig.command_line.set_enabled(id, false).await.expect("disables");
    rig.cache.refresh().await;
    let entry = rig.cache.known.find(&key.hash()).expect("known");
    rig.cache.take_in(&entry, early.as_ref(), asked_early).await;
    assert_eq!(rig.refused(&key).await, Refusal::KeyDisabled);
    assert!(grant.is_revoked());
}
