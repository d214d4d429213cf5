use aws_sdk_kinesis::error::SdkError;
use tokio::time::Instant;

use super::super::faults::{Fault, Operations, Rule};
use super::super::{CallError, RecordError};
use super::*;
use crate::poll::until;

#[tokio::test]
async fn exactly_as_many_records_fail_as_asked_and_the_rest_is_stored() {
    let house = House::of(2).await;
    let fault = Fault::RecordsFail { records: 3, error: RecordError::InternalFailure };
    house.stand_in.faults().set(Rule::new(fault).times(2));
    let mut places = Vec::new();
    for _ in 0..2 {
        let output = house.put(entries(20)).await.expect("the call goes well");
        assert_eq!(output.failed_record_count(), Some(3));
        places.push(failed(&output));
        assert_eq!(output.records()[places.last().expect("one")[0]].error_code(), Some("InternalFailure"));
    }
    assert_ne!(places[0], places[1], "at random places");
    assert_eq!(house.put(entries(20)).await.expect("it is taken").failed_record_count(), Some(0));
    assert_eq!(house.stored().len(), 54);
    let tally = house.stand_in.tally();
    assert_eq!((tally.kinesis.failed_records["InternalFailure"], tally.faults["records_fail"]), (6, 6));
}

#[tokio::test]
async fn a_seed_replays_which_records_fail() {
    let run = async |seed| {
        let settings = Settings { seed, ..Settings::default() };
        let house = House::with(settings, StreamSettings::new("s", 2), PATIENCE).await;
        let fault = Fault::EachRecordFails { probability: 0.3, error: RecordError::Throttled };
        house.stand_in.faults().set(Rule::new(fault));
        let mut places = Vec::new();
        for _ in 0..5 {
            places.push(failed(&house.put(entries(50)).await.expect("the call goes well")));
        }
        places
    };
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
}

#[tokio::test]
async fn whole_calls_fail_with_the_services_error_types_and_store_nothing() {
    let house = House::of(1).await;
    let errors = [
        (CallError::InternalFailure, "InternalFailure", 500),
        (CallError::ServiceUnavailable, "ServiceUnavailable", 503),
        (CallError::Throttled, "ProvisionedThroughputExceededException", 400),
        (CallError::ResourceNotFound, "ResourceNotFoundException", 400),
        (CallError::AccessDenied, "AccessDeniedException", 400),
        (CallError::ExpiredToken, "ExpiredTokenException", 400),
        (CallError::UnrecognizedClient, "UnrecognizedClientException", 400),
        (CallError::InvalidArgument, "InvalidArgumentException", 400),
        (CallError::KmsAccessDenied, "KMSAccessDeniedException", 400),
    ];
    for (error, kind, status) in errors {
        house.stand_in.faults().set(Rule::new(Fault::CallFails(error)).times(1));
        let put = house.kinesis.put_records().stream_name("s").set_records(Some(entries(1))).send().await;
        let refused = put.expect_err("it is refused");
        assert_eq!(code(&refused), kind);
        assert_eq!(refused.raw_response().expect("a response").status().as_u16(), status);
        assert_eq!(house.stand_in.tally().kinesis.call_errors[kind], 1);
    }
    assert!(house.stored().is_empty() && house.stand_in.faults().spent());
}

#[tokio::test]
async fn a_rule_hits_only_its_scope() {
    let house = House::of(2).await;
    house.stand_in.create_stream(StreamSettings::new("other", 1));
    let error = RecordError::InternalFailure;
    let of_shard = house.stand_in.faults().set(Rule::new(Fault::RecordsFail { records: 500, error }).shard(1));
    let output = house.put(vec![entry_at(0, "spared"), entry_at(u128::MAX, "hit")]).await.expect("it goes well");
    assert_eq!(failed(&output), [1]);
    house.stand_in.faults().unset(of_shard);

    house.stand_in.faults().set(Rule::new(Fault::CallFails(CallError::AccessDenied)).stream("other"));
    house.put(entries(1)).await.expect("another stream is spared");
    let put = house.kinesis.put_records().stream_name("other").set_records(Some(entries(1))).send().await;
    assert_eq!(code(&put.expect_err("it is hit")), "AccessDeniedException");
    house.stand_in.faults().clear();

    let rule = Rule::new(Fault::CallFails(CallError::Throttled)).operations(Operations::Named("ListShards"));
    house.stand_in.faults().set(rule);
    house.put(entries(1)).await.expect("another operation is spared");
    let list = house.kinesis.list_shards().stream_name("s").send().await;
    assert_eq!(code(&list.expect_err("it is hit")), "ProvisionedThroughputExceededException");
}

#[tokio::test]
async fn a_hung_call_is_never_answered_and_stores_nothing() {
    let house = House::with_impatient_client(1).await;
    house.stand_in.faults().set(Rule::new(Fault::Hang).times(1));
    let put = house.kinesis.put_records().stream_name("s").set_records(Some(entries(1))).send().await;
    assert!(matches!(put, Err(SdkError::TimeoutError(_))));
    assert!(house.stored().is_empty());
    assert_eq!(house.stand_in.tally().kinesis.ambiguous_calls, 0);
    house.put(entries(1)).await.expect("later calls go well");
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_commit_leaves_stored_records_in_doubt() {
    for fault in [Fault::AnswerLost, Fault::AnswerReset, Fault::AnswerCut] {
        let house = House::with_impatient_client(1).await;
        house.stand_in.faults().set(Rule::new(fault).times(1));
        let put = house.kinesis.put_records().stream_name("s").set_records(Some(entries(3))).send().await;
        let error = put.expect_err("there is no whole answer");
        let timed_out = matches!(error, SdkError::TimeoutError(_));
        assert_eq!(timed_out, fault == Fault::AnswerLost, "{fault:?}: {error:?}");
        assert_eq!(house.stored().len(), 3, "{fault:?}");
        let tally = house.stand_in.tally();
        assert_eq!((tally.kinesis.ambiguous_calls, tally.kinesis.ambiguous_records), (1, 3), "{fault:?}");
        assert_eq!(tally.faults[fault.name()], 1);
        house.put(entries(3)).await.expect("later calls go well");
    }
}

#[tokio::test]
async fn an_answer_can_lack_its_last_entries() {
    let house = House::of(1).await;
    house.stand_in.faults().set(Rule::new(Fault::AnswerShort { missing: 4 }).times(1));
    let output = house.put(entries(10)).await.expect("it is answered");
    assert_eq!((output.records().len(), house.stored().len()), (6, 10));
    assert_eq!(house.stand_in.tally().kinesis.ambiguous_records, 10);
}

#[tokio::test]
async fn a_slow_answer_comes_and_one_that_is_not_waited_for_is_in_doubt() {
    let house = House::of(1).await;
    let delay = Duration::from_millis(120);
    house.stand_in.faults().set(Rule::new(Fault::SlowAnswer(delay)).times(1));
    let start = Instant::now();
    house.put(entries(1)).await.expect("it is answered");
    assert!(start.elapsed() >= delay);
    assert_eq!(house.stand_in.tally().kinesis.ambiguous_calls, 0);

    let house = House::with_impatient_client(1).await;
    house.stand_in.faults().set(Rule::new(Fault::SlowAnswer(PATIENCE)).times(1));
    house.put(entries(2)).await.expect_err("it is too slow");
    let doubt = async || (house.stand_in.tally().kinesis.ambiguous_records == 2).then_some(());
    until("the stand-in notices that its client has gone", PATIENCE, doubt).await;
    assert_eq!(house.stored().len(), 2);
}

#[tokio::test]
async fn a_late_commit_happens_even_when_nobody_waits_for_it() {
    let house = House::with_impatient_client(1).await;
    house.stand_in.faults().set(Rule::new(Fault::LateCommit(IMPATIENCE * 2)).times(1));
    house.put(entries(2)).await.expect_err("it is too late");
    assert!(house.stored().is_empty());
    house.put(vec![entry("k", "overtakes")]).await.expect("it is taken");
    let committed = async || (house.stored().len() == 3).then_some(());
    until("the late call commits", PATIENCE, committed).await;
    let doubt = async || (house.stand_in.tally().kinesis.ambiguous_records == 2).then_some(());
    until("its records are counted as in doubt", PATIENCE, doubt).await;
}

#[tokio::test]
async fn a_reset_before_reading_stores_nothing() {
    let house = House::of(1).await;
    house.stand_in.faults().set(Rule::new(Fault::ResetBeforeReading).times(1));
    let put = house.kinesis.put_records().stream_name("s").set_records(Some(entries(1))).send().await;
    assert!(matches!(put, Err(SdkError::DispatchFailure(_))));
    assert!(house.stored().is_empty());
}

#[tokio::test]
async fn a_stale_connection_fails_its_next_call_and_a_new_one_does_not() {
    let house = House::of(1).await;
    house.stand_in.faults().set(Rule::new(Fault::StaleConnection).times(1));
    house.put(entries(1)).await.expect("the connection is new");
    let put = house.kinesis.put_records().stream_name("s").set_records(Some(entries(1))).send().await;
    assert!(matches!(put, Err(SdkError::DispatchFailure(_))), "it went over the pooled connection");
    house.put(entries(1)).await.expect("the connection is new");
    assert_eq!(house.stored().len(), 2);
}

#[tokio::test]
async fn a_closed_port_refuses_and_opens_again() {
    let house = House::of(1).await;
    house.put(entries(1)).await.expect("it is taken");
    house.stand_in.refuse_connections().await;
    house.stand_in.reset_connections();
    let connections = house.stand_in.tally().connections;
    let refused = async || {
        let put = house.kinesis.put_records().stream_name("s").set_records(Some(entries(1))).send().await;
        matches!(put, Err(SdkError::DispatchFailure(_))).then_some(())
    };
    until("the client is refused", PATIENCE, refused).await;
    assert_eq!(house.stand_in.tally().connections, connections);
    house.stand_in.accept_connections().await;
    house.put(entries(1)).await.expect("it is taken");
}

#[tokio::test]
async fn idle_connections_are_closed_without_notice() {
    let house = House::of(1).await;
    house.put(entries(1)).await.expect("it is taken");
    let closed = async || (house.stand_in.close_idle_connections() == 1).then_some(());
    until("the connection is idle", PATIENCE, closed).await;
    let gone = async || (house.stand_in.close_idle_connections() == 0).then_some(());
    until("the connection is closed", PATIENCE, gone).await;
    house.stand_in.close_connections_idle_for(Some(Duration::from_millis(20)));
    let put = async || house.put(entries(1)).await.ok();
    until("a call finds a good connection", PATIENCE, put).await;
    let gone = async || {
        house.stand_in.close_connections_idle_for(Some(Duration::from_millis(1)));
        (house.stand_in.state.links.open_now() == 0).then_some(())
    };
    until("the limit closes it", PATIENCE, gone).await;
}
