use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::block::{History, block};
use super::*;
use crate::merge::sample;
use crate::record::{Ledger, Percentiles};
use crate::result::{HealthState, SloResult, Verdict};

fn tick(second: u64) -> Tick {
    let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
    Tick {
        elapsed: Duration::from_secs(second),
        run_time: Duration::from_secs(600),
        phase: Some("hold".to_owned()),
        planned_per_s: 1_200_000.0,
        offered_per_s: 1_199_500.0,
        accepted_per_s: 1_190_000.0 + second as f64,
        ack: Percentiles { p50: ms(1.2), p90: ms(2.0), p99: ms(31.4), p999: ms(120.0), max: ms(2_660.0) },
        service_p99: ms(29.0),
        lag_p99: ms(1.9),
        ledger: Ledger {
            due: 1_200_000 * second,
            sent: 1_200_000 * second,
            accepted: 1_190_000 * second,
            rejected: BTreeMap::from([(Cow::Borrowed("schema"), 1_234)]),
            failed: 12,
            in_flight: 45_678,
            ..Ledger::default()
        },
        codes: BTreeMap::from([("OK".to_owned(), 9_000), ("UNAVAILABLE".to_owned(), 7)]),
        online: 10_000_000,
        connections: 1_000,
        reconnects: 3,
        cpu_cores: 0.36,
        resident: 371 << 20,
        health: HealthState::Ok,
    }
}

fn drawn(seconds: u64, width: usize, colour: bool) -> Vec<String> {
    let mut history = History::default();
    (1..=seconds).for_each(|second| history.add(&tick(second)));
    block(&tick(seconds), &history, width).iter().map(|line| line.render(usize::MAX, colour)).collect()
}

#[test]
fn the_block_fits_every_width_without_cutting_a_figure() {
    for width in [60, 80, 120] {
        let lines = drawn(150, width, false);
        assert_eq!(lines.len(), 7, "{lines:#?}");
        for line in &lines {
            assert!(line.chars().count() <= width, "{} columns of {width}: {line}", line.chars().count());
            assert!(!line.contains('\x1b'));
        }
        assert!(lines[0].contains("2 min 30 s of 10 min   hold"), "{lines:#?}");
        assert!(lines[1].contains("1,190,150") && lines[1].contains("1,200,000 planned"), "{lines:#?}");
        assert!(lines[2].contains("31.4 ms") && lines[2].contains("p50 1.20 ms"), "{lines:#?}");
        assert!(lines[3].contains("178,500,000 accepted   12 failed"), "{lines:#?}");
        assert_eq!(lines[4], "  refused   UNAVAILABLE 7");
        assert!(lines[6].contains("ok   lag p99 1.90 ms"), "{lines:#?}");
    }
    let wide = drawn(150, 120, false);
    assert!(wide[3].ends_with("45,678 in flight   0 overflow   1,234 rejected   0 unknown   0 retry"), "{wide:#?}");
}

#[test]
fn the_bar_and_the_sparklines_follow_the_figures() {
    let full = |line: &str| line.chars().filter(|sign| *sign == '━').count();
    let (quarter, half) = (drawn(150, 80, false), drawn(300, 80, false));
    assert!(full(&half[0]) > full(&quarter[0]) * 19 / 10, "{} and {}", quarter[0], half[0]);
    let mut history = History::default();
    for (second, p99_ms) in [(1, 0), (2, 1), (3, 10), (4, 100), (5, 1_000), (6, 60_000)] {
        let mut tick = tick(second);
        tick.ack.p99 = Duration::from_millis(p99_ms);
        tick.accepted_per_s = tick.planned_per_s * (second as f64 - 1.0) / 5.0;
        history.add(&tick);
    }
    let lines: Vec<String> = block(&tick(6), &history, 80).iter().map(|line| line.render(80, false)).collect();
    assert!(lines[1].contains("▁▂▃▄▆▇ "), "{lines:#?}");
    assert!(lines[2].contains("▁▁▃▅▇█ "), "{lines:#?}");
}

#[test]
fn only_a_terminal_gets_colours() {
    let with = drawn(10, 100, true);
    assert!(with[6].contains("\x1b[32mok\x1b[0m"), "{with:#?}");
    let mut late = tick(10);
    late.health = HealthState::Saturated;
    let lines = block(&late, &History::default(), 100);
    assert!(lines[6].render(100, true).contains("\x1b[31msaturated\x1b[0m"));
    let text: String = drawn(10, 100, false).concat() + &plain(&tick(10));
    assert!(!text.contains('\x1b'));
}

#[test]
fn a_plain_line_has_the_seconds_figures() {
    let line = plain(&tick(12));
    assert!(line.starts_with("    12 s  hold  1,190,012 of 1,200,000 events/s  p50 1.20 ms  p99 31.4 ms"), "{line}");
    assert!(line.ends_with("10,000,000 online  lag 1.90 ms  ok"), "{line}");
    assert!(plain(&tick(601)).contains(" drain "));
}

fn elsewhere(mode: Mode) -> Progress {
    let mut screen = Screen::new();
    screen.live = false;
    Progress::on(mode, screen)
}

#[test]
fn elsewhere_there_is_one_json_object_every_five_seconds_with_the_worst_second_in_it() {
    let mut progress = elsewhere(Mode::Auto);
    let mut lines = Vec::new();
    for second in 1..=12 {
        let mut tick = tick(second);
        if second == 7 {
            tick.ack.p99 = Duration::from_millis(900);
            tick.health = HealthState::Late;
        }
        match progress.output(&tick, 100) {
            Output::Line(line) => lines.push(line),
            Output::Nothing => {}
            Output::Block(_) => panic!("a block where there is no terminal"),
        }
    }
    let lines: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).expect("an object in each line")).collect();
    assert_eq!(lines.iter().map(|line| line["elapsed_s"].as_f64()).collect::<Vec<_>>(), [Some(5.0), Some(10.0)]);
    assert_eq!((&lines[0]["kind"], &lines[0]["health"]), (&"progress".into(), &"ok".into()));
    assert_eq!((&lines[0]["ack_p99_ms"], &lines[1]["ack_p99_ms"]), (&31.4.into(), &900.0.into()));
    assert_eq!(lines[1]["health"], "late");
    assert_eq!(lines[0]["accepted_events_per_s"], 1_190_003.0);
    assert_eq!(lines[1]["in_flight_events"], 45_678);
    assert_eq!(lines[1]["answered_batches"]["UNAVAILABLE"], 7);
    let numbers = lines[0].as_object().expect("an object").iter().filter(|(_, value)| value.is_number());
    for (key, _) in numbers {
        let units = ["_s", "_ms", "_events", "_bytes", "_players", "_cores", "connections", "reconnects"];
        assert!(units.iter().any(|unit| key.ends_with(unit)), "{key} says no unit");
    }
}

#[test]
fn modes_come_to_what_the_output_can_show() {
    let mut screen = Screen::new();
    for (live, expected) in [
        (true, [Shown::Block, Shown::Plain, Shown::Json, Shown::Block, Shown::Off]),
        (false, [Shown::Json, Shown::Plain, Shown::Json, Shown::Plain, Shown::Off]),
    ] {
        screen.live = live;
        let modes = [Mode::Auto, Mode::Plain, Mode::Json, Mode::Tui, Mode::Off];
        assert_eq!(modes.map(|mode| mode.on(&screen)), expected);
    }
    assert!(matches!(elsewhere(Mode::Plain).output(&tick(1), 100), Output::Line(_)));
    assert!(matches!(elsewhere(Mode::Off).output(&tick(1), 100), Output::Nothing));
}

fn text(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line.render(usize::MAX, false)).collect()
}

#[test]
fn the_first_screen_says_what_will_run_in_at_most_eight_lines() {
    let mut config = sample::config(600);
    config.shard = crate::config::ShardOf { index: 2, of: 8 };
    config.warm_up = Duration::from_secs(30);
    let what = Opening { config: &config, planned_per_s: 20_000.4, results: Path::new("results") };
    let lines = text(&opening(&what));
    assert!(lines.len() <= 8, "{lines:#?}");
    assert_eq!(lines[0], "steady  The same load all the time.");
    assert!(lines[1].contains("http://127.0.0.1:50051"), "{lines:#?}");
    assert!(lines[2].contains("1,000,000, 500,000 of them online, on 100 servers, a connection each"), "{lines:#?}");
    assert!(lines[3].contains("20,000 events/s for 10 min, the first 30 s not judged, a batch every 50 ms"));
    assert!(lines[5].contains("2 of 8") && lines[6].ends_with("results"), "{lines:#?}");
    let start = serde_json::to_value(Start::new(&what)).expect("serialises");
    assert_eq!((&start["kind"], &start["shards"], &start["run_time_s"]), (&"start".into(), &8.into(), &600.0.into()));
}

#[test]
fn the_last_screen_says_verdict_reasons_figures_files_and_the_next_command() {
    let mut result = sample::run(30, 1, |draw, _, interval| sample::fill(draw, interval, 100, 3_000.0));
    result.verdict = Verdict::SloFailed;
    result.findings = vec!["the 99th percentile is over its limit".to_owned()];
    result.problems = BTreeMap::from([("the connection was reset".to_owned(), 3)]);
    result.codes.insert("UNAVAILABLE".to_owned(), 2);
    let rule = |rule: &str, passed| SloResult { rule: rule.to_owned(), passed, observed: "12 ms".to_owned() };
    result.slos =
        vec![rule("ack.p99 < 5ms", Some(false)), rule("loss == 0", Some(true)), rule("x < 1x baseline", None)];
    let files = [PathBuf::from("out/result.json"), PathBuf::from("out/report.html")];
    let lines = text(&closing(&result, &files));
    let all = lines.join("\n");
    assert_eq!(lines[1], "SLO FAILED  steady, 30 s  a rule does not hold");
    assert_eq!(lines[2], "  • the 99th percentile is over its limit");
    for expected in [
        "100 events/s accepted",
        "  ack       p50",
        "  ledger    3,000 due = 3,000 accepted",
        "UNAVAILABLE 2",
        "3 × the connection was reset",
        "  rules     failed  ack.p99 < 5ms    12 ms",
        "            n/a     x < 1x baseline  12 ms",
        "            out/report.html",
    ] {
        assert!(all.contains(expected), "no `{expected}` in\n{all}");
    }
    assert_eq!(lines.last().map(String::as_str), Some("  next      headgate-loadtest report out/result.json"));
    assert!(!all.contains('\x1b'));
    let coloured = closing(&result, &files)[1].render(100, true);
    assert!(coloured.starts_with("\x1b[31mSLO FAILED"), "{coloured}");

    result.ledger.accepted -= 1;
    assert!(text(&closing(&result, &files)).join("\n").contains("3,000 due is not 2,999 accepted"));
    let end = serde_json::to_value(End::new(&result, &files)).expect("serialises");
    assert_eq!((&end["verdict"], &end["exit_code"]), (&"slo_failed".into(), &3.into()));
}
