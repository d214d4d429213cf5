//! The store's errors, told apart by what is to be done about them.

use std::error::Error as _;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

use super::credentials::CREDENTIALS;
use super::{Place, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Put,
    Get,
    List,
}

/// Where something went wrong.
#[derive(Clone, Copy)]
pub(super) struct Fault<'a> {
    pub(super) doing: Doing,
    pub(super) name: &'a str,
    pub(super) place: &'a Place,
    pub(super) region: &'a str,
    pub(super) tries: u32,
    pub(super) took: Duration,
}

impl Fault<'_> {
    /// What it is, and whether it lasts: then another try is in vain.
    pub(super) fn of(&self, error: &Error) -> (StoreError, bool) {
        let text = whole(error);
        let code = tag(&text, "Code");
        let url = || self.place.url(self.name);
        let bucket = self.place.bucket.clone();
        let failed = |says: String| StoreError::Failed { url: url(), says, tries: self.tries, took: self.took };
        match (error, code) {
            (Error::Generic { store: CREDENTIALS, source }, _) => match source.downcast_ref() {
                // What the chain has tried is a page of text, and the mend says what it looks for.
                Some(CredentialsError::CredentialsNotLoaded(_)) => {
                    (StoreError::Credentials("none are found".to_owned()), true)
                }
                // Those of a task or an instance may come with the next try.
                _ => (StoreError::Credentials(innermost(&**source)), false),
            },
            (_, Some("NoSuchBucket")) => (StoreError::NoBucket(bucket), true),
            (_, Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")) => {
                (StoreError::OtherRegion { bucket, region: self.region.to_owned() }, true)
            }
            // S3 redirects to a bucket's own region without saying where that is.
            _ if text.contains("incorrectly configured region") => {
                (StoreError::OtherRegion { bucket, region: self.region.to_owned() }, true)
            }
            // Two conditional writes at once.
            (_, Some("ConditionalRequestConflict")) => (failed("another write at the same time".to_owned()), false),
            (Error::AlreadyExists { .. } | Error::Precondition { .. }, _) => (StoreError::There(url()), true),
            (Error::NotFound { .. }, _) => (StoreError::Missing(url()), true),
            (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => {
                let needs = match self.doing {
                    Doing::Put => "s3:PutObject",
                    Doing::Get => "s3:GetObject",
                    Doing::List => "s3:ListBucket",
                };
                (StoreError::Denied { url: url(), says: words(&text, code), needs }, true)
            }
            _ => (failed(words(&text, code)), false),
        }
    }
}

/// Whether a write that failed so may have been stored all the same: it was sent, and its answer was lost or no answer.
pub(super) fn may_be_stored(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(http) = inner.downcast_ref::<HttpError>() {
            return http.kind() != HttpErrorKind::Connect;
        }
        source = inner.source();
    }
    tag(&whole(error), "Code") == Some("InternalError")
}

/// The service's code and message, or what the client said.
fn words(text: &str, code: Option<&str>) -> String {
    match (code, tag(text, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {}", message.trim_end_matches('.')),
        (Some(code), None) => code.to_owned(),
        _ => text.rsplit(": ").next().unwrap_or(text).trim().to_owned(),
    }
}

/// An error and all of its sources, outermost first.
fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

fn innermost(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut error: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error.to_string()
}

/// What stands in a tag of the service's answer.
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn told(error: &Error) -> (String, bool) {
        let place = Place::parse(Path::new("s3://results/runs")).expect("a place").expect("a place");
        let fault = Fault {
            doing: Doing::Put,
            name: "result.json",
            place: &place,
            region: "eu-west-1",
            tries: 3,
            took: Duration::from_secs(4),
        };
        let (error, lasting) = fault.of(error);
        (error.to_string(), lasting)
    }

    fn answer(code: &str) -> Box<dyn std::error::Error + Send + Sync> {
        format!("status code: 400: <Error><Code>{code}</Code><Message>Because.</Message></Error>").into()
    }

    #[test]
    fn a_write_may_be_stored_if_it_was_sent_and_nothing_says_what_became_of_it() {
        let http = |kind| {
            let error = HttpError::new(kind, std::io::Error::other("cut"));
            Error::Generic { store: "S3", source: Box::new(error) }
        };
        let answered = |code| Error::Generic { store: "S3", source: answer(code) };
        assert!(may_be_stored(&http(HttpErrorKind::Interrupted)) && may_be_stored(&http(HttpErrorKind::Timeout)));
        assert!(may_be_stored(&answered("InternalError")));
        assert!(!may_be_stored(&http(HttpErrorKind::Connect)) && !may_be_stored(&answered("SlowDown")));
    }

    #[test]
    fn what_can_not_pass_by_itself_is_told_apart_and_names_the_mend() {
        let path = || "runs/result.json".to_owned();
        let lasting = [
            (Error::NotFound { path: path(), source: answer("NoSuchBucket") }, "no bucket results"),
            (
                Error::NotFound { path: path(), source: answer("NoSuchKey") },
                "there is no s3://results/runs/result.json",
            ),
            (Error::PermissionDenied { path: path(), source: answer("AccessDenied") }, "s3:PutObject"),
            (Error::PermissionDenied { path: path(), source: answer("AccessDenied") }, "(AccessDenied: Because)"),
            (Error::AlreadyExists { path: path(), source: answer("PreconditionFailed") }, "another --result-dir"),
            (Error::Generic { store: "S3", source: answer("PermanentRedirect") }, "not in eu-west-1: set AWS_REGION"),
        ];
        for (error, says) in lasting {
            let (told, lasts) = told(&error);
            assert!(told.contains(says) && lasts, "{told}");
        }
        let passing = [
            (Error::Generic { store: "S3", source: answer("SlowDown") }, "SlowDown: Because (tried 3 times in 4 s)"),
            (Error::AlreadyExists { path: path(), source: answer("ConditionalRequestConflict") }, "at the same time"),
            (Error::Generic { store: CREDENTIALS, source: "nobody home".into() }, "AWS_PROFILE"),
        ];
        for (error, says) in passing {
            let (told, lasts) = told(&error);
            assert!(told.contains(says) && !lasts, "{told}");
        }
    }
}
