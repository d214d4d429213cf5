//! Firehose: delivery streams that keep what is put into them, within PutRecordBatch's limits. Nothing is put between
//! records and nothing is de-aggregated, as with the real service's Direct PUT.

use std::sync::Mutex;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Done;
use super::error::{RecordError, Refusal, Service};
use super::parse::{Body, PutRecordBatch};
use super::state::State;
use super::tally::{Doubt, Put};

const RECORDS_MAX: usize = 500;
const CALL_BYTES_MAX: usize = 4 << 20;
const RECORD_BYTES_MAX: usize = 1_024_000;

/// See the module.
pub(super) struct DeliveryStream {
    name: String,
    keep: bool,
    records: Mutex<Vec<Bytes>>,
}

impl DeliveryStream {
    pub(super) fn new(name: &str, keep: bool) -> Self {
        Self { name: name.to_owned(), keep, records: Mutex::default() }
    }

    pub(super) fn records(&self) -> Vec<Bytes> {
        self.records.lock().expect("nothing panics with it").clone()
    }

    fn arn(&self) -> String {
        format!("arn:aws:firehose:us-east-1:000000000000:deliverystream/{}", self.name)
    }
}

pub(super) fn run(state: &State, operation: &str, body: &Body, withheld: usize) -> Result<Done, Refusal> {
    match operation {
        "PutRecordBatch" => put_record_batch(state, body, withheld),
        "CreateDeliveryStream" => {
            let stream = state.create_delivery_stream(&body.read::<Named>()?.delivery_stream_name)?;
            Ok(Answer::json(&Created { delivery_stream_arn: stream.arn() }).into())
        }
        "DescribeDeliveryStream" => describe(state, &body.read::<Named>()?.delivery_stream_name),
        _ => Err(Refusal::unknown_operation(operation)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    delivery_stream_name: String,
}

#[derive(Serialize)]
struct Created {
    #[serde(rename = "DeliveryStreamARN")]
    delivery_stream_arn: String,
}

fn describe(state: &State, name: &str) -> Result<Done, Refusal> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Described<'a> {
        delivery_stream_description: Description<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Description<'a> {
        delivery_stream_name: &'a str,
        #[serde(rename = "DeliveryStreamARN")]
        delivery_stream_arn: String,
        delivery_stream_status: &'a str,
        delivery_stream_type: &'a str,
        version_id: &'a str,
        destinations: [(); 0],
        has_more_destinations: bool,
    }
    let stream = state.delivery_stream(name).ok_or_else(|| Refusal::not_found(name))?;
    let delivery_stream_description = Description {
        delivery_stream_name: name,
        delivery_stream_arn: stream.arn(),
        delivery_stream_status: "ACTIVE",
        delivery_stream_type: "DirectPut",
        version_id: "1",
        destinations: [],
        has_more_destinations: false,
    };
    Ok(Answer::json(&Described { delivery_stream_description }).into())
}

fn put_record_batch(state: &State, body: &Body, withheld: usize) -> Result<Done, Refusal> {
    let input: PutRecordBatch<'_> = body.read()?;
    let name = &*input.delivery_stream_name.0;
    let stream = state.delivery_stream(name).ok_or_else(|| Refusal::not_found(name))?;
    let sizes = checked_sizes(&input)?;

    let mut arena = Vec::with_capacity(if stream.keep { sizes.iter().sum() } else { 0 });
    if stream.keep {
        input.records.iter().try_for_each(|record| record.data.decode_into(&mut arena))?;
    }
    let arena = Bytes::from(arena);
    let mut put = Put { records: sizes.len() as u64, ..Put::default() };
    let faults = state.faults.for_records(Service::Firehose, "PutRecordBatch", name, &vec![0; sizes.len()]);
    let errors: Vec<Option<RecordError>> = faults.unwrap_or_else(|| vec![None; sizes.len()]);

    let mut kept = Vec::new();
    let mut records = stream.records.lock().expect("nothing panics with it");
    let mut start = 0;
    for (size, error) in sizes.iter().zip(&errors) {
        match error {
            Some(error) => put.failed(*error),
            None => {
                put.stored_in_firehose(*size);
                if stream.keep {
                    kept.push(arena.slice(start..start + size));
                    records.push(arena.slice(start..start + size));
                }
            }
        }
        start += size;
    }
    drop(records);

    state.books.put(Service::Firehose, body.bytes.len(), &put);
    let doubt = Doubt::about(&state.books, Service::Firehose, put.stored, kept);
    Ok(Done { answer: render(&errors, withheld, state.next_request()), doubt })
}

/// Each record's decoded size, if the call keeps to the limits.
fn checked_sizes(input: &PutRecordBatch<'_>) -> Result<Vec<usize>, Refusal> {
    if !(1..=RECORDS_MAX).contains(&input.records.len()) {
        return Err(Refusal::validation(format!("a call holds 1 to {RECORDS_MAX} records")));
    }
    let mut sizes = Vec::with_capacity(input.records.len());
    for record in &input.records {
        let size = record.data.decoded_len().ok_or_else(|| Refusal::validation("a record's data is no base64"))?;
        if size > RECORD_BYTES_MAX {
            return Err(Refusal::validation(format!("a record holds at most {RECORD_BYTES_MAX} bytes")));
        }
        sizes.push(size);
    }
    if sizes.iter().sum::<usize>() > CALL_BYTES_MAX {
        return Err(Refusal::invalid("Records size exceeds 4 MB limit"));
    }
    Ok(sizes)
}

fn render(errors: &[Option<RecordError>], withheld: usize, call: u64) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        failed_put_count: usize,
        encrypted: bool,
        request_responses: Vec<Entry>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Entry {
        #[serde(rename_all = "PascalCase")]
        Stored { record_id: String },
        #[serde(rename_all = "PascalCase")]
        Failed { error_code: &'static str, error_message: &'static str },
    }
    let entry = |(place, error): (usize, &Option<RecordError>)| match error {
        None => Entry::Stored { record_id: format!("{call:016x}{place:08x}") },
        Some(error) => Entry::Failed { error_code: error.code(Service::Firehose), error_message: error.message() },
    };
    Answer::json(&Output {
        failed_put_count: errors.iter().flatten().count(),
        encrypted: false,
        request_responses: errors.iter().enumerate().map(entry).take(errors.len().saturating_sub(withheld)).collect(),
    })
}
