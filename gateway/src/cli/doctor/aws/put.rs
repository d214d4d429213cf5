//! May records be put? Without `--write` the stream is asked for a dry run; with it, a record goes in that holds no event.

use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Builder;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use headgate_proto::aggregate::{PARTITION_KEY, seal};

use super::super::check::{Check, Verdict};
use super::kinesis::{Target, distributes_itself, summary};
use super::only_aws::OnlyAws;
use super::refused::Call;
use crate::delivery::aws::errors::call_error;
use crate::delivery::sender::wire::CallError;

/// One past the end of the hash space: the service refuses such a record (InvalidArgumentException), whatever it makes
/// of the flag beside it.
const BEYOND_THE_HASH_SPACE: &str = "340282366920938463463374607431768211456";
const ACTION: &str = "kinesis:PutRecords";

pub(super) fn to_kinesis(shared: &SdkConfig, client: Client, target: Target, name: String, write: bool) -> Check {
    let guard = OnlyAws::default();
    let guarded = Client::from_conf(Builder::from(shared).interceptor(guard.clone()).build());
    Check::new(format!("put to stream {name}"), async move {
        let resource = format!("stream {name}");
        let call = Call { action: ACTION, resource: &resource, if_missing: "create it, or change kinesis.stream" };
        if write { stored(&client, &target, call).await } else { dry(&guarded, &guard, &target, call).await }
    })
}

/// A record that can't be stored, with the flag that none is to be.
async fn dry(client: &Client, guard: &OnlyAws, target: &Target, call: Call<'_>) -> Verdict {
    let record = PutRecordsRequestEntry::builder()
        .data(Blob::new(seal(&[], 0)))
        .partition_key(PARTITION_KEY)
        .explicit_hash_key(BEYOND_THE_HASH_SPACE)
        .build();
    let Ok(record) = record else { return Verdict::skip("the dry run can't be put together") };
    let answer = client
        .put_records()
        .set_stream_arn(target.arn.clone())
        .set_stream_name(target.name.clone())
        .records(record)
        .dry_run(true)
        .send()
        .await;
    match answer {
        Err(_) if guard.held_back() => {
            Verdict::skip("not tried: only AWS itself is known to store nothing in a dry run; --write puts a record")
        }
        Err(error) => judged(&call_error(&error), call),
        // Neither the flag nor the key was heeded, and the record's own entry says that nothing was stored, or not.
        Ok(answer) if answer.failed_record_count == Some(1) => Verdict::ok("allowed (a dry run)"),
        Ok(_) => Verdict::warn(
            "allowed, and the dry run stored a record that holds no event",
            "nothing: no consumer finds an event in it. Report it, since a dry run is to store nothing",
        ),
    }
}

fn judged(error: &CallError, call: Call<'_>) -> Verdict {
    match &*error.code {
        // Both come from a service that has looked at who asks: it does so before it looks at what is asked.
        "DryRunOperationException" => Verdict::ok("allowed (a dry run)"),
        "InvalidArgumentException" => Verdict::ok("allowed (a record that can't be stored was refused as such)"),
        _ => call.failed(error),
    }
}

/// An aggregated record of no user records: whoever takes aggregates apart finds nothing in it.
async fn stored(client: &Client, target: &Target, call: Call<'_>) -> Verdict {
    let auto = match summary(client, target).await {
        Ok(summary) => summary.is_some_and(|summary| distributes_itself(&summary)),
        Err(error) => return call.refused(&error),
    };
    let mut record = PutRecordsRequestEntry::builder().data(Blob::new(seal(&[], 0)));
    // A stream that distributes records itself takes no keys.
    if !auto {
        record = record.partition_key(PARTITION_KEY).explicit_hash_key("0");
    }
    let Ok(record) = record.build() else { return Verdict::skip("the record can't be put together") };
    let answer = client
        .put_records()
        .set_stream_arn(target.arn.clone())
        .set_stream_name(target.name.clone())
        .records(record)
        .send()
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return call.refused(&error),
    };
    match answer.records().first().map(|record| (record.shard_id(), record.error_code())) {
        Some((Some(shard), None)) => Verdict::ok(format!("a record without an event is in {shard}")),
        Some((_, Some(code))) => Verdict::warn(
            format!("the stream answered {code} for the record"),
            "ProvisionedThroughputExceededException: more shards, or on-demand mode; else run it again",
        ),
        _ => Verdict::fail("the answer says nothing of the record", "is the endpoint AWS's?"),
    }
}

#[cfg(test)]
mod tests {
    use headgate_proto::aggregate::read_aggregate;

    use super::super::super::check::Level;
    use super::*;
    use crate::delivery::sender::wire::CallFailure;

    #[test]
    fn a_dry_run_is_judged_by_whether_the_service_looked_past_who_asks() {
        let level = |code: &str| {
            let call = Call { action: ACTION, resource: "stream s", if_missing: "" };
            let error = CallError { failure: CallFailure::Permanent, code: code.into(), message: String::new() };
            judged(&error, call).level
        };
        assert_eq!(level("DryRunOperationException"), Level::Ok);
        assert_eq!(level("InvalidArgumentException"), Level::Ok);
        assert_eq!(level("AccessDeniedException"), Level::Fail);
        assert_eq!(level("KMSAccessDeniedException"), Level::Fail);
    }

    #[test]
    fn what_is_written_holds_no_event_and_what_is_not_can_not_be_stored() {
        assert_eq!(read_aggregate(&seal(&[], 0)).map(|records| records.len()), Some(0));
        assert_eq!(BEYOND_THE_HASH_SPACE.parse::<u128>().ok(), None);
        assert_eq!((u128::MAX % 10 + 1).to_string(), &BEYOND_THE_HASH_SPACE[BEYOND_THE_HASH_SPACE.len() - 1..]);
    }
}
