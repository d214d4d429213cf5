//! What the metrics function has published to CloudWatch.
//!
//! Of CloudWatch this asks one thing, which its Query API answers; the store's HTTP client and signature carry it, in the
//! place of another SDK.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_config::BehaviorVersion;
use form_urlencoded::Serializer;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpClient, HttpConnector, HttpRequest, ReqwestConnector};
use object_store::{ClientOptions, CredentialProvider};
use serde::Deserialize;

use super::super::events::APP_VERSION;
use super::{Counts, Tally};
use crate::drive::innermost;
use crate::load::epoch_now;
use crate::store::FromSdk;

/// The variable with an endpoint for CloudWatch alone; aws-config reads the one for all services.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_CLOUDWATCH";
const VERSION: &str = "2010-08-01";
const CALL: Duration = Duration::from_secs(20);
/// As the function has them (`deploy/functions/src/metrics`), all of them: CloudWatch adds nothing up over a dimension that
/// is left out.
const DIMENSIONS: [&str; 2] = ["APPLICATION_ID", "APP_VERSION"];
const METRICS: [(&str, &str); 2] = [("events", "TotalEvents"), ("logins", "TotalLogins")];
/// Of its windows.
const MINUTE_S: u64 = 60;
/// Before the start, for clocks that are apart.
const BEFORE_S: u64 = 120;

pub(super) struct CloudWatch<'a> {
    namespace: &'a str,
    region: String,
    endpoint: String,
    credentials: Arc<FromSdk>,
    http: HttpClient,
}

impl<'a> CloudWatch<'a> {
    pub(super) async fn open(namespace: &'a str) -> Result<Self, String> {
        // Pinned, as the gateway has it.
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
        let region = config.region().ok_or("no AWS region: set AWS_REGION to the gateway's")?.to_string();
        let credentials = config.credentials_provider().ok_or("no AWS credentials: give the task a role")?;
        let given = std::env::var(ENDPOINT_VARIABLE).ok().or_else(|| config.endpoint_url().map(str::to_owned));
        let options = ClientOptions::new().with_timeout(CALL).with_allow_http(given.is_some());
        let http = ReqwestConnector::default().connect(&options).map_err(|error| error.to_string())?;
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = given.unwrap_or_else(|| format!("https://monitoring.{region}.{domain}"));
        let endpoint = format!("{}/", endpoint.trim_end_matches('/'));
        Ok(Self { namespace, region, endpoint, credentials: FromSdk::new(credentials), http })
    }

    pub(super) async fn counts(&self, tally: &Tally<'_>) -> Result<Counts, String> {
        let mut counts = Counts::default();
        let mut next = None;
        loop {
            let page = self.page(&self.query(tally, next.as_deref())).await.map_err(|why| {
                format!(
                    "CloudWatch, {}: {why}; the role needs cloudwatch:GetMetricData in {}",
                    self.endpoint, self.region
                )
            })?;
            counts.events += page.sum("events");
            counts.logins += page.sum("logins");
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(counts);
            }
        }
    }

    fn query(&self, tally: &Tally<'_>, next: Option<&str>) -> String {
        // Whole minutes: one that had begun before the start of the range would be left out.
        let from = (tally.began as u64).saturating_sub(BEFORE_S) / MINUTE_S * MINUTE_S;
        let to = epoch_now() as u64 + MINUTE_S;
        let time = |s: u64| humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(s)).to_string();
        let mut query = Serializer::new(String::new());
        query.append_pair("Action", "GetMetricData").append_pair("Version", VERSION);
        query.append_pair("StartTime", &time(from)).append_pair("EndTime", &time(to));
        if let Some(next) = next {
            query.append_pair("NextToken", next);
        }
        for (place, (id, name)) in METRICS.iter().enumerate() {
            let member = format!("MetricDataQueries.member.{}", place + 1);
            let mut set = |field: &str, value: &str| {
                query.append_pair(&format!("{member}.{field}"), value);
            };
            set("Id", id);
            set("MetricStat.Metric.Namespace", self.namespace);
            set("MetricStat.Metric.MetricName", name);
            for (place, (name, value)) in DIMENSIONS.iter().zip([tally.application_id, APP_VERSION]).enumerate() {
                let dimension = format!("MetricStat.Metric.Dimensions.member.{}", place + 1);
                set(&format!("{dimension}.Name"), name);
                set(&format!("{dimension}.Value"), value);
            }
            set("MetricStat.Period", &MINUTE_S.to_string());
            set("MetricStat.Stat", "Sum");
        }
        query.finish()
    }

    async fn page(&self, query: &str) -> Result<Page, String> {
        let credential = self.credentials.get_credential().await.map_err(|error| innermost(&error))?;
        let mut request: HttpRequest = http::Request::post(&self.endpoint)
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(query.to_owned().into())
            .map_err(|error| error.to_string())?;
        let authorizer = AwsAuthorizer::new(&credential, "monitoring", &self.region);
        authorizer.try_authorize(&mut request, None).map_err(|error| error.to_string())?;
        let answer = self.http.execute(request).await.map_err(|error| innermost(&error))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(|error| innermost(&error))?;
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(match quick_xml::de::from_str::<Refusal>(&text) {
                Ok(Refusal { error }) => format!("{}: {}", error.code, error.message.trim_end_matches('.')),
                Err(_) => status.to_string(),
            });
        }
        let read: Result<Answer, _> = quick_xml::de::from_str(&text);
        read.map(|answer| answer.page).map_err(|error| format!("its answer can't be read: {error}"))
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "GetMetricDataResult")]
    page: Page,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    metric_data_results: Members<Found>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    id: String,
    #[serde(default)]
    values: Members<f64>,
}

#[derive(Debug, Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(rename = "Error")]
    error: Why,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Why {
    code: String,
    message: String,
}

impl Page {
    /// Counts are whole.
    fn sum(&self, id: &str) -> u64 {
        let of_it = self.metric_data_results.member.iter().filter(|found| found.id == id);
        of_it.flat_map(|found| &found.values.member).sum::<f64>() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // As the API reference has it.
    #[test]
    fn the_values_of_all_minutes_are_added_up() {
        let text = "<GetMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">\
            <GetMetricDataResult><MetricDataResults>\
            <member><Id>events</Id><Label>TotalEvents</Label><StatusCode>Complete</StatusCode>\
            <Timestamps><member>2026-09-21T14:13:00Z</member><member>2026-09-21T14:14:00Z</member></Timestamps>\
            <Values><member>1500.0</member><member>500.0</member></Values></member>\
            <member><Id>logins</Id><Label>TotalLogins</Label><StatusCode>Complete</StatusCode><Timestamps/><Values/></member>\
            </MetricDataResults><Messages/></GetMetricDataResult>\
            <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetMetricDataResponse>";
        let page = quick_xml::de::from_str::<Answer>(text).expect("it reads").page;
        assert_eq!((page.sum("events"), page.sum("logins"), page.next_token), (2_000, 0, None));
        let none = "<R><GetMetricDataResult><MetricDataResults/></GetMetricDataResult></R>";
        assert_eq!(quick_xml::de::from_str::<Answer>(none).expect("it reads").page.sum("events"), 0);
    }
}
