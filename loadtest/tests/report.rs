//! The report as people get it: one file, opened in a real Chromium.

mod browser;
mod sample;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use browser::Browser;
use headgate_loadtest::report;
use headgate_loadtest::result::RunResult;

const PHONE: (u32, u32) = (390, 844);
const LAPTOP: (u32, u32) = (1_280, 900);

/// Every plot of a run that has something to show in each.
const PLOTS: [&str; 10] =
    ["latency", "heat", "events", "codes", "flight", "online", "lag", "cores", "shares", "spectrum"];
/// Those of a gateway that was asked for its own figures.
const GATEWAY: [&str; 5] = ["memory", "descriptors", "tasks", "unsettled", "budget"];
const COMPARED: [&str; 3] = ["compared-p99", "compared-rate", "compared-spectrum"];

/// Where reports and their pictures are left for people to look at.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

/// Writes the report of a result as `headgate-loadtest report` would.
fn written(name: &str, run: &RunResult, compared: &[RunResult]) -> PathBuf {
    let file = folder().join(name).with_extension("html");
    fs::write(&file, report::html(run, compared)).expect("the report can be written");
    file
}

#[test]
fn a_report_needs_no_network_and_draws_every_plot() {
    let file = written("stalled", &sample::stalled(), &[sample::earlier()]);
    let mut browser = Browser::start();
    let mut backgrounds = Vec::new();
    for (size, device) in [(LAPTOP, "laptop"), (PHONE, "phone")] {
        for scheme in ["light", "dark"] {
            browser.emulate(size.0, size.1, scheme);
            opens_well(&mut browser, &file);
            for plot in PLOTS.iter().chain(&GATEWAY).chain(&COMPARED) {
                draws(&mut browser, plot);
            }
            legible(&mut browser);
            backgrounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
            browser.picture(&folder().join(format!("stalled-{device}-{scheme}.png")));
        }
    }
    for width in [320, 600, 700, 860, 1_000, 1_920] {
        browser.emulate(width, 900, "light");
        opens_well(&mut browser, &file);
    }
    assert_eq!((&backgrounds[0], &backgrounds[1]), (&backgrounds[2], &backgrounds[3]));
    assert_ne!(backgrounds[0], backgrounds[1], "light and dark look the same");
}

#[test]
fn values_can_be_read_off_and_series_switched_off() {
    let file = written("read", &sample::stalled(), &[]);
    let mut browser = Browser::start();
    browser.emulate(LAPTOP.0, LAPTOP.1, "light");
    opens_well(&mut browser, &file);
    let box_of = "(() => { const stage = document.querySelector('[data-plot=latency]'); stage.scrollIntoView(); \
                  const box = stage.getBoundingClientRect(); \
                  return [box.x + box.width * 0.57, box.y + box.height / 2]; })()";
    let at = browser.evaluate(box_of);
    let pointer = serde_json::json!({"type": "mouseMoved", "x": at[0], "y": at[1]});
    browser.call("Input.dispatchMouseEvent", &pointer);
    let tip = "document.getElementById('tip').innerText";
    let shown = browser.evaluate(tip).as_str().expect("a text").to_owned();
    for part in ["22 s", "hold", "p50", "p99.9", "max", " s"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    browser.picture(&folder().join("read-tooltip.png"));
    let crosses = "[...document.querySelectorAll('#plots .cross')].filter(one => !one.hidden).length";
    // All but the spectrum, which has no time.
    assert_eq!(browser.evaluate(crosses), (PLOTS.len() - 1) as u64, "the crosshair stands in all plots over time");

    let crosses = "[...document.querySelectorAll('#gateway .cross')].filter(one => !one.hidden).length";
    assert_eq!(browser.evaluate(crosses), GATEWAY.len() as u64, "and in those of the gateway");

    // By keyboard, with the pointer out of the way: a legend's button is reached, and switches its series off and on.
    browser.call("Input.dispatchMouseEvent", &serde_json::json!({"type": "mouseMoved", "x": 1, "y": 1}));
    browser.evaluate("document.querySelector('[data-plot=events]').parentElement.querySelector('button').focus()");
    let state = "(() => { const one = document.querySelector('[data-plot=events] .series[data-series=\"0\"]'); \
                 return [document.activeElement.getAttribute('aria-pressed'), getComputedStyle(one).display]; })()";
    for expected in [["true", "inline"], ["false", "none"], ["true", "inline"]] {
        assert_eq!(browser.evaluate(state), serde_json::json!(expected));
        press(&mut browser, "Enter", 13, "\r");
    }
    // And the arrows move the crosshair of the plot that has the focus.
    browser.evaluate("document.querySelector('[data-plot=online] .hit').focus()");
    press(&mut browser, "Home", 36, "");
    press(&mut browser, "ArrowRight", 39, "");
    let shown = browser.evaluate(tip).as_str().expect("a text").to_owned();
    assert!(shown.starts_with("1 s") && shown.contains("planned"), "{shown}");
    // What the gateway said last is what stands at the end: everything has its verdict.
    for (plot, says) in [("unsettled", "waiting0"), ("budget", "held0 B"), ("memory", "resident51.4 MiB")] {
        browser.evaluate(&format!("document.querySelector('[data-plot={plot}] .hit').focus()"));
        press(&mut browser, "End", 35, "");
        let shown = browser.evaluate(tip).as_str().expect("a text").replace('\n', "");
        assert!(shown.starts_with("39 s") && shown.ends_with(says), "{plot}: {shown}");
        press(&mut browser, "ArrowLeft", 37, "");
        let before = browser.evaluate(tip).as_str().expect("a text").replace('\n', "");
        assert_eq!(plot == "memory", before.ends_with(says), "{plot}: {before}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// One gateway, two, and more than there are colours; and none that was asked.
#[test]
fn each_gateway_has_a_line_up_to_six() {
    let mut browser = Browser::start();
    browser.emulate(LAPTOP.0, LAPTOP.1, "light");
    for (name, run, lines) in [
        ("gateway", sample::stalled(), ["resident"].as_slice()),
        ("gateways", sample::merged(), &["of shard 1", "of shard 2"]),
        ("many-gateways", sample::many_gateways(), &["highest", "mean", "lowest"]),
        ("no-gateway", sample::earlier(), &[]),
    ] {
        let file = written(name, &run, &[]);
        opens_well(&mut browser, &file);
        browser.picture(&folder().join(format!("{name}.png")));
        let shown = drawn(&mut browser);
        assert_eq!(
            GATEWAY.iter().all(|plot| shown.contains(&(*plot).to_owned())),
            !lines.is_empty(),
            "{name}: {shown:?}"
        );
        let section = browser.evaluate("document.querySelectorAll('#gateway').length");
        assert_eq!(section, u64::from(!lines.is_empty()), "{name}");
        for plot in GATEWAY.iter().filter(|_| !lines.is_empty()) {
            draws(&mut browser, plot);
        }
        let legend =
            "[...document.querySelectorAll('#gateway-memory .legend button')].map(one => one.innerText.trim())";
        assert_eq!(browser.evaluate(legend), serde_json::json!(lines), "{name}");
    }
}

fn press(browser: &mut Browser, key: &str, code: u32, text: &str) {
    for kind in ["keyDown", "keyUp"] {
        let mut event = serde_json::json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
        if kind == "keyDown" && !text.is_empty() {
            event["text"] = text.into();
        }
        browser.call("Input.dispatchKeyEvent", &event);
    }
}

/// Empty, short, long, failed and merged runs: nothing is broken, and nothing that can't be known is a figure.
#[test]
fn odd_runs_look_right() {
    let runs = [
        ("nothing", sample::nothing()),
        ("one-second", sample::one_second()),
        ("overflow", sample::overflow()),
        ("lost", sample::lost()),
        ("merged", sample::merged()),
        ("soak", sample::soak()),
        ("hour", sample::hour()),
    ];
    let mut browser = Browser::start();
    for (name, run) in &runs {
        let file = written(name, run, &[]);
        let text = fs::read_to_string(&file).expect("it was written");
        for broken in ["NaN", ">inf", "\"inf", "-0.0%"] {
            assert!(!text.contains(broken), "{name} has {broken}");
        }
        for (size, device) in [(LAPTOP, "laptop"), (PHONE, "phone")] {
            browser.emulate(size.0, size.1, "light");
            opens_well(&mut browser, &file);
            browser.picture(&folder().join(format!("{name}-{device}.png")));
        }
        for plot in drawn(&mut browser) {
            draws(&mut browser, &plot);
        }
    }
}

/// An hour of seconds, no two of which are the same, fits a mail and a screen.
#[test]
fn an_hour_stays_below_a_megabyte_and_a_half() {
    let run = sample::hour();
    assert_eq!(run.intervals.len(), 3_600);
    let bytes = report::html(&run, &[]).len();
    assert!(bytes < 1_500_000, "{bytes} bytes");
    let longer = report::html(&sample::soak(), &[run.clone(), run]).len();
    assert!(longer < 1_500_000, "{longer} bytes");
}

#[test]
fn the_script_is_small() {
    let page = report::html(&sample::nothing(), &[]);
    let (_, script) = page.rsplit_once("<script>").expect("the page has a script");
    assert!(script.len() < 30_000, "{} bytes", script.len());
}

/// Whatever a result holds stays text: in the page, in its title, in its data.
#[test]
fn nothing_from_a_run_becomes_markup() {
    const EVIL: &str = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&";
    let mut run = sample::stalled();
    run.config.scenario = EVIL.into();
    run.config.about = EVIL.into();
    run.config.endpoint = EVIL.into();
    run.config.slos = vec![EVIL.into()];
    run.environment.host = EVIL.into();
    run.environment.cpu = EVIL.into();
    run.gateways[0].operate = EVIL.into();
    run.findings = vec![EVIL.into()];
    run.problems = [(EVIL.into(), 3)].into();
    run.measures = [(EVIL.into(), 3.0)].into();
    run.codes = [(EVIL.into(), 3)].into();
    run.phases[1].name = EVIL.into();
    run.slos[0].rule = EVIL.into();
    run.slos[0].observed = EVIL.into();
    run.intervals[3].codes = [(EVIL.into(), 3)].into();
    run.ledger.rejected = [(EVIL.into(), 3)].into();
    run.classes = [(EVIL.into(), sample::stalled().classes["good"].clone())].into();
    let shown = run.verification.as_mut().expect("it has one");
    (shown.destination, shown.examples) = (EVIL.into(), vec![EVIL.into()]);
    let page = report::html(&run, &[run.clone()]);
    let script = page.matches("<script").count();
    assert_eq!(script, 2, "the page's script and its data");
    assert!(!page.contains("<img"));
    let file = written("evil", &run, &[run.clone()]);
    let mut browser = Browser::start();
    browser.emulate(PHONE.0, PHONE.1, "light");
    opens_well(&mut browser, &file);
    let title = browser.evaluate("document.title");
    assert!(title.as_str().is_some_and(|title| title.starts_with("</script>")), "{title}");
    assert_eq!(browser.evaluate("document.querySelectorAll('img').length"), 0);
}

/// Opens a report: only the file itself is asked for, nothing complains, and the page is no wider than the window.
fn opens_well(browser: &mut Browser, file: &Path) {
    browser.open(file);
    assert_eq!(browser.requests(), [format!("file://{}", file.display())]);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(browser.evaluate("document.documentElement.dataset.script"), "ready");
    assert_eq!(browser.overhang(), 0, "the page scrolls sideways");
}

/// The names of all plots that are drawn.
fn drawn(browser: &mut Browser) -> Vec<String> {
    let names = browser.evaluate("[...document.querySelectorAll('.stage')].map(stage => stage.dataset.plot)");
    serde_json::from_value(names).expect("names")
}

/// A plot has marks that can be seen, within its frame.
fn draws(browser: &mut Browser, plot: &str) {
    let found = browser.evaluate(&format!(
        "(() => {{ const stage = document.querySelector('[data-plot=\"{plot}\"]'); if (!stage) return null; \
         const frame = stage.querySelector('.canvas').getBoundingClientRect(); \
         const marks = [...stage.querySelectorAll('svg.marks path')]; \
         return {{ frame: [frame.left, frame.right, frame.top, frame.bottom], \
         marks: marks.filter(mark => mark.getTotalLength() > 0).map(mark => {{ \
         const box = mark.getBoundingClientRect(); return [box.left, box.right, box.top, box.bottom]; }}) }}; }})()"
    ));
    let boxes: Vec<[f64; 4]> = serde_json::from_value(found["marks"].clone()).unwrap_or_default();
    let frame: [f64; 4] = serde_json::from_value(found["frame"].clone()).unwrap_or_default();
    assert!(!boxes.is_empty(), "{plot}: nothing is drawn");
    let wide = boxes.iter().map(|[left, right, ..]| right - left).fold(0.0, f64::max);
    assert!(wide > 1.0 && frame[1] - frame[0] > 200.0, "{plot}: marks {wide} wide in a frame of {frame:?}");
    for [left, right, top, bottom] in boxes {
        let inside =
            left >= frame[0] - 2.0 && right <= frame[1] + 2.0 && top >= frame[2] - 2.0 && bottom <= frame[3] + 2.0;
        assert!(inside, "{plot}: {:?} outside of {frame:?}", [left, right, top, bottom]);
    }
}

/// Every text has a contrast of at least 4.5 to what it stands on.
fn legible(browser: &mut Browser) {
    let faint: Value = browser.evaluate(include_str!("browser/contrast.js"));
    assert_eq!(faint, serde_json::json!([]), "texts that are hard to read");
}
