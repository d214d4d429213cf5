//! Who the gateway is to AWS: credentials, where they come from and how long they last. No secret of them is shown.

use std::time::UNIX_EPOCH;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use tokio::sync::oneshot;

use super::super::check::{Check, Verdict};
use crate::aws::{Signer, shared_config, warm_credentials};
use crate::cli::report::timestamp;
use crate::config::Settings;

/// Shorter keys are made up, and all of such a key might be shown.
const MASKABLE: usize = 12;

/// The check, and what it finds: settings to make calls with, if there are credentials.
pub(in super::super) fn check(settings: &Settings) -> (Check, oneshot::Receiver<SdkConfig>) {
    let (found, finding) = oneshot::channel();
    let settings = settings.aws.clone();
    let check = Check::new("credentials", async move {
        let failed = |error: crate::aws::AwsError| {
            let mend = "the message says what to set; in a task, look at its TaskRoleArn";
            Verdict::fail(error.to_string(), mend)
        };
        let shared = match shared_config(&settings).await {
            Ok(shared) => shared,
            Err(error) => return failed(error),
        };
        if let Err(error) = warm_credentials(&shared).await {
            return failed(error);
        }
        let credentials = match Signer::new(&shared).credentials().await {
            Ok(credentials) => credentials,
            Err(failure) => return Verdict::fail(failure.to_string(), "look at the source that the message names"),
        };
        let region = shared.region().map_or("no region", AsRef::as_ref);
        let says = format!("{}; region {region}", described(&credentials));
        // The receiver waits for this one.
        let _ = found.send(shared);
        Verdict::ok(says)
    });
    (check, finding)
}

fn described(credentials: &Credentials) -> String {
    let source = source(credentials);
    let account = credentials.account_id().map(|account| format!(", account {}", account.as_str()));
    let until = credentials.expiry().and_then(|expiry| expiry.duration_since(UNIX_EPOCH).ok());
    let until = match until {
        Some(until) => {
            format!("until {}, then fetched anew", timestamp(i64::try_from(until.as_millis()).unwrap_or(i64::MAX)))
        }
        None => "without an end".to_owned(),
    };
    let key = masked(credentials.access_key_id());
    format!("{source}, key {key}{}, {until}", account.unwrap_or_default())
}

/// The SDK's name of where they came from. It tells only in a debug output, of which nothing else is used.
fn source(credentials: &Credentials) -> String {
    let debug = format!("{credentials:?}");
    let name = debug.split_once("provider_name: \"").and_then(|(_, rest)| rest.split_once('"'));
    name.map_or("an unknown source", |(name, _)| name).to_owned()
}

/// Enough of a key's id to find it again in IAM or CloudTrail.
fn masked(key: &str) -> String {
    if key.len() < MASKABLE || !key.is_ascii() {
        return "****".to_owned();
    }
    format!("{}…{}", &key[..4], &key[key.len() - 4..])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn credentials_are_described_without_a_secret() {
        let until = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let credentials = Credentials::new(
            "ASIAEXAMPLEEXAMPLE42",
            "the-secret",
            Some("the-token".to_owned()),
            Some(until),
            "EcsContainer",
        );
        let described = described(&credentials);
        assert_eq!(described, "EcsContainer, key ASIA…LE42, until 2023-11-14T22:13:20Z, then fetched anew");
        let short = Credentials::new("test", "the-secret", None, None, "Static");
        assert_eq!(super::described(&short), "Static, key ****, without an end");
    }
}
