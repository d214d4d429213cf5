//! A lake in S3 and metrics in CloudWatch, by a stand-in: a gateway's own lake is the bucket, and the counts are told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use headgate_tests::lake::parquet_files;
use headgate_tests::ministack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::House;
use super::{SETTINGS, left, report, start_in};

const NAMESPACE: &str = "headgate-test/AWSGameAnalytics";
const EVENTS: u64 = 400;
const LOGINS: u64 = 50;

/// S3 with one bucket, `lake`, and CloudWatch.
struct StandIn {
    lake: PathBuf,
    /// What is counted, look by look; the last one stays.
    counts: Mutex<VecDeque<(u64, u64)>>,
    /// What was asked of CloudWatch.
    asked: Mutex<Vec<String>>,
}

impl StandIn {
    async fn start(lake: PathBuf, counts: &[(u64, u64)]) -> (Arc<Self>, Vec<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let counts = Mutex::new(counts.iter().copied().collect());
        let stand_in = Arc::new(Self { lake, counts, asked: Mutex::default() });
        let serving = Arc::clone(&stand_in);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { serving.serve(socket).await });
            }
        });
        (stand_in, ministack::environment(address))
    }

    async fn serve(&self, mut socket: TcpStream) {
        let Some((line, body)) = request(&mut socket).await else { return };
        let path = line.split(' ').nth(1).unwrap_or_default().replace("%3D", "=").replace("%2F", "/");
        let answer = if line.starts_with("POST / ") {
            self.metrics(&body).into_bytes()
        } else if let Some((_, query)) = path.split_once("/lake?") {
            let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
            self.list(prefix).into_bytes()
        } else {
            std::fs::read(self.lake.join(path.trim_start_matches("/lake/"))).unwrap_or_default()
        };
        let head =
            "HTTP/1.1 200 OK\r\nlast-modified: Sun, 29 Nov 2026 00:00:00 GMT\r\netag: \"1\"\r\nconnection: close\r\n";
        let head = format!("{head}content-length: {}\r\n\r\n", answer.len());
        let _ = socket.write_all(head.as_bytes()).await;
        let _ = socket.write_all(&answer).await;
    }

    fn list(&self, prefix: &str) -> String {
        let files = parquet_files(&self.lake.join("raw_events"));
        let objects = files.iter().filter_map(|file| {
            let key = file.strip_prefix(&self.lake).expect("found below it").display().to_string();
            let metadata = std::fs::metadata(file).ok()?;
            let written = humantime::format_rfc3339_seconds(metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
            let size = metadata.len();
            key.starts_with(prefix).then(|| {
                format!(
                    "<Contents><Key>{key}</Key><LastModified>{written}</LastModified><Size>{size}</Size></Contents>"
                )
            })
        });
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>", objects.collect::<String>())
    }

    fn metrics(&self, query: &str) -> String {
        self.asked.lock().expect("nobody panicked").push(query.to_owned());
        let mut counts = self.counts.lock().expect("nobody panicked");
        let next = if counts.len() > 1 { counts.pop_front() } else { counts.front().copied() };
        let (events, logins) = next.unwrap_or_default();
        let found =
            |id: &str, count: u64| format!("<member><Id>{id}</Id><Values><member>{count}.0</member></Values></member>");
        format!(
            "<GetMetricDataResponse><GetMetricDataResult><MetricDataResults>{}{}</MetricDataResults>\
             </GetMetricDataResult></GetMetricDataResponse>",
            found("events", events),
            found("logins", logins)
        )
    }
}

/// The first line and the body of a request.
async fn request(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return Some((head.lines().next()?.to_owned(), body.to_owned()));
        }
    }
}

/// The gateway turns its log into files by itself meanwhile, as Firehose does, and the minutes are counted one by one.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_waited_for_in_the_bucket_and_in_the_minutes_of_cloudwatch() {
    let house = House::with(&[&SETTINGS[..], &["lake.segment_age=3s"]].concat(), &[]).await;
    let counts = [(0, 0), (EVENTS, LOGINS)];
    let (stand_in, environment) = StandIn::start(house.gateway.lake(), &counts).await;
    let events = EVENTS.to_string();
    let asked = ["--lake", "s3://lake/raw_events/", "--metrics-namespace", NAMESPACE, "--timeout", "60s"];
    let flags = [&asked[..], &["--events", &events, "--seconds-of-load", "1"]].concat();
    let ended = start_in(&house, None, &flags, &environment).ended().await;
    let report = report(&house, &ended, 0);
    assert_eq!(report.counts(), (7, 0, 0), "{ended}");
    assert!(report.out("lake").contains("400 of 400 acknowledged events are in s3://lake/raw_events after"), "{ended}");
    assert!(report.out("metrics").contains("400 events, 50 logins counted"), "{ended}");
    let asked = stand_in.asked.lock().expect("nobody panicked").clone();
    let application = report.out("application").rsplit(", ").next().expect("its id").trim().to_owned();
    assert_eq!(asked.len(), 2, "{asked:?}");
    // All that the function publishes with: CloudWatch has no series with fewer dimensions.
    let by_application = format!(
        "Dimensions.member.1.Name=APPLICATION_ID&MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Value={application}&"
    );
    let by_version = "Dimensions.member.2.Name=APP_VERSION&MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.2.Value=0.0.0-smoke&";
    for part in ["Namespace=headgate-test%2FAWSGameAnalytics", "MetricName=TotalEvents", &by_application, by_version] {
        assert!(asked[0].contains(part), "{part}: {asked:?}");
    }
    assert!(left(&house.gateway).is_empty());
}

/// Nothing leaves the log, so that no object comes; and one login is not counted.
#[tokio::test(flavor = "multi_thread")]
async fn what_never_comes_into_the_bucket_or_the_metrics_fails_both_steps() {
    let house = House::with(&[&SETTINGS[..], &["lake.segment_age=1h"]].concat(), &[]).await;
    std::fs::create_dir_all(house.gateway.lake().join("raw_events")).expect("a folder");
    let (_stand_in, environment) = StandIn::start(house.gateway.lake(), &[(EVENTS, LOGINS - 1)]).await;
    let events = EVENTS.to_string();
    let asked = ["--lake", "s3://lake/raw_events", "--metrics-namespace", NAMESPACE, "--timeout", "1s"];
    let flags = [&asked[..], &["--events", &events, "--seconds-of-load", "0"]].concat();
    let ended = start_in(&house, None, &flags, &environment).ended().await;
    let report = report(&house, &ended, 3);
    assert_eq!(report.counts(), (7, 2, 0), "{ended}");
    let (kind, message) = report.failure("lake");
    assert!(
        kind == "lost" && message.contains("400 of 400 acknowledged events are not in s3://lake/raw_events"),
        "{message}"
    );
    assert_eq!(message.split("; ").next().expect("ids").matches('-').count(), 10 * 4, "ten are named: {message}");
    let (kind, message) = report.failure("metrics");
    assert!(kind == "counted" && message.starts_with("TotalLogins: 49 were counted, and 50 acknowledged"), "{message}");
    assert!(report.passed("clean-up"), "{ended}");
}
