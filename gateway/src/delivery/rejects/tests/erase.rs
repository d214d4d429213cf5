//! Whose bad rows go, and that no other ever does.

use std::io::Write;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::delivery::erase::{EraseReport, Subject};

const ALICE: &str = "alice";

fn subject() -> Subject {
    let is_alice =
        |data: &[u8]| serde_json::from_slice::<serde_json::Value>(data).is_ok_and(|data| data["player_id"] == ALICE);
    Subject::new(Uuid::from_u128(1), Uuid::from_u128(7), &[ALICE], is_alice)
}

fn of(index: u32, data: &str) -> BadRow {
    row(index, Event { event_data: data.as_bytes().to_vec().into(), ..event() }.encode_to_vec())
}

async fn erase(rig: &Rig, rejects: Option<&Rejects>) -> EraseReport {
    erase_with(rig, &OsFiles, rejects).await
}

async fn erase_with(rig: &Rig, files: &dyn FileLayer, rejects: Option<&Rejects>) -> EraseReport {
    let settled = match rejects {
        Some(rejects) => rejects.settled_files().await.map(|settled| settled.expect("lists")),
        None => None,
    };
    let mut report = EraseReport::default();
    erase_bad_rows(files, rig.dir.path(), settled, &subject(), &CancellationToken::new(), &mut report);
    report
}

fn left(rig: &Rig) -> Vec<u32> {
    rig.lines().into_iter().map(|line| line.index).collect()
}

#[tokio::test]
async fn the_players_rows_of_the_application_go_and_no_others() {
    let rig = Rig::new();
    let rejects = rig.open(OsFiles);
    rejects.submit(of(0, r#"{"player_id":"alice"}"#));
    rejects.submit(of(1, r#"{"player_id":"bob","friend":"alice"}"#));
    rejects.submit(BadRow { application_id: Uuid::from_u128(8), ..of(2, r#"{"player_id":"alice"}"#) });
    // It can't be read, and the name stands in it: whose should it be?
    rejects.submit(of(3, r#"{"player_id":"alice""#));
    rejects.submit(of(4, r#"{"player_id":"malice""#));
    rejects.submit(row(5, b"\xff\xff\"alice\"".to_vec()));
    rejects.submit(row(6, b"\xff\xff".to_vec()));
    let report = erase(&rig, Some(&rejects)).await;
    assert_eq!((report.bad_rows_removed, report.errors.as_slice()), (3, &[][..]));
    assert_eq!(left(&rig), [1, 2, 4, 6]);

    // Rows go on being kept, and what comes later is in a file of its own.
    rejects.submit(of(7, r#"{"player_id":"alice"}"#));
    rejects.submit(of(8, "{}"));
    rejects.close().await;
    assert_eq!(rig.files().len(), 2);
    assert_eq!(erase(&rig, None).await.bad_rows_removed, 1, "also of a gateway that is stopped");
    assert_eq!(left(&rig), [1, 2, 4, 6, 8]);
    assert_eq!(erase(&rig, None).await, EraseReport::default());
}

#[tokio::test]
async fn what_somebody_has_put_into_a_string_goes_and_what_can_not_be_told_is_named() {
    let rig = Rig::new();
    let rejects = rig.open(OsFiles);
    rejects.submit(of(0, r#""{\"player_id\":\"alice\"}""#));
    rejects.submit(of(1, r#""{\"player_id\":\"bob\"}""#));
    rejects.submit(of(2, r#""{\"player_id\":\"alice\","#));
    rejects.close().await;
    let report = erase(&rig, None).await;
    assert_eq!(report.bad_rows_removed, 1);
    assert_eq!(left(&rig), [1, 2]);
    let [error] = report.errors.as_slice() else { panic!("{report:?}") };
    assert!(error.problem.starts_with("1 of its lines hold the id"), "{error:?}");
}

#[tokio::test]
async fn a_file_of_nothing_else_is_removed_and_a_line_that_can_not_be_read_is_named() {
    let rig = Rig::new();
    let rejects = rig.open(OsFiles);
    rejects.submit(of(0, r#"{"player_id":"alice"}"#));
    rejects.close().await;
    assert_eq!(erase(&rig, None).await.bad_rows_removed, 1);
    assert_eq!(rig.files(), Vec::<PathBuf>::new());

    let rejects = rig.open(OsFiles);
    rejects.submit(of(1, "{}"));
    rejects.close().await;
    let path = rig.files().remove(0);
    File::options().append(true).open(&path).expect("opens").write_all(b"{\"reason\":\"torn").expect("writes");
    let report = erase(&rig, None).await;
    let [error] = report.errors.as_slice() else { panic!("{report:?}") };
    assert!(error.what.starts_with("bad_rows/") && error.problem.starts_with("1 of its lines"), "{error:?}");
}

/// The power goes before the nth operation, for every n; then it is done again.
#[tokio::test]
async fn a_power_cut_at_any_step_loses_no_row_of_others() {
    for survival in [Survival::Nothing, Survival::Some(1), Survival::Some(2), Survival::Everything] {
        for nth in 1.. {
            let rig = Rig::new();
            let rejects = rig.open(OsFiles);
            (0..6).for_each(|index| {
                rejects.submit(of(index, if index % 2 == 0 { r#"{"player_id":"alice"}"# } else { "{}" }));
            });
            rejects.close().await;
            let files = PowerCutFiles::new(rig.dir.path(), survival).expect("opens");
            files.cut_at(nth);
            erase_with(&rig, &files, None).await;
            let finished = files.is_powered();
            files.cut().expect("cuts");
            erase(&rig, None).await;
            assert_eq!(left(&rig), [1, 3, 5], "{survival:?}, cut before {nth}");
            if finished {
                assert!(nth > 4, "only {nth} steps");
                break;
            }
        }
    }
}
