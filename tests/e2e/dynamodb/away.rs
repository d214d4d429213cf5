//! DynamoDB is away: keys in use go on working for the stale grace, others are told to come back, and nothing that was
//! said meanwhile is held against anybody afterwards.

use std::time::{Duration, Instant};

use headgate::config::Settings;
use headgate::registry::{NewApplication, Registry, RegistryError};
use headgate_tests::fault_proxy::{Fault, FaultProxy};
use headgate_tests::ministack::MiniStack;
use headgate_tests::poll;
use tonic::Code;

use super::{foreign_application, foreign_key, gateway, hash, publish, registry_with};
use crate::PATIENCE;

const AWAY: [Fault; 4] = [Fault::Refuse, Fault::Hang, Fault::ServerError, Fault::ResetMidAnswer];
const GRACE: Duration = Duration::from_secs(8);
const GRACE_SETTING: &str = "admission.key_stale_grace=8s";

#[tokio::test(flavor = "multi_thread")]
async fn while_dynamodb_is_away_known_keys_work_and_unknown_ones_are_unavailable_and_never_denied() {
    let (emulator, client) = MiniStack::with_tables().await;
    let proxy = FaultProxy::start(emulator.address()).await;
    let data = tempfile::tempdir().expect("a folder");
    let application = foreign_application(&client, "Skyfall").await;
    let settings = ["admission.key_refresh=500ms", "admission.unknown_key_ttl=1h", GRACE_SETTING];
    let gateway = gateway(data.path(), proxy.address(), &settings).await;
    let (_, known) = foreign_key(&client, application).await;
    let known = gateway.target(&known);
    for fault in AWAY {
        let (_, unknown) = foreign_key(&client, application).await;
        let unknown = gateway.target(&unknown);
        publish(&known).await.expect("the key is good");
        let gone = Instant::now();
        proxy.set(fault);
        // For most of the grace; then the registry would have to be back.
        let mut asked = 0;
        while gone.elapsed() < GRACE * 3 / 4 {
            publish(&known).await.unwrap_or_else(|code| panic!("{fault:?}: a known key is refused: {code:?}"));
            assert_eq!(publish(&unknown).await, Err(Code::Unavailable), "{fault:?}");
            asked += 1;
        }
        assert!(asked > 0);
        proxy.set(Fault::None);
        let back = Instant::now();
        // `unknown_key_ttl` is an hour: had the failure been taken for a denial, it would be one for that long.
        let works = async || match publish(&unknown).await {
            Ok(()) => Some(()),
            Err(Code::Unavailable) => None,
            Err(code) => panic!("{fault:?}: a good key is denied: {code:?}"),
        };
        poll::until("the unknown key works", PATIENCE, works).await;
        println!("{fault:?}: {asked} times asked, works {:?} after DynamoDB is back", back.elapsed());
        publish(&known).await.expect("the key is good");
    }

    // Past the grace nobody can say any more whether the key is good.
    proxy.set(Fault::Refuse);
    let ended = async || publish(&known).await.err();
    assert_eq!(poll::until("the grace ends", PATIENCE, ended).await, Code::Unavailable);
    proxy.set(Fault::None);
    poll::until("the known key works again", PATIENCE, async || publish(&known).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_fails_in_bounded_time_and_says_that_nothing_is_known() {
    let (emulator, client) = MiniStack::with_tables().await;
    let proxy = FaultProxy::start(emulator.address()).await;
    let application = foreign_application(&client, "Skyfall").await;
    let (id, key) = foreign_key(&client, application).await;
    let mut settings = Settings::default();
    settings.registry.dynamodb.attempt_timeout = Duration::from_millis(100);
    settings.registry.dynamodb.operation_timeout = Duration::from_millis(400);
    let registry = registry_with(proxy.address(), &settings).await;
    assert!(registry.find_key(&hash(&key), &key).await.expect("looks up").is_some());
    for fault in AWAY {
        proxy.set(fault);
        let began = Instant::now();
        let new = NewApplication { name: "another".to_owned(), ..NewApplication::default() };
        let errors = [
            registry.keys_by_hash(&[hash(&key)]).await.map(|_| ()),
            registry.find_key(&hash(&key), &key).await.map(|_| ()),
            registry.find_key(&hash("stranger"), "stranger").await.map(|_| ()),
            registry.list_applications().await.map(|_| ()),
            registry.create_application(new).await.map(|_| ()),
            registry.set_enabled(id, false).await.map(|_| ()),
            registry.delete_application(application).await.map(|_| ()),
            registry.clear_keys().await.map(|_| ()),
        ];
        let elapsed = began.elapsed();
        for error in &errors {
            assert!(matches!(error, Err(RegistryError::Unavailable(_))), "{fault:?}: {error:?}");
            let said = error.as_ref().expect_err("fails").to_string();
            assert!(said.contains("DynamoDB") && !said.contains(&key), "{said}");
        }
        // A busy machine may be late, and is not as late as a call without a timeout would be.
        assert!(elapsed < settings.registry.dynamodb.operation_timeout * 8 * 4, "{fault:?}: {elapsed:?}");
        println!("{fault:?}: {elapsed:?} for {} calls", errors.len());
        proxy.set(Fault::None);
        poll::until("it is back", PATIENCE, async || {
            registry.keys_by_hash(&[hash(&key)]).await.ok()?.remove(0).expect("a good row")
        })
        .await;
    }
}
