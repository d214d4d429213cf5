//! Calls of exactly 500 records of which exactly k fail.

use headgate_tests::five_hundred::{FiveHundred, Sent};

#[tokio::test(flavor = "multi_thread")]
async fn of_five_hundred_records_exactly_the_k_that_failed_are_sent_again() {
    let calls = FiveHundred::start(7).await;
    for k in [1, 2, 3, 7, 20, 77, 150, 249, 250, 333, 450, 498, 499, 500] {
        let sent = calls.send(k).await;
        assert_eq!(sent, Sent { stored: true, stored_records: 500, sent_again: k as u64 }, "k = {k}");
    }
    assert_eq!(calls.doubled(), 0, "each line is there once");
}
