//! The report of a real run, in a real browser.

use crate::browser::Browser;

use super::House;

/// Every plot that a run without a fault has something to show in, and those of the gateway that it asked.
const PLOTS: [&str; 12] = [
    "latency",
    "heat",
    "events",
    "flight",
    "online",
    "lag",
    "spectrum",
    "memory",
    "descriptors",
    "tasks",
    "unsettled",
    "budget",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_real_run_draws_every_plot_and_asks_for_nothing_else() {
    let house = House::new().await;
    let operate = house.gateway.operate_address().to_string();
    let ended = house.load(&["--run-time", "5", "--allow-invalid", "--operate", &operate]).ended().await;
    let _ = ended.result(0);
    let file = ended.file("report.html");
    let look = tokio::task::spawn_blocking(move || {
        let mut browser = Browser::start();
        browser.emulate(1_280, 900, "light");
        browser.open(&file);
        assert_eq!(browser.requests(), [format!("file://{}", file.display())]);
        assert_eq!(browser.complaints(), Vec::<String>::new());
        for plot in PLOTS {
            let marks = browser.evaluate(&format!(
                "[...document.querySelectorAll('[data-plot=\"{plot}\"] svg.marks path')]\
                 .filter(mark => mark.getTotalLength() > 0).length"
            ));
            assert!(marks.as_u64().is_some_and(|marks| marks > 0), "{plot}: {marks} marks");
        }
    });
    look.await.expect("the report is whole");
}
