//! What a look-up costs, and when there is one.

use super::*;

#[tokio::test]
async fn a_thousand_first_calls_cost_one_look_up() {
    let rig = Rig::new(&calm());
    let (key, id) = rig.key().await;
    rig.faulty.set(Fault::WaitsAtGate);
    let mut askers: Vec<_> = (0..1_000).map(|_| Box::pin(rig.ask(&key))).collect();
    for asker in &mut askers {
        assert!(futures_util::poll!(asker.as_mut()).is_pending(), "all of them wait for the one look-up");
    }
    rig.faulty.gate.add_permits(1_000);
    for asker in askers {
        assert_eq!(within_seconds(asker).await.expect("let in").api_key_id(), id);
    }
    assert_eq!(rig.faulty.calls(), 1);
    assert_eq!(rig.counted(Counter::KeyLookups, &["found"]), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_calls_on_many_threads_cost_one_look_up_of_each_key() {
    let rig = Rig::new(&calm());
    let (known, _) = rig.key().await;
    let unknown = ApiKey::generate().expect("random numbers");
    let mut askers = JoinSet::new();
    for number in 0..2_000 {
        let cache = Arc::clone(&rig.cache);
        let key = if number % 2 == 0 { known.clone() } else { unknown.clone() };
        askers.spawn(async move { (number, cache.authenticate(key.expose()).await) });
    }
    while let Some(asked) = within_seconds(askers.join_next()).await {
        match asked.expect("does not panic") {
            (number, Ok(_)) => assert_eq!(number % 2, 0),
            (number, Err(refusal)) => assert_eq!((number % 2, refusal), (1, Refusal::KeyUnknown)),
        }
    }
    assert_eq!(rig.faulty.calls(), 2);
}

// An asker may miss in the cache and find the look-up of others just ended.
#[tokio::test]
async fn whoever_comes_as_a_look_up_ends_starts_no_other() {
    let rig = Rig::new(&calm());
    let (known, _) = rig.key().await;
    let unknown = ApiKey::generate().expect("random numbers");
    rig.ask(&known).await.expect("let in");
    assert_eq!(rig.refused(&unknown).await, Refusal::KeyUnknown);
    assert!(matches!(rig.cache.find(known.hash(), known.expose()).await, Found::Key(_)));
    assert!(matches!(rig.cache.find(unknown.hash(), unknown.expose()).await, Found::NoKey));
    assert_eq!(rig.faulty.calls(), 2);
}

#[tokio::test]
async fn what_can_not_be_a_key_is_refused_without_a_look_up() {
    let rig = Rig::new(&calm());
    let ask = |text: &'static str| rig.cache.authenticate(text);
    assert_eq!(ask("").await.expect_err("refused"), Refusal::KeyMissing);
    for text in ["hg_mistyped", "two words", "schlüssel"] {
        assert_eq!(ask(text).await.expect_err("refused"), Refusal::KeyMalformed);
    }
    assert_eq!(rig.faulty.calls(), 0);
    assert!(rig.cache.is_empty());
}

#[tokio::test]
async fn a_key_of_another_system_lets_in_once_it_is_registered() {
    let rig = Rig::new(&calm());
    let key = ApiKey::parse("zKf8+/=Wq9~!").expect("a key");
    let id = rig.register(&key, rig.application().await, None).await;
    assert_eq!(rig.ask(&key).await.expect("let in").api_key_id(), id);
}

#[tokio::test]
async fn a_new_key_works_at_once_unless_it_was_asked_for_too_early() {
    let rig = Rig::new(&AdmissionSettings { unknown_key_ttl: Duration::from_millis(200), ..calm() });
    let application = rig.application().await;
    let (new, _) = rig.key_in(application, None).await;
    rig.ask(&new).await.expect("let in");

    let early = ApiKey::generate().expect("random numbers");
    assert_eq!(rig.refused(&early).await, Refusal::KeyUnknown);
    rig.register(&early, application, None).await;
    let calls = rig.faulty.calls();
    within_seconds(async {
        while let Err(refusal) = rig.ask(&early).await {
            assert_eq!(refusal, Refusal::KeyUnknown);
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(rig.faulty.calls(), calls + 1, "while it was remembered as unknown it was not looked up");
}

#[tokio::test]
async fn a_refresh_looks_up_every_key_in_calls_of_bounded_size() {
    let rig = Rig::new(&calm());
    let application = rig.application().await;
    let mut grants = Vec::new();
    for _ in 0..250 {
        let (key, _) = rig.key_in(application, None).await;
        grants.push(rig.ask(&key).await.expect("let in"));
    }
    let calls = rig.faulty.calls();
    rig.command_line.delete_application(application).await.expect("deletes");
    rig.cache.refresh().await;
    assert_eq!(rig.faulty.calls() - calls, 3);
    assert_eq!(rig.faulty.largest_call.load(Ordering::Relaxed), BATCH);
    assert!(grants.iter().all(Grant::is_revoked));
}

#[tokio::test]
async fn changed_limits_reach_what_is_open() {
    let rig = Rig::new(&calm());
    let application = rig.application().await;
    let (key, _) = rig.key_in(application, None).await;
    let grant = rig.ask(&key).await.expect("let in");
    assert!(grant.app().charge(11, 1).is_ok());
    let change = NewApplication {
        name: "skyfall".to_owned(),
        description: None,
        limits: Limits { events_burst: Some(10), ..Limits::default() },
        route: None,
        environment: crate::registry::Environment::Prod,
    };
    rig.command_line.update_application(application, change).await.expect("updates");
    rig.cache.refresh().await;
    assert!(matches!(grant.app().charge(11, 1), Err(Refusal::OverBurst { burst: 10, .. })));
}
