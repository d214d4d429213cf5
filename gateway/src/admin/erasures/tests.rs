use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::admin::Via;
use crate::config::{GatherSettings, LakeSettings};
use crate::delivery::lake::{ApplicationNames, Lake, LakeParts, OsFiles};
use crate::delivery::{Destination, rejects::Rejects};
use crate::gather::InFlight;
use crate::gather::testing::bucket;
use crate::gather::{BucketSink, Outcome};
use crate::metrics::Metrics;
use crate::registry::{AuditQuery, IdentityField, NewApplication, SqliteRegistry};

const PLAYER: &str = "5f0c6c1e-player-of-some-length";

struct Names;

impl ApplicationNames for Names {
    fn name(&self, _: &str) -> Option<String> {
        None
    }
}

/// A data folder with a registry and, while it is open, a lake.
struct House {
    folder: TempDir,
    admin: Arc<Admin>,
    metrics: Arc<Metrics>,
    actor: Actor,
    application: Uuid,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("registry.sqlite");
        let registry = Arc::new(SqliteRegistry::open(&path, Clock::system()).expect("opens"));
        let admin = Admin::new(registry.clone(), registry, Clock::system());
        let actor = Actor { name: "somebody".to_owned(), via: Via::Grpc };
        let new = NewApplication { name: "skyfall".to_owned(), ..NewApplication::default() };
        let application = admin.create_application(&actor, new).await.expect("creates").application_id;
        Self { folder, admin, metrics: Metrics::new(), actor, application }
    }

    fn lake_parts(&self) -> LakeParts {
        LakeParts {
            files: Arc::new(OsFiles),
            names: Arc::new(Names),
            metrics: Arc::clone(&self.metrics),
            clock: Clock::system(),
        }
    }

    fn lake(&self) -> Arc<Lake> {
        let settings = (LakeSettings::default(), GatherSettings::default());
        Arc::new(Lake::open(self.folder.path(), &settings.0, &settings.1, self.lake_parts()).expect("opens"))
    }

    fn erasures(&self, lake: Option<&Arc<Lake>>, grace: Duration, streamed: &[&str]) -> Arc<Erasures> {
        let places = Places {
            data_dir: self.folder.path().to_owned(),
            lake_settings: LakeSettings::default(),
            lake_parts: self.lake_parts(),
            lake: lake.cloned(),
            rejects: None::<Arc<Rejects>>,
            streamed: streamed.iter().map(|place| (*place).to_owned()).collect(),
        };
        let (admin, linger, clock) = (Arc::clone(&self.admin), Duration::ZERO, Clock::system());
        let parts = Parts { admin, places, grace, linger, running: None, clock };
        Erasures::open(parts).expect("opens")
    }

    fn store(&self, lake: &Lake, data: &[&str]) {
        let application = self.application;
        let lines = data.iter().enumerate().map(|(id, data)| {
            format!(
                r#"{{"event":{{"event_id":"{id}","event_type":"t","event_name":"n","event_timestamp":1700000000,"event_data":{data}}},"aws_ga_api_validated_flag":true,"aws_ga_api_requestId":"r","aws_ga_api_requestTimeEpoch":1700000000123,"application_id":"{application}"}}"#
            ) + "\n"
        });
        let payload = lines.collect::<String>().into_bytes();
        let deadline = Clock::system().now() + Duration::from_secs(15);
        let events = u32::try_from(data.len()).expect("a few");
        let (bucket, verdict) = bucket(&InFlight::new(), payload, events, deadline);
        lake.submit(bucket);
        assert_eq!(verdict.wait(), Outcome::Stored);
    }

    fn kept(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join("erasures")).expect("lists");
        files.map(|file| fs::read_to_string(file.expect("reads").path()).expect("reads")).collect()
    }

    /// The newest lines first: what was done, to what, and the detail.
    async fn log(&self) -> Vec<(String, Option<String>, String)> {
        let query = AuditQuery { limit: 100, ..AuditQuery::default() };
        let entries = self.admin.audit(&query).await.expect("lists");
        entries.into_iter().map(|entry| (entry.act, entry.subject, entry.detail)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_to_be_forgotten_is_suppressed_first_and_named_nowhere_afterwards() {
    let house = House::new().await;
    let lake = house.lake();
    let (whole, escaped) = (format!(r#"{{"player_id":"{PLAYER}"}}"#), PLAYER.replace("player", r"pl\u0061yer"));
    let escaped = format!(r#"{{"player_id":"{escaped}"}}"#);
    let friend = format!(r#"{{"player_id":"bob","friend":"{PLAYER}"}}"#);
    house.store(&lake, &[&whole, &escaped, &friend, "{}"]);
    let erasures = house.erasures(Some(&lake), Duration::ZERO, &[]);
    let asked = erasures.ask(&house.actor, house.application, PLAYER).await.expect("is taken");
    assert_eq!((asked.state, asked.player_id.as_str()), (State::Queued, PLAYER));
    assert_eq!(house.admin.suppressions(Some(house.application)).await.expect("lists")[0].player_id, PLAYER);
    assert!(house.kept()[0].contains(PLAYER), "a restart has to know");
    for entry in fs::read_dir(house.folder.path().join("erasures")).expect("lists") {
        let mode = entry.expect("reads").metadata().expect("is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "its owner only");
    }

    erasures.run_out(&CancellationToken::new()).await;
    let over = erasures.get(asked.id).expect("is there");
    assert_eq!((over.state, over.report.rows_removed, over.report.files_rewritten), (State::Done, 2, 1));
    assert!(over.started_at_ms <= over.finished_at_ms && over.finished_at_ms.is_some());
    assert_eq!(erasures.list(Some(house.application)), std::slice::from_ref(&over));
    assert_eq!(erasures.list(Some(Uuid::nil())), []);
    assert!(!house.kept()[0].contains(PLAYER), "{}", house.kept()[0]);
    let log = house.log().await;
    let acts: Vec<&str> = log.iter().map(|(act, ..)| act.as_str()).collect();
    assert_eq!(acts[..3], ["player.deleted", "player.delete", "player.suppress"]);
    assert!(log[0].2.contains("2 rows") && log[0].1.as_deref() == Some("****ngth"), "{:?}", log[0]);
    assert!(!format!("{log:?}").contains(PLAYER));
    lake.close().await;

    // The next start knows it, too.
    let erasures = house.erasures(None, Duration::ZERO, &[]);
    assert_eq!(erasures.list(None), std::slice::from_ref(&over));
    assert_eq!(Erasures::on_disk(house.folder.path()).expect("reads"), [over]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_is_deleted_under_every_hash_by_the_id_and_under_one_by_a_hash() {
    let house = House::new().await;
    let lake = house.lake();
    let (admin, actor, id) = (&house.admin, &house.actor, house.application);
    admin.hash_fields(actor, id, &[IdentityField::PlayerId]).await.expect("turns on");
    admin.rotate_identity(actor, id, false).await.expect("rotates");
    let hers = admin.stored_ids(actor, id, PLAYER).await.expect("tells");
    let his = admin.stored_ids(actor, id, "bob").await.expect("tells");
    assert_eq!((hers.len(), his.len()), (3, 3));
    let of = |player: &String| format!(r#"{{"player_id":"{player}"}}"#);
    let data: Vec<String> = hers.iter().chain(&his).map(of).collect();
    house.store(&lake, &data.iter().map(String::as_str).collect::<Vec<_>>());
    let erasures = house.erasures(Some(&lake), Duration::ZERO, &[]);
    let by_id = erasures.ask(actor, id, PLAYER).await.expect("asks");
    let by_hash = erasures.ask(actor, id, &his[1]).await.expect("asks");
    erasures.run_out(&CancellationToken::new()).await;
    let removed = |job: &Erasure| erasures.get(job.id).expect("is kept").report.rows_removed;
    assert_eq!((removed(&by_id), removed(&by_hash)), (3, 1), "a hash stands for itself alone");
}

/// Between the asking and the work somebody forgets the secrets, or removes the application.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_asked_for_finds_hashes_whose_secrets_are_gone_by_the_time_it_runs() {
    for removed in [false, true] {
        let house = House::new().await;
        let lake = house.lake();
        let (admin, actor, id) = (&house.admin, &house.actor, house.application);
        admin.hash_fields(actor, id, &[IdentityField::PlayerId]).await.expect("turns on");
        let hers = admin.stored_ids(actor, id, PLAYER).await.expect("tells");
        house.store(&lake, &[&format!(r#"{{"player_id":"{}"}}"#, hers[1]), r#"{"player_id":"bob"}"#]);
        let erasures = house.erasures(Some(&lake), Duration::ZERO, &[]);
        let asked = erasures.ask(actor, id, PLAYER).await.expect("is taken");
        assert!(house.kept()[0].contains(&hers[1]), "a restart has to know");
        if removed {
            assert!(admin.delete_application(actor, id).await.expect("deletes"));
        } else {
            admin.rotate_identity(actor, id, true).await.expect("forgets");
        }
        drop(erasures);

        // The next start, too.
        let erasures = house.erasures(Some(&lake), Duration::ZERO, &[]);
        erasures.run_out(&CancellationToken::new()).await;
        let over = erasures.get(asked.id).expect("is there");
        assert_eq!((over.state, over.report.rows_removed), (State::Done, 1), "removed: {removed}");
        let kept = house.kept();
        assert!(!kept[0].contains(PLAYER) && !kept[0].contains(&hers[1]), "{kept:?}");
        lake.close().await;
    }
}

/// The process is killed after the job was taken, and half of it was done; the next start does the rest, and counts all.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_takes_up_what_was_not_done_in_the_order_in_which_it_was_asked_for() {
    let house = House::new().await;
    let lake = house.lake();
    house.store(&lake, &[r#"{"player_id":"1"}"#, r#"{"player_id":1}"#, r#"{"player_id":"2"}"#]);
    let erasures = house.erasures(Some(&lake), Duration::from_secs(3_600), &[]);
    let stop = CancellationToken::new();
    let mut asked = Vec::new();
    for player in ["1", "2"] {
        asked.push(erasures.ask(&house.actor, house.application, player).await.expect("is taken").id);
    }
    let running = erasures.run(stop.clone());
    let stopped = async {
        while erasures.get(asked[0]).expect("is there").state != State::Waiting {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(running, stopped);
    assert_eq!(erasures.get(asked[1]).expect("is there").state, State::Queued);
    lake.close().await;
    drop((erasures, lake));
    fs::write(house.folder.path().join("erasures/x.json.0.tmp"), "1").expect("writes");

    let lake = house.lake();
    let erasures = house.erasures(Some(&lake), Duration::ZERO, &[]);
    assert_eq!(house.kept().len(), 2, "what was half written is gone");
    erasures.run_out(&CancellationToken::new()).await;
    let rows: Vec<u64> = asked.iter().map(|id| erasures.get(*id).expect("is there").report.rows_removed).collect();
    assert_eq!(rows, [2, 1], "a number is a player, too");
    lake.close().await;
}

#[tokio::test]
async fn what_went_elsewhere_or_waits_to_go_there_is_never_claimed_to_be_deleted() {
    let house = House::new().await;
    let spill = house.folder.path().join("spill/kinesis");
    fs::create_dir_all(&spill).expect("makes folders");
    fs::write(spill.join("000000000001.spill"), b"events").expect("writes");
    let erasures = house.erasures(None, Duration::ZERO, &["the Kinesis stream x: delete it there"]);
    let asked = erasures.ask(&house.actor, house.application, "p").await.expect("is taken");
    erasures.run_out(&CancellationToken::new()).await;
    let over = erasures.get(asked.id).expect("is there");
    assert_eq!(over.state, State::Incomplete);
    assert_eq!(house.metrics.counter(Counter::PlayerDeletions, &["incomplete"]).get(), 1);
    assert_eq!(over.report.elsewhere, ["the Kinesis stream x: delete it there"]);
    let [error] = over.report.errors.as_slice() else { panic!("{over:?}") };
    assert_eq!(error.what, "spill/kinesis");
    assert!(!house.folder.path().join("lake").exists(), "no lake is made to be looked at");
}

#[tokio::test]
async fn what_can_not_be_asked_for_leaves_nothing_behind() {
    let house = House::new().await;
    let erasures = house.erasures(None, Duration::ZERO, &[]);
    assert!(erasures.ask(&house.actor, house.application, "").await.is_err(), "no such player");
    assert!(erasures.get(Uuid::nil()).is_err());
    assert_eq!(erasures.list(None), []);
    assert!(!house.folder.path().join("erasures").exists());
}

#[tokio::test]
async fn who_asks_twice_gets_one_job_and_an_application_that_is_gone_can_still_forget() {
    let house = House::new().await;
    let erasures = house.erasures(None, Duration::ZERO, &[]);
    let first = erasures.ask(&house.actor, house.application, PLAYER).await.expect("is taken");
    assert_eq!(erasures.ask(&house.actor, house.application, PLAYER).await.expect("is taken").id, first.id);
    assert!(house.admin.delete_application(&house.actor, house.application).await.expect("deletes"));
    let another = erasures.ask(&house.actor, house.application, "another").await.expect("what it left can be deleted");
    erasures.run_out(&CancellationToken::new()).await;
    assert_eq!(erasures.get(first.id).expect("is there").state, State::Done);
    // Whether its ids were hashed nobody can tell any more.
    let another = erasures.get(another.id).expect("is there");
    assert_eq!(another.state, State::Incomplete);
    assert!(another.report.elsewhere[0].contains("by the hash"), "{another:?}");
    let again = erasures.ask(&house.actor, house.application, PLAYER).await.expect("is taken");
    assert_ne!(again.id, first.id, "that one is over");
}

/// A gateway whose registry is away for a moment.
#[derive(Default)]
struct Slow(Mutex<Vec<&'static str>>);

#[async_trait]
impl Running for Slow {
    async fn heed(&self) -> Result<(), RegistryError> {
        let mut heard = self.0.lock().expect("unpoisoned");
        heard.push("heed");
        if heard.len() < 3 { Err(RegistryError::Unavailable("away".into())) } else { Ok(()) }
    }

    fn forget_tail(&self, _: Uuid) {
        self.0.lock().expect("unpoisoned").push("forget");
    }
}

#[tokio::test]
async fn nothing_is_deleted_before_this_gateway_heeds_the_suppression() {
    let house = House::new().await;
    let places = Places {
        data_dir: house.folder.path().to_owned(),
        lake_settings: LakeSettings::default(),
        lake_parts: house.lake_parts(),
        lake: None,
        rejects: None,
        streamed: Vec::new(),
    };
    let slow = Arc::new(Slow::default());
    let (admin, clock, none) = (Arc::clone(&house.admin), Clock::system(), Duration::ZERO);
    let running = Some(Arc::clone(&slow) as Arc<dyn Running>);
    let erasures = Erasures::open(Parts { admin, places, grace: none, linger: none, running, clock }).expect("opens");
    erasures.ask(&house.actor, house.application, PLAYER).await.expect("is taken");
    erasures.run_out(&CancellationToken::new()).await;
    assert_eq!(*slow.0.lock().expect("unpoisoned"), ["heed", "heed", "heed", "forget"]);
}

#[test]
fn a_gateway_knows_what_it_streams() {
    let mut settings = crate::config::Settings::default();
    assert_eq!(streamed(&settings), Vec::<String>::new());
    settings.kinesis.stream = "events".to_owned();
    settings.firehose.delivery_stream = "lake".to_owned();
    settings.delivery.bad_rows = crate::config::BadRowsKind::Firehose;
    let elsewhere = streamed(&settings);
    assert_eq!(elsewhere.len(), 3);
    assert!(elsewhere.iter().all(|place| place.contains("S3 lake")), "{elsewhere:?}");
}
