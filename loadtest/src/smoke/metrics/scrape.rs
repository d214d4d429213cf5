//! The windows of a gateway, as its `/metrics` shows them.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::Counts;
use crate::drive::innermost;

const PATIENCE: Duration = Duration::from_secs(10);
/// A gateway with all the applications that it tells apart says less.
const ANSWER_MAX: usize = 64 << 20;
const EVENTS: &str = "headgate_window_events_total{";
const LOGINS: &str = "headgate_window_logins_total{";

pub(super) async fn counts(uri: &Uri, application_id: &str) -> Result<Counts, String> {
    let asked = timeout(PATIENCE, ask(uri)).await;
    let text = asked.unwrap_or_else(|_| Err(format!("no answer in {} s", PATIENCE.as_secs())));
    let text = text.map_err(|why| format!("{uri}: {why}; give the address of the operators' listener"))?;
    let application = format!("application=\"{application_id}\"");
    Ok(Counts { events: sum(&text, EVENTS, &application), logins: sum(&text, LOGINS, &application) })
}

async fn ask(uri: &Uri) -> Result<String, String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.get(uri.clone()).await.map_err(|error| innermost(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(|error| error.to_string())?;
    if status.is_success() {
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    } else {
        Err(status.to_string())
    }
}

/// Over all series of a name that are of the application; none is 0, since a new application has none.
fn sum(text: &str, name: &str, application: &str) -> u64 {
    let own = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|labels| labels.contains(application)));
    // Counters of the gateway are whole.
    own.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applications_series_are_added_up() {
        let text = "# TYPE headgate_window_events counter\n\
                    headgate_window_events_total{application=\"a\",app_version=\"1\"} 7\n\
                    headgate_window_events_total{application=\"a\",app_version=\"2\"} 3\n\
                    headgate_window_events_total{application=\"b\",app_version=\"1\"} 100\n\
                    headgate_window_logins_total{application=\"a\",app_version=\"1\"} 2\n";
        assert_eq!(sum(text, EVENTS, "application=\"a\""), 10);
        assert_eq!(sum(text, LOGINS, "application=\"a\""), 2);
        assert_eq!(sum(text, LOGINS, "application=\"c\""), 0);
    }
}
