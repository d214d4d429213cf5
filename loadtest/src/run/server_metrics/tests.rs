use super::*;
use crate::config::{Profile, ShardOf};
use crate::slo::testing;

const MIB: f64 = 1_048_576.0;

fn config(run_minutes: u32, warm_up_minutes: u32) -> RunConfig {
    testing::result(run_minutes * 60, warm_up_minutes * 60).config
}

/// What is seen every 5 s of a gateway whose memory and descriptors are these at so many seconds.
fn seen(start: Instant, config: &RunConfig, of: impl Fn(f64) -> (f64, f64)) -> ServerMetrics {
    let metrics = ServerMetrics::new("http://127.0.0.1:9090/");
    // It is looked at before the schedule begins and while the last answers come, too.
    for at in (0..config.run_time.as_secs() + 60).step_by(5) {
        let (resident, descriptors) = of(at as f64);
        let at = start + Duration::from_secs(at);
        // Three tasks for each descriptor.
        let tasks = Some(descriptors * 3.0);
        let (started, unsettled, in_flight_bytes) = (Some(1.79e9), Some(50.0), Some(9_000.0));
        let seen = Seen { at, resident, descriptors, started, tasks, unsettled, in_flight_bytes };
        lock(&metrics.seen).push(seen);
    }
    metrics
}

fn grown(config: &RunConfig, of: impl Fn(f64) -> (f64, f64)) -> Result<Growth, String> {
    let start = Instant::now();
    seen(start, config, of).growth(start, config.run_time, config)
}

#[test]
fn a_leak_of_a_mebibyte_a_minute_is_seen_as_60_an_hour() {
    let noise = |at: f64| if at % 10.0 < 5.0 { 4_096.0 } else { -4_096.0 };
    let growth = grown(&config(65, 5), |at| (5e7 + at / 60.0 * MIB + noise(at), 40.0 + at / 60.0)).expect("seen");
    assert!((growth.mib_per_hour - 60.0).abs() < 0.5, "{growth:?}");
    assert!((growth.descriptors - 30.0).abs() < 0.1, "{growth:?}");
    assert!((growth.tasks.expect("counted") - 90.0).abs() < 0.3, "{growth:?}");
}

#[test]
fn a_gateway_that_does_not_count_its_tasks_is_judged_by_the_rest() {
    let mut result = testing::result(65 * 60, 5 * 60);
    let start = Instant::now();
    let metrics = seen(start, &result.config, |_| (5e7, 40.0));
    lock(&metrics.seen)[600].tasks = None;
    tell(Some(&metrics), Some(start), &mut result);
    assert!(result.measures["server_fds_grown"].abs() < 1e-3);
    let why = &result.unmeasured["server_tasks_grown"];
    assert_eq!(why, "the gateway's /metrics has no headgate_tasks: it is of an earlier version");
}

#[test]
fn what_was_seen_goes_into_the_result() {
    let mut result = testing::result(120, 5);
    result.config.shard = ShardOf { index: 2, of: 3 };
    let start = Instant::now();
    let metrics = seen(start, &result.config, |at| (5e7 + at, 40.0));
    // Looked at before the schedule began, too: which is no part of the run.
    lock(&metrics.seen)[0].at = start.checked_sub(Duration::from_secs(4)).expect("up for so long");
    let last = Seen { unsettled: Some(0.0), ..lock(&metrics.seen)[35] };
    *lock(&metrics.last) = Some(last);
    tell(Some(&metrics), Some(start), &mut result);
    let gateway = &result.gateways[0];
    assert_eq!((gateway.shard, gateway.operate.as_str()), (2, "127.0.0.1:9090"));
    assert_eq!((gateway.started_s, gateway.looks.len()), (Some(1.79e9), 35));
    let first = Look {
        at_s: 5,
        resident_bytes: 50_000_005,
        descriptors: 40,
        tasks: Some(120),
        unsettled: Some(50),
        in_flight_bytes: Some(9_000),
    };
    assert_eq!(gateway.looks[0], first);
    assert_eq!(result.measures["server_unsettled_at_end"], 0.0);
    assert!(result.unmeasured["server_tasks_grown"].contains("30 min"), "{:?}", result.unmeasured);

    *lock(&metrics.last) = None;
    tell(Some(&metrics), Some(start), &mut result);
    let why = &result.unmeasured["server_unsettled_at_end"];
    assert_eq!(why, "http://127.0.0.1:9090/metrics could not be read at the end");
    let mut not_asked = testing::result(120, 5);
    tell(None, Some(start), &mut not_asked);
    assert!(not_asked.gateways.is_empty() && not_asked.unmeasured.len() == 4, "{:?}", not_asked.unmeasured);
}

#[test]
fn caches_that_fill_in_the_first_half_are_no_leak() {
    let fills = |at: f64| (5e7 + at.min(1_500.0) * 2e5, 40.0 + at.min(600.0));
    let growth = grown(&config(60, 5), fills).expect("seen");
    assert!(growth.mib_per_hour.abs() < 1e-3 && growth.descriptors.abs() < 1e-3, "{growth:?}");
}

#[test]
fn days_and_nights_are_no_leak() {
    let mut config = config(480, 5);
    let day = Duration::from_secs(7_200);
    config.profile = Profile::Diurnal { peak_to_trough: 3.0, day, begins: Duration::ZERO };
    let hour = |at: f64| (at / 7_200.0 * std::f64::consts::TAU).cos();
    let growth = grown(&config, |at| (2e8 + 60.0 * MIB * hour(at), 500.0 + 100.0 * hour(at))).expect("seen");
    assert!(growth.mib_per_hour.abs() < 0.2 && growth.descriptors.abs() < 1.0, "{growth:?}");
    let leaks = |at: f64| (2e8 + 60.0 * MIB * hour(at) + at / 3_600.0 * 20.0 * MIB, 500.0);
    let growth = grown(&config, leaks).expect("seen");
    assert!((growth.mib_per_hour - 20.0).abs() < 0.5, "{growth:?}");
}

#[test]
fn what_can_not_be_said_is_not_said_but_why() {
    let flat = |_: f64| (5e7, 40.0);
    assert_eq!(
        grown(&config(30, 5), flat),
        Err("it takes 30 min after the warm-up, here are 25 min: before that, caches that fill look like a leak"
            .to_owned())
    );
    let mut days = config(65, 5);
    days.profile = Profile::Diurnal { peak_to_trough: 3.0, day: Duration::from_secs(1_800), begins: Duration::ZERO };
    assert!(grown(&days, flat).expect_err("two days").contains("less than 3 of them"));

    let (start, config) = (Instant::now(), config(65, 5));
    let metrics = seen(start, &config, flat);
    for seen in lock(&metrics.seen).iter_mut().skip(700) {
        seen.started = Some(1.8e9);
    }
    let growth = metrics.growth(start, config.run_time, &config);
    assert_eq!(growth, Err("the gateway was started anew in the course of it".to_owned()));
    lock(&metrics.seen).truncate(500);
    let growth = metrics.growth(start, config.run_time, &config).expect_err("too few");
    assert!(growth.contains("http://127.0.0.1:9090/metrics was read 80 times in 30 min"), "{growth}");
    // A run that is ended is judged for as long as it went on.
    assert!(metrics.growth(start, Duration::from_secs(2_400), &config).is_ok());
}

/// Answers each look with the next of these, and the rest of the looks with the last.
async fn serve(listener: tokio::net::TcpListener, texts: &[String]) {
    for place in 0.. {
        let (mut socket, _) = listener.accept().await.expect("someone asks");
        let mut asked = [0; 128];
        let length = socket.read(&mut asked).await.expect("reads");
        assert!(asked[..length].starts_with(b"GET /metrics HTTP/1.0\r\n"));
        let text = &texts[place.min(texts.len() - 1)];
        let answer = format!("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n{text}# EOF\n");
        socket.write_all(answer.as_bytes()).await.expect("writes");
    }
}

const PROCESS: &str = "# TYPE process_resident_memory_bytes gauge\n\
                       process_resident_memory_bytes 52428800\n\
                       process_open_fds_of_others 9\n\
                       process_open_fds 41\n\
                       process_start_time_seconds 1790000000\n";

/// What a gateway exposes of which two applications have sent events, and some of them wait.
fn exposed(received: u64) -> String {
    format!(
        "headgate_events_received_total{{application=\"a b\"}} {received}\n\
         headgate_events_received_total{{application=\"c\"}} 10\n\
         headgate_events_settled_total{{application=\"a b\",verdict=\"accepted\"}} 80\n\
         headgate_events_settled_total{{application=\"a b\",verdict=\"rejected\"}} 5\n\
         headgate_events_settled_total{{application=\"c\",verdict=\"suppressed\"}} 10\n\
         headgate_in_flight_bytes 4096\nheadgate_in_flight_limit_bytes 8192\nheadgate_tasks 77\n{PROCESS}"
    )
}

#[tokio::test]
async fn it_reads_what_a_gateway_exposes() {
    for (text, tasks, unsettled, in_flight_bytes) in [
        (exposed(120), Some(77.0), Some(35.0), Some(4_096.0)),
        // A verdict given between the two readings.
        (exposed(84), Some(77.0), Some(0.0), Some(4_096.0)),
        // Before the first event; and no gateway at all.
        (format!("headgate_in_flight_bytes 0\n{PROCESS}"), None, Some(0.0), Some(0.0)),
        (PROCESS.to_owned(), None, None, None),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let metrics = ServerMetrics::new(&listener.local_addr().expect("bound").to_string());
        let texts = [text];
        let seen = tokio::select! {
            seen = metrics.look() => seen.expect("both are there"),
            () = serve(listener, &texts) => unreachable!("it serves for ever"),
        };
        let at = seen.at;
        let (resident, descriptors, started) = (52_428_800.0, 41.0, Some(1.79e9));
        assert_eq!(seen, Seen { at, resident, descriptors, started, tasks, unsettled, in_flight_bytes });
    }
}

/// Events whose answers nobody waits for get their verdicts after the last answer.
#[tokio::test]
async fn the_last_look_waits_for_the_last_verdict() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let metrics = ServerMetrics::new(&listener.local_addr().expect("bound").to_string());
    let texts = [120, 90, 85].map(exposed);
    tokio::select! {
        () = metrics.look_last() => {}
        () = serve(listener, &texts) => unreachable!("it serves for ever"),
    }
    assert_eq!(metrics.unsettled_at_end(), Ok(0.0));
    assert_eq!(lock(&metrics.seen).len(), 1, "the one that counts");
}
