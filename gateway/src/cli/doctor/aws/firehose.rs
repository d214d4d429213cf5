//! Delivery streams: there, active, put to directly, and taking apart what is put into one record.

use aws_config::SdkConfig;
use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::Builder;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{
    DeliveryStreamDescription, DeliveryStreamEncryptionStatus, DeliveryStreamStatus, DeliveryStreamType, ProcessorType,
    Record,
};

use super::super::check::{Check, Verdict};
use super::refused::Call;
use super::skew::Skew;
use crate::config::{BadRowsKind, Settings};

/// Past so many records in one, Firehose hands it on as it is (its API's text on RecordDeAggregation).
const TAKEN_APART: u32 = 500;
/// What is put with `--write`: a line with nothing on it, which every reader of JSON lines passes over.
const EMPTY_LINE: &[u8] = b"\n";
const IF_MISSING: &str =
    "create it with Direct PUT as its source, or change firehose.delivery_stream or firehose.bad_rows_stream";

pub(super) fn checks(shared: &SdkConfig, settings: &Settings, write: bool, skew: &Skew) -> Vec<Check> {
    let client = Client::from_conf(Builder::from(shared).interceptor(skew.clone()).build());
    let firehose = &settings.firehose;
    let bad_rows = (settings.delivery.bad_rows == BadRowsKind::Firehose).then_some(&firehose.bad_rows_stream);
    let streams =
        [Some((&firehose.delivery_stream, Some(firehose.max_events_per_record))), bad_rows.map(|name| (name, None))];
    let mut checks = Vec::new();
    for (setting, max_events) in streams.into_iter().flatten().filter(|(setting, _)| !setting.is_empty()) {
        // The API takes names only; an ARN ends in one.
        let name = setting.rsplit('/').next().unwrap_or_default().to_owned();
        let (asking, asked) = (client.clone(), name.clone());
        checks.push(Check::new(format!("delivery stream {name}"), async move {
            described(&asking, &asked, max_events).await
        }));
        let (putting, put_to) = (client.clone(), name.clone());
        checks.push(Check::new(format!("put to delivery stream {name}"), async move {
            if write { stored(&putting, &put_to).await } else { not_tried() }
        }));
    }
    checks
}

fn not_tried() -> Verdict {
    Verdict::skip("not tried: Firehose has no dry run; --write puts an empty line")
}

/// `max_events`: what `firehose.max_events_per_record` says, where events go there.
async fn described(client: &Client, name: &str, max_events: Option<u32>) -> Verdict {
    let resource = format!("delivery stream {name}");
    let call = Call { action: "firehose:DescribeDeliveryStream", resource: &resource, if_missing: IF_MISSING };
    match client.describe_delivery_stream().delivery_stream_name(name).limit(1).send().await {
        Err(error) => call.refused(&error),
        Ok(answer) => match answer.delivery_stream_description {
            None => Verdict::fail("the answer has no description", "is the endpoint AWS's?"),
            Some(stream) => judged(&stream, max_events),
        },
    }
}

fn judged(stream: &DeliveryStreamDescription, max_events: Option<u32>) -> Verdict {
    let (status, source) = (&stream.delivery_stream_status, &stream.delivery_stream_type);
    let encryption = stream.delivery_stream_encryption_configuration();
    let encryption = encryption.and_then(|encryption| encryption.status());
    let encrypted = encryption.map_or("not told", DeliveryStreamEncryptionStatus::as_str);
    let says = format!("{status}, source {source}, encryption {encrypted}");
    match status {
        DeliveryStreamStatus::Active => {}
        DeliveryStreamStatus::Creating => return Verdict::fail(says, "wait until it is active"),
        _ => return Verdict::fail(says, IF_MISSING),
    }
    if *source != DeliveryStreamType::DirectPut {
        return Verdict::fail(says, "name one whose source is Direct PUT: this one takes no records put to it");
    }
    let takes_apart = takes_apart(stream);
    match max_events {
        Some(most) if takes_apart && (most == 0 || most > TAKEN_APART) => Verdict::warn(
            format!(
                "{says}; it takes apart {TAKEN_APART} events a record, and {} are put into one",
                if most == 0 { "more".to_owned() } else { most.to_string() }
            ),
            "set firehose.max_events_per_record = 500",
        ),
        Some(most) if takes_apart => Verdict::ok(format!("{says}; takes records apart, {most} events in one at most")),
        _ => Verdict::ok(says),
    }
}

/// Whether de-aggregation is on; only a destination in S3 has it.
fn takes_apart(stream: &DeliveryStreamDescription) -> bool {
    let destinations = stream.destinations().iter().filter_map(|one| one.extended_s3_destination_description());
    let mut processing = destinations.filter_map(|s3| s3.processing_configuration());
    processing.any(|processing| {
        let mut kinds = processing.processors().iter().map(|processor| processor.r#type());
        processing.enabled() == Some(true) && kinds.any(|kind| *kind == ProcessorType::RecordDeAggregation)
    })
}

async fn stored(client: &Client, name: &str) -> Verdict {
    let resource = format!("delivery stream {name}");
    let call = Call { action: "firehose:PutRecordBatch", resource: &resource, if_missing: IF_MISSING };
    let Ok(record) = Record::builder().data(Blob::new(EMPTY_LINE)).build() else {
        return Verdict::skip("the record can't be put together");
    };
    match client.put_record_batch().delivery_stream_name(name).records(record).send().await {
        Err(error) => call.refused(&error),
        Ok(answer) if answer.failed_put_count == 0 => Verdict::ok("an empty line is in it"),
        Ok(answer) => {
            let code = answer.request_responses().first().and_then(|one| one.error_code()).unwrap_or("no code");
            Verdict::warn(format!("it answered {code} for the record"), "it is at its quota, or fails: run it again")
        }
    }
}
