//! What is remembered, and that it is bounded.

use super::*;

#[tokio::test]
async fn idle_keys_leave_the_cache_unless_somebody_holds_a_grant_or_the_registry_fails() {
    let rig = Rig::new(&AdmissionSettings { key_idle: Duration::ZERO, ..calm() });
    let (idle, _) = rig.key().await;
    let (held, _) = rig.key().await;
    let grant = rig.ask(&held).await.expect("let in");
    drop(rig.ask(&idle).await.expect("let in"));

    rig.faulty.set(Fault::Fails);
    rig.cache.refresh().await;
    assert_eq!(rig.cache.known.entries().len(), 2, "who is known stays known while the registry can't be asked");
    rig.faulty.set(Fault::None);
    rig.cache.refresh().await;
    assert_eq!(rig.cache.len(), 1);
    assert!(rig.cache.known.get(&idle.hash()).await.is_none());
    assert!(rig.cache.known.get(&held.hash()).await.is_some());
    drop(grant);
    rig.cache.refresh().await;
    assert_eq!(rig.cache.len(), 0);
    // moka frees what it dropped once no thread can be reading it any more.
    within_seconds(async {
        while !rig.cache.known.entries().is_empty() {
            rig.cache.refresh().await;
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(rig.metrics.gauge(Gauge::KeysCached, &[]).get(), 0);
}

#[tokio::test]
async fn a_key_in_use_is_not_idle() {
    let rig = Rig::new(&calm());
    let (key, _) = rig.key().await;
    drop(rig.ask(&key).await.expect("let in"));
    for _ in 0..10 {
        rig.cache.refresh().await;
    }
    assert_eq!(rig.cache.len(), 1);
}

#[tokio::test]
async fn unknown_keys_without_number_leave_memory_flat() {
    let entries = 1_000;
    let rig = Rig::new(&AdmissionSettings { unknown_key_entries: entries, ..calm() });
    rig.faulty.set(Fault::KnowsNone);
    // The cache counts with the lag of its own queue of changes.
    let bound = usize::try_from(entries).expect("fits") + 2_048;
    for number in 0..200_000 {
        let refusal = rig.cache.authenticate(&format!("no-key-{number}")).await.expect_err("refused");
        assert_eq!(refusal, Refusal::KeyUnknown);
        assert!(rig.cache.len() <= bound, "{} entries after {number} keys", rig.cache.len());
    }
    rig.cache.refresh().await;
    assert_eq!(rig.cache.len(), 1_000);
    assert_eq!(rig.cache.flights.len(), 0);
    assert!(rig.cache.known.entries().is_empty());
    let calls = rig.faulty.calls();
    let latest = rig.cache.authenticate("no-key-199999").await.expect_err("refused");
    assert_eq!((latest, rig.faulty.calls()), (Refusal::KeyUnknown, calls), "the latest are the ones remembered");
}
