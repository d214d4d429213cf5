//! What a key may be used for, and that a change of it reaches what is open.

use super::*;
use crate::registry::Purpose::{Read, SendBatch, SendStream};

async fn rescope(rig: &Rig, key: Uuid, scopes: &str) {
    let scopes = scopes.parse().expect("scopes");
    assert_eq!(rig.command_line.set_scopes(key, scopes).await.expect("changes").scopes, scopes);
}

#[tokio::test]
async fn a_key_is_good_for_what_its_scopes_say() {
    let rig = Rig::new(&calm());
    let (key, id) = rig.key().await;
    let grant = rig.ask(&key).await.expect("let in");
    assert_eq!(grant.scopes(), Scopes::INGEST);
    assert_eq!((grant.check(SendBatch), grant.check(SendStream)), (Ok(()), Ok(())));
    assert_eq!(grant.check(Read), Err(Refusal::ScopeMissing { needed: Read }));

    rig.command_line.set_enabled(id, false).await.expect("disables");
    rig.cache.refresh().await;
    for purpose in [SendBatch, SendStream, Read] {
        assert_eq!(grant.check(purpose), Err(Refusal::KeyDisabled), "a key that is not good is good for nothing");
        within_seconds(grant.ended(purpose)).await;
    }
}

#[tokio::test]
async fn a_scope_that_is_taken_away_ends_what_needs_it_and_nothing_else() {
    let rig = Rig::new(&calm());
    let (key, id) = rig.key().await;
    let grant = rig.ask(&key).await.expect("let in");
    let mut streaming = Box::pin(grant.ended(SendStream));
    let mut sending = Box::pin(grant.ended(SendBatch));
    assert!(futures_util::poll!(streaming.as_mut()).is_pending());
    assert!(futures_util::poll!(sending.as_mut()).is_pending());

    rescope(&rig, id, "ingest-client,read").await;
    rig.cache.refresh().await;
    within_seconds(streaming).await;
    assert_eq!(grant.check(SendStream), Err(Refusal::ScopeMissing { needed: SendStream }));
    assert!(futures_util::poll!(sending.as_mut()).is_pending());
    assert_eq!((grant.check(SendBatch), grant.check(Read)), (Ok(()), Ok(())));
    assert!(!grant.is_revoked(), "the key itself is good");
    assert_eq!(rig.counted(Counter::KeysRevoked, &[]), 0);

    rescope(&rig, id, "ingest-server").await;
    rig.cache.refresh().await;
    assert!(futures_util::poll!(sending.as_mut()).is_pending());
    let again = rig.ask(&key).await.expect("let in");
    assert_eq!((again.check(SendStream), grant.check(SendStream)), (Ok(()), Ok(())));
    assert!(grant.check(Read).is_err());

    rig.command_line.set_enabled(id, false).await.expect("disables");
    rig.cache.refresh().await;
    within_seconds(sending).await;
    assert!(again.is_revoked() && grant.is_revoked(), "what was open all the while is not forgotten");
}
