use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::record::Ids;

/// A lake in a data folder of its own.
struct Lake(tempfile::TempDir);

impl Lake {
    fn new() -> Self {
        let lake = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir_all(lake.day("day=01")).expect("a folder");
        std::fs::create_dir_all(lake.day("day=02")).expect("a folder");
        std::fs::create_dir_all(lake.data().join("lake/log")).expect("a folder");
        lake
    }

    fn data(&self) -> &Path {
        self.0.path()
    }

    fn raw_events(&self) -> PathBuf {
        self.data().join("lake/raw_events")
    }

    fn day(&self, day: &str) -> PathBuf {
        self.raw_events().join("year=2026/month=01").join(day)
    }

    fn reading(&self, horizon: SystemTime, at_once: usize) -> Reading {
        Reading::new(self.raw_events(), horizon, at_once, Arc::default())
    }
}

fn write(path: &Path, rows: &[(u128, &str)]) {
    let schema = "message raw_events {
        required int64 event_timestamp; required binary event_type (STRING); required binary event_id (STRING);
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let temporary = path.with_file_name(".tmp");
    let file = File::create(&temporary).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).expect("a writer");
    // Two row groups where there are rows for them.
    for rows in rows.chunks(rows.len().div_ceil(2).max(1)) {
        let mut group = writer.next_row_group().expect("a row group");
        let mut column = group.next_column().expect("a column").expect("the first");
        let times = vec![0_i64; rows.len()];
        column.typed::<Int64Type>().write_batch(&times, None, None).expect("written");
        column.close().expect("closed");
        let types: Vec<String> = rows.iter().map(|(_, event_type)| (*event_type).to_owned()).collect();
        let ids: Vec<String> = rows.iter().map(|(id, _)| Uuid::from_u128(*id).to_string()).collect();
        for texts in [types, ids] {
            let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.as_str())).collect();
            let mut column = group.next_column().expect("a column").expect("the next");
            column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("written");
            column.close().expect("closed");
        }
        group.close().expect("closed");
    }
    writer.close().expect("closed");
    std::fs::rename(temporary, path).expect("renamed");
}

fn logins(path: &Path, ids: impl IntoIterator<Item = u128>) {
    let rows: Vec<(u128, &str)> = ids.into_iter().map(|id| (id, "login")).collect();
    write(path, &rows);
}

fn acknowledged(ids: impl IntoIterator<Item = u128>) -> Arc<Ids> {
    Arc::new(Ids { acknowledged: ids.into_iter().collect(), ..Ids::default() })
}

fn options(timeout: Duration) -> Options {
    Options { timeout, ..Options::new(SystemTime::UNIX_EPOCH) }
}

#[test]
fn contents_are_read_from_every_partition_and_not_from_temporary_files() {
    let lake = Lake::new();
    write(&lake.day("day=01").join("1-00.parquet"), &[(7, "login"), (5, "logout")]);
    write(&lake.day("day=02").join("1-01.parquet"), &[(6, "login")]);
    std::fs::write(lake.day("day=02").join(".tmp-2-00.parquet"), b"half a file").expect("written");

    let contents = Contents::read(&lake.raw_events()).expect("reads");
    assert_eq!((contents.files, contents.ids), (2, vec![5, 6, 7]));
    assert_eq!(contents.rows_by_type, BTreeMap::from([("login".to_owned(), 2), ("logout".to_owned(), 1)]));

    std::fs::write(lake.day("day=02").join("2-00.parquet"), b"half a file").expect("written");
    let error = Contents::read(&lake.raw_events()).expect_err("a broken file").to_string();
    assert!(error.contains("2-00.parquet"), "{error}");
}

// The same lake with all ids in memory and with 7 at a time, which takes passes over temporary files.
#[tokio::test]
async fn what_is_missing_doubled_rejected_and_foreign_is_found_exactly_however_few_ids_fit_into_memory() {
    let lake = Lake::new();
    logins(&lake.day("day=01").join("1-00.parquet"), (0..500).filter(|id| id % 100 != 42));
    logins(&lake.day("day=02").join("1-01.parquet"), (500..1_000).chain([3, 777]));
    logins(&lake.day("day=02").join("2-00.parquet"), [2_001, 3_000, 3_001, 9_000, 9_000, 9_001]);
    let ids = Ids {
        acknowledged: (0..1_000).collect(),
        rejected: (2_000..2_010).collect(),
        undecided: (3_000..3_010).collect(),
    };
    let expected = Verification {
        stored: 995,
        missing: 5,
        doubled: 2,
        rejected_stored: 1,
        undecided_stored: 2,
        foreign: 2,
        examples: [42, 142, 242, 342, 442].map(|id| Uuid::from_u128(id).to_string()).to_vec(),
        ..Verification::default()
    };
    for at_once in [7, 1 << 20] {
        let mut reading = lake.reading(SystemTime::UNIX_EPOCH, at_once);
        assert!(reading.look().expect("reads"));
        assert_eq!(reading.compare(&ids).expect("compares"), expected, "{at_once} at once");
        assert!(!reading.look().expect("reads"), "nothing new");
    }
    for path in ["", "lake", "lake/raw_events"] {
        let (path, options) = (lake.data().join(path), options(Duration::ZERO));
        let verified = verify(&path, Arc::new(ids.clone()), &options, &mut |_| {}).await.expect("a lake");
        assert_eq!(verified.verification, expected);
        let [note] = &verified.notes[..] else { panic!("{:?}", verified.notes) };
        assert!(verified.conclusive && note.contains("they are lost"), "nothing is in the log: {note}");
    }
}

// No gateway runs, or one whose operators' listener can't be reached.
#[tokio::test]
async fn what_may_still_be_in_the_log_is_not_said_to_be_lost() {
    let lake = Lake::new();
    std::fs::write(lake.data().join("lake/log/00000000000000000007.log"), b"events").expect("written");
    let nobody = Options { operate: Some("http://127.0.0.1:1/".to_owned()), ..options(Duration::ZERO) };
    for (options, says) in [(options(Duration::ZERO), "no gateway is known"), (nobody, "at 127.0.0.1:1 could not")] {
        let verified = verify(lake.data(), acknowledged([1]), &options, &mut |_| {}).await.expect("a lake");
        assert_eq!((verified.verification.missing, verified.conclusive), (1, false));
        let [note] = &verified.notes[..] else { panic!("{:?}", verified.notes) };
        assert!(note.contains(says) && note.contains("headgate lake compact --data-dir"), "{note}");
        let lake = crate::verify::Destination::Lake(lake.data().to_owned());
        let told = |verified: Option<Verified>| verified.expect("asked").verification.inconclusive;
        let missing = crate::verify::verify(&lake, acknowledged([1]), &options, |_| {}).await.expect("a lake");
        assert!(told(missing));
        let nothing = crate::verify::verify(&lake, acknowledged([]), &options, |_| {}).await.expect("a lake");
        assert!(!told(nothing), "what was not sent is not missing");
        assert!(note.contains("1 segments, 6 bytes"), "{note}");
    }
    for operate in ["", "https://127.0.0.1:9090", "127.0.0.1:9090/metrics", "a b"] {
        let options = Options { operate: Some(operate.to_owned()), ..options(Duration::ZERO) };
        let error = verify(lake.data(), acknowledged([1]), &options, &mut |_| {}).await.expect_err("no address");
        assert!(matches!(error, VerifyError::Operate(_)), "{operate}: {error}");
    }
}

#[tokio::test]
async fn a_folder_without_a_lake_is_no_lake_without_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let asked = verify(folder.path(), acknowledged([1]), &options(Duration::ZERO), &mut |_| {}).await;
    let error = asked.expect_err("no lake").to_string();
    assert!(error.contains("raw_events"), "{error}");
}

#[test]
fn files_of_before_the_run_are_not_read_and_files_that_are_written_anew_are_read_anew() {
    let lake = Lake::new();
    let (old, new) = (lake.day("day=01").join("1-00.parquet"), lake.day("day=01").join("2-00.parquet"));
    logins(&old, [1, 2]);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    File::options().append(true).open(&old).expect("there").set_modified(long_ago).expect("a time");
    logins(&new, [3, 4]);
    let mut reading = lake.reading(long_ago + Duration::from_secs(1), AT_ONCE);
    let ids = acknowledged(1..=4);
    assert!(reading.look().expect("reads"));
    assert_eq!((reading.compare(&*ids).expect("compares").missing, reading.skipped()), (2, 1));

    logins(&new, [1, 2, 3]);
    assert!(reading.look().expect("reads"));
    let found = reading.compare(&*ids).expect("compares");
    assert_eq!((found.stored, found.missing, found.doubled), (3, 1, 0), "the file's first rows are gone");
}

// The second file comes when the first figures are told, as if the gateway had compacted by itself.
#[tokio::test]
async fn a_lake_that_gains_a_file_while_it_is_looked_at_is_complete() {
    let lake = Lake::new();
    logins(&lake.day("day=01").join("1-00.parquet"), 0..60);
    let (mut told, later) = (Vec::new(), lake.day("day=02").join("2-00.parquet"));
    let mut progress = |progress: Progress| {
        if progress.found == 60 && !later.exists() {
            logins(&later, 60..100);
        }
        told.push(progress);
    };
    let verified = verify(lake.data(), acknowledged(0..100), &options(Duration::from_secs(60)), &mut progress).await;
    let verified = verified.expect("a lake");
    let expected = Verification { stored: 100, ..Verification::default() };
    assert_eq!(verified, Verified { verification: expected, conclusive: true, notes: Vec::new() });
    assert_eq!(told.last(), Some(&Progress { acknowledged: 100, read: 100, found: 100 }));
    assert!(told.iter().is_sorted_by_key(|progress| progress.found), "{told:?}");
}

// A gateway that compacts when it is asked, and says so; its address is in the lock file of the data folder.
#[tokio::test]
async fn the_gateway_is_asked_for_what_is_still_in_its_log() {
    for (failed, says) in [("", "they are lost"), ("{\"segment\":7}", "segments of its log failed")] {
        let lake = Lake::new();
        std::fs::write(lake.data().join("lake/log/00000000000000000007.log"), b"events").expect("written");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let operate = listener.local_addr().expect("bound");
        let lock = format!("{{\"pid\":1,\"grpc\":\"127.0.0.1:1\",\"operate\":\"{operate}\"}}");
        std::fs::write(lake.data().join("lock"), lock).expect("written");
        let compacted = lake.day("day=01").join("7-00.parquet");
        let gateway = async {
            loop {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(connection.read_u8().await.expect("a request"));
                }
                assert!(request.starts_with(b"POST /lake/compact HTTP/1.1\r\n"));
                logins(&compacted, 0..9);
                let report = format!("{{\"segments\":1,\"failed\":[{failed}]}}");
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{report}", report.len());
                connection.write_all(answer.as_bytes()).await.expect("answered");
            }
        };
        let options = options(Duration::from_secs(2));
        let asking = async {
            let mut ignore = |_| {};
            let whole = verify(lake.data(), acknowledged(0..9), &options, &mut ignore).await.expect("a lake");
            assert_eq!((whole.verification.stored, whole.verification.missing), (9, 0));
            assert_eq!(whole.notes, Vec::<String>::new());
            verify(lake.data(), acknowledged(0..10), &options, &mut ignore).await.expect("a lake")
        };
        let lost = tokio::select! {
            lost = asking => lost,
            () = gateway => unreachable!("it serves for ever"),
        };
        assert_eq!((lost.verification.missing, lost.conclusive), (1, failed.is_empty()));
        let [note] = &lost.notes[..] else { panic!("{:?}", lost.notes) };
        assert!(note.contains(says) && note.contains("1 segments, 6 bytes"), "{note}");
    }
}
