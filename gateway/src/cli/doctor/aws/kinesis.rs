//! The data stream: there, active, listed, kept as long and as safe as it should be.

use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Builder;
use aws_sdk_kinesis::types::{
    EncryptionType, RecordDistributionStrategy, ShardFilter, ShardFilterType, StreamDescriptionSummary, StreamMode,
    StreamStatus,
};

use super::super::check::{Check, Verdict};
use super::put;
use super::refused::Call;
use super::skew::Skew;
use crate::config::{Routing, Settings};

/// A weekend: so long may everybody who would mend a consumer be away.
const SHORT_RETENTION_HOURS: i32 = 48;
const IF_MISSING: &str = "create it, or change kinesis.stream, or the region";

/// The stream as calls name it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) arn: Option<String>,
    pub(super) name: Option<String>,
}

impl Target {
    fn of(setting: &str) -> Self {
        match setting.starts_with("arn:") {
            true => Self { arn: Some(setting.to_owned()), name: None },
            false => Self { arn: None, name: Some(setting.to_owned()) },
        }
    }
}

pub(super) fn checks(shared: &SdkConfig, settings: &Settings, write: bool, skew: &Skew) -> Vec<Check> {
    let stream = settings.kinesis.stream.clone();
    if stream.is_empty() {
        return Vec::new();
    }
    let client = Client::from_conf(Builder::from(shared).interceptor(skew.clone()).build());
    let (target, routing) = (Target::of(&stream), settings.kinesis.routing);
    let shown = stream.rsplit('/').next().unwrap_or_default().to_owned();
    let describing = {
        let (client, target, shown) = (client.clone(), target.clone(), shown.clone());
        Check::new(format!("stream {shown}"), async move { described(&client, &target, &shown, routing).await })
    };
    let putting = put::to_kinesis(shared, client, target, shown, write);
    vec![describing, putting]
}

async fn described(client: &Client, target: &Target, name: &str, routing: Routing) -> Verdict {
    let resource = format!("stream {name}");
    let call = |action| Call { action, resource: &resource, if_missing: IF_MISSING };
    let summary = match summary(client, target).await {
        Ok(Some(summary)) => summary,
        Ok(None) => return Verdict::fail("the answer has no description", "is the endpoint AWS's?"),
        Err(error) => return call("kinesis:DescribeStreamSummary").refused(&error),
    };
    let filter = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build();
    let listed = client
        .list_shards()
        .set_stream_arn(target.arn.clone())
        .set_stream_name(target.name.clone())
        .set_shard_filter(filter.ok())
        .send()
        .await;
    if let Err(error) = listed {
        return call("kinesis:ListShards").refused(&error);
    }
    judged(&summary, routing)
}

pub(super) async fn summary(
    client: &Client,
    target: &Target,
) -> Result<
    Option<StreamDescriptionSummary>,
    aws_sdk_kinesis::error::SdkError<
        aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError,
        aws_smithy_runtime_api::client::orchestrator::HttpResponse,
    >,
> {
    let asked = client
        .describe_stream_summary()
        .set_stream_arn(target.arn.clone())
        .set_stream_name(target.name.clone())
        .send()
        .await;
    asked.map(|answer| answer.stream_description_summary)
}

pub(super) fn distributes_itself(summary: &StreamDescriptionSummary) -> bool {
    summary.record_distribution_strategy == Some(RecordDistributionStrategy::Auto)
}

fn judged(summary: &StreamDescriptionSummary, routing: Routing) -> Verdict {
    let mode = summary.stream_mode_details.as_ref().map_or("PROVISIONED", |mode| mode.stream_mode.as_str());
    let encryption = summary.encryption_type.as_ref().map_or("NONE", EncryptionType::as_str);
    let (shards, kept) = (summary.open_shard_count, summary.retention_period_hours);
    let status = &summary.stream_status;
    let says = format!("{status}, {mode}, {shards} open shards, kept {kept} h, encryption {encryption}");
    match status {
        StreamStatus::Active | StreamStatus::Updating => {}
        StreamStatus::Creating => return Verdict::fail(says, "wait until it is active"),
        _ => return Verdict::fail(says, IF_MISSING),
    }
    if distributes_itself(summary) {
        let spread = format!("{says}; it spreads records itself (RecordDistributionStrategy=AUTO)");
        return match routing {
            Routing::Keyed => {
                let mend =
                    "set kinesis.routing = \"sticky\", or the stream's strategy to its default: it keeps no order";
                Verdict::fail(spread, mend)
            }
            Routing::Sticky => {
                Verdict::warn(spread, "set its strategy to the default: one event a record costs many times as much")
            }
        };
    }
    if encryption == EncryptionType::None.as_str() {
        return Verdict::warn(says, "encrypt it (`aws kinesis start-stream-encryption`), as the data stack does");
    }
    if kept < SHORT_RETENTION_HOURS {
        return Verdict::warn(says, "raise StreamRetentionHours to 48 at least: so long may consumers be down");
    }
    if mode == StreamMode::Provisioned.as_str() && shards < 2 {
        return Verdict::warn(says, "use two shards at least: one that throttles leaves no other to go to");
    }
    Verdict::ok(says)
}
