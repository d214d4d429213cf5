//! Several calls, threads and processes on one file.

use std::process::{Child, Command, Stdio};

use rusqlite::Connection;

use super::*;

const CHILD_FILE: &str = "HEADGATE_TEST_REGISTRY_FILE";
const CHILD_KEY: &str = "HEADGATE_TEST_REGISTRY_KEY";

#[tokio::test]
async fn look_ups_do_not_wait_for_whoever_writes() {
    let folder = Folder::new();
    let registry = folder.open();
    with_key(&registry, "key-1").await;
    let writer = Connection::open(folder.file()).expect("opens");
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE authorizations SET enabled = 0").expect("writes");
    for _ in 0..8 {
        let record = look_up(&registry, "key-1").await.expect("looks up").expect("is there");
        assert!(record.authorization.enabled, "what is not committed is not seen");
    }
    writer.execute_batch("COMMIT").expect("commits");
    assert!(!look_up(&registry, "key-1").await.expect("looks up").expect("is there").authorization.enabled);
}

#[tokio::test]
async fn a_thousand_calls_at_once_are_all_answered() {
    let folder = Folder::new();
    let registry = folder.open();
    with_key(&registry, "key-1").await;
    let calls = (0..1_000).map(|_| look_up(&registry, "key-1"));
    for answer in futures_util::future::join_all(calls).await {
        assert!(answer.expect("looks up").is_some());
    }
}

#[tokio::test]
async fn what_another_process_writes_is_seen_by_the_next_call() {
    let folder = Folder::new();
    let registry = folder.open();
    assert_eq!(look_up(&registry, "key-of-a-child").await.expect("looks up"), None);
    assert_ended_well(start_child(&folder, "key-of-a-child"));
    let record = look_up(&registry, "key-of-a-child").await.expect("looks up").expect("is there");
    assert_eq!(record.application.name, "key-of-a-child");
}

#[tokio::test]
async fn many_processes_may_make_and_open_one_registry_at_once() {
    for _ in 0..3 {
        let folder = Folder::new();
        let children: Vec<Child> = (0..8).map(|number| start_child(&folder, &format!("key-{number}"))).collect();
        children.into_iter().for_each(assert_ended_well);
        let registry = folder.open();
        assert_eq!(registry.list_applications().await.expect("lists").len(), 8);
        for number in 0..8 {
            assert!(look_up(&registry, &format!("key-{number}")).await.expect("looks up").is_some());
        }
    }
}

#[test]
fn many_threads_may_make_and_open_one_registry_at_once() {
    for _ in 0..20 {
        let folder = Folder::new();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| folder.try_open().map(|_| ()))).collect();
            for thread in threads {
                thread.join().expect("does not panic").expect("opens");
            }
        });
    }
}

#[tokio::test]
#[ignore = "run by other tests, in processes of their own"]
async fn child_registers_a_key() {
    let file = std::env::var(CHILD_FILE).expect("a file to open");
    let key = std::env::var(CHILD_KEY).expect("a key to register");
    let registry = SqliteRegistry::open(Path::new(&file), Clock::system()).expect("opens");
    let application = registry.create_application(application(&key)).await.expect("creates");
    registry.create_authorization(key_of(&application, &key)).await.expect("creates");
}

fn start_child(folder: &Folder, key: &str) -> Child {
    let module = module_path!().split_once("::").expect("a module of a crate").1;
    Command::new(std::env::current_exe().expect("this test's program"))
        .args(["--exact", &format!("{module}::child_registers_a_key"), "--include-ignored", "--nocapture"])
        .env(CHILD_FILE, folder.file())
        .env(CHILD_KEY, key)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
}

fn assert_ended_well(child: Child) {
    let output = child.wait_with_output().expect("ends");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    assert!(shown.contains("1 passed"), "{shown}");
}
