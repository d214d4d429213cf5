use aws_sdk_firehose::operation::put_record_batch::PutRecordBatchOutput;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{DeliveryStreamStatus, Record};

use super::super::faults::{Fault, Rule};
use super::super::{RecordError, Service};
use super::*;

async fn put(house: &House, sizes: impl IntoIterator<Item = usize>) -> Result<PutRecordBatchOutput, String> {
    let record = |size| Record::builder().data(Blob::new(vec![b'x'; size])).build().expect("all is there");
    let records = sizes.into_iter().map(record).collect();
    let call = house.firehose.put_record_batch().delivery_stream_name("d").set_records(Some(records));
    call.send().await.map_err(|error| code(&error))
}

#[tokio::test]
async fn a_delivery_stream_keeps_what_is_put_and_bills_in_units_of_5_kib() {
    let house = House::of(1).await;
    let output = put(&house, [1, 5_120, 5_121]).await.expect("it is taken");
    assert_eq!((output.failed_put_count(), output.request_responses().len()), (0, 3));
    let sizes: Vec<usize> = house.stand_in.delivered("d").iter().map(|record| record.len()).collect();
    assert_eq!(sizes, [1, 5_120, 5_121]);
    let tally = house.stand_in.tally().firehose;
    assert_eq!((tally.units.firehose_5_kib, tally.units.put_payload), (4, 0));
    assert_eq!((tally.calls["PutRecordBatch"], tally.stored_records), (1, 3));
}

#[tokio::test]
async fn a_batch_keeps_to_its_limits() {
    let house = House::of(1).await;
    assert_eq!(put(&house, []).await.expect_err("none"), "ValidationException");
    assert_eq!(put(&house, vec![1; 501]).await.expect_err("too many"), "ValidationException");
    assert_eq!(put(&house, [1_024_001]).await.expect_err("too large"), "ValidationException");
    put(&house, vec![1; 500]).await.expect("exactly as many as allowed");
    let full = [1_024_000, 1_024_000, 1_024_000, 1_024_000];
    put(&house, full.into_iter().chain([98_304])).await.expect("exactly 4 MiB");
    let over = put(&house, full.into_iter().chain([98_305])).await;
    assert_eq!(over.expect_err("a byte too many"), "InvalidArgumentException");
}

#[tokio::test]
async fn single_records_of_a_batch_fail_with_firehoses_own_codes() {
    let house = House::of(1).await;
    let fault = Fault::RecordsFail { records: 2, error: RecordError::Throttled };
    house.stand_in.faults().set(Rule::new(fault).service(Service::Firehose).times(1));
    let output = put(&house, vec![1; 10]).await.expect("the call goes well");
    assert_eq!(output.failed_put_count(), 2);
    let codes: Vec<_> = output.request_responses().iter().filter_map(|entry| entry.error_code()).collect();
    assert_eq!(codes, ["ServiceUnavailableException"; 2]);
    assert_eq!(house.stand_in.delivered("d").len(), 8);
    house.put(entries(10)).await.expect("the other service is spared");
}

#[tokio::test]
async fn delivery_streams_are_created_and_described() {
    let house = House::of(1).await;
    house.firehose.create_delivery_stream().delivery_stream_name("new").send().await.expect("it is created");
    let output = house.firehose.describe_delivery_stream().delivery_stream_name("new").send().await;
    let description = output.expect("it is there").delivery_stream_description.expect("a description");
    assert_eq!(description.delivery_stream_status(), &DeliveryStreamStatus::Active);
    let missing = house.firehose.describe_delivery_stream().delivery_stream_name("none").send().await;
    assert_eq!(code(&missing.expect_err("there is none")), "ResourceNotFoundException");
}
