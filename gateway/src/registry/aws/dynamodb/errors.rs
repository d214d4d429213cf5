//! What an error of DynamoDB means for whoever runs the gateway.
//!
//! Texts are put together from codes and messages only. An SDK error's `Debug` output may hold the request, and with it
//! a key.

use std::collections::HashSet;
use std::error::Error;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::registry::RegistryError;

/// So many bad rows are remembered as reported.
const REMEMBERED: usize = 1_024;

/// Says what went wrong with a call on `table`.
pub(super) fn explain<E>(table: &str, error: &SdkError<E>) -> RegistryError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let unavailable = |what: String| RegistryError::Unavailable(Arc::from(format!("DynamoDB, table {table}: {what}")));
    match error {
        SdkError::ServiceError(context) => {
            let error = context.err();
            let message = error.message().unwrap_or("no reason given");
            of_service(table, error.code().unwrap_or("no code"), message)
        }
        SdkError::TimeoutError(_) => unavailable("no answer within registry.dynamodb.operation_timeout".to_owned()),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => unavailable(chain("no connection", error)),
            None => unavailable("no connection".to_owned()),
        },
        SdkError::ResponseError(_) => unavailable("the answer can't be read".to_owned()),
        SdkError::ConstructionFailure(_) => unavailable(chain("the request can't be made", error)),
        _ => unavailable("the call failed".to_owned()),
    }
}

/// As [`explain`], for the table of the books, which an installation may lack.
pub(super) fn explain_books<E>(table: &str, error: &SdkError<E>) -> RegistryError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    if code != Some("ResourceNotFoundException") {
        return explain(table, error);
    }
    RegistryError::NoBooks {
        problem: format!(
            "DynamoDB has no table {table} here, which keeps audit log, schemas, suppressions and how ids are hashed"
        )
        .into(),
        mend: "create it with the partition key book and the sort key entry (both strings), or set \
               registry.dynamodb.books_table"
            .into(),
    }
}

fn of_service(table: &str, code: &str, message: &str) -> RegistryError {
    let set_up = |problem: String, mend: String| RegistryError::NotSetUp { problem: problem.into(), mend: mend.into() };
    match code {
        "ResourceNotFoundException" => set_up(
            format!("DynamoDB has no table {table} here ({message})"),
            "create it, or set registry.dynamodb.applications_table and authorizations_table, and the region"
                .to_owned(),
        ),
        "ValidationException" if message.contains("specified index") => set_up(
            format!("table {table} lacks an index ({message})"),
            "create the indexes ApplicationAuthorizations, ApiKeyValues and ApiKeyHashes on it".to_owned(),
        ),
        "AccessDeniedException" => set_up(
            format!("access to table {table} is denied ({message})"),
            "allow the action on the table and its indexes in the gateway's role".to_owned(),
        ),
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException" => set_up(
            format!("the AWS credentials are not accepted ({code}: {message})"),
            "renew them, and check the clock".to_owned(),
        ),
        _ => RegistryError::Unavailable(Arc::from(format!("DynamoDB, table {table}: {code}: {message}"))),
    }
}

/// An error with its causes, in words.
fn chain(what: &str, error: &dyn Error) -> String {
    let mut text = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// Rows that can't be understood: each is logged once, however often it is read.
#[derive(Default)]
pub(super) struct BadRows(Mutex<HashSet<Arc<str>>>);

impl BadRows {
    /// Logs the row, if this is the first time.
    pub(super) fn note(&self, error: &RegistryError) {
        let RegistryError::BadRow { row, .. } = error else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < REMEMBERED && known.insert(Arc::clone(row)) {
            tracing::warn!(%error, "a row of the registry is left out");
        }
    }
}
