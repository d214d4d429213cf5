//! What can't be run is refused before anything is sent, with what to give instead.

use headgate_tests::loadtest::LoadTester;

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_run_is_refused_with_what_to_give_instead() {
    let home = tempfile::tempdir().expect("a folder");
    let local = "http://127.0.0.1:1";
    let refused = [
        (vec!["--host", local, "--workload", "unsteady"], "no scenario or file `unsteady`: give one of steady"),
        (vec!["--host", "http://gateway.example:50051"], "--i-own-this-target"),
        (vec!["--host", local, "--slo", "ack.p99 < 5 potatoes"], "    ack.p99 < 5 potatoes\n"),
        (vec!["--host", local, "--verify", "s3:bucket"], "lake:PATH"),
    ];
    for (flags, says) in refused {
        let ended = LoadTester::run(home.path(), &[&["run"], &flags[..]].concat()).await;
        assert_eq!(ended.status, Some(2), "{ended}");
        assert!(ended.complained.contains(says), "{ended}");
        assert!(!ended.file("result.json").exists(), "{ended}");
        if flags.contains(&"--slo") {
            let underline = ended.complained.lines().last().unwrap_or_default();
            assert!(underline.contains("^^^^^^^^"), "{ended}");
        }
    }
}
