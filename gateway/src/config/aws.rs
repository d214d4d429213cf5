//! `aws.*`: how the gateway reaches AWS. Without any of these the SDK's usual variables and files are read: `AWS_REGION`,
//! `AWS_PROFILE`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_KINESIS` and its like, container and instance credentials.

use serde::{Deserialize, Serialize};

/// Region and endpoint, for every service.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AwsSettings {
    /// The region, such as `eu-west-1`. Unset, the default: `AWS_REGION`, the profile's, or the machine's own.
    pub region: Option<String>,
    /// Where every service answers, such as `http://127.0.0.1:4566` for an emulator. Unset, the default:
    /// `AWS_ENDPOINT_URL`, one service's `AWS_ENDPOINT_URL_KINESIS` and its like, or AWS.
    pub endpoint_url: Option<String>,
}
