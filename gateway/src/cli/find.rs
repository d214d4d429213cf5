//! Applications by id or by name, keys by id: what a command names must be one thing, and if it is not the error helps.

use tonic::Code;
use uuid::Uuid;

use super::CliError;
use super::backend::{Backend, BackendError};
use super::report::printable;
use crate::admin::AdminError;
use crate::admission::key::ApiKey;
use crate::registry::{Application, RegistryError};

// More would hide the sentence before them.
const LISTED: usize = 20;

/// What a name or id leads to.
pub(super) enum Named {
    /// One application.
    One(Application),
    /// None; what to say about it.
    None(String),
}

/// The application of this id, or the only one of this name.
pub(super) async fn application(backend: &dyn Backend, named: &str) -> Result<Application, CliError> {
    match look_for(backend, named).await? {
        Named::One(application) => Ok(application),
        Named::None(message) => Err(CliError::failed(message)),
    }
}

/// As [`application`], where there may be none.
///
/// # Errors
/// If several have the name: taking one of them would be a guess.
pub(super) async fn look_for(backend: &dyn Backend, named: &str) -> Result<Named, CliError> {
    let applications = backend.applications().await.map_err(refused)?;
    let id = Uuid::parse_str(named).ok();
    if let Some(application) = applications.iter().find(|application| Some(application.application_id) == id) {
        return Ok(Named::One(application.clone()));
    }
    let mut of_that_name = applications.iter().filter(|application| application.name == named);
    let Some(first) = of_that_name.next() else { return Ok(Named::None(none(named, &applications))) };
    if of_that_name.next().is_none() {
        return Ok(Named::One(first.clone()));
    }
    let ids: Vec<String> = applications
        .iter()
        .filter(|application| application.name == named)
        .map(|application| application.application_id.to_string())
        .collect();
    let name = printable(named);
    Err(CliError::failed(format!("several applications are called {name}: use one of the ids {}", ids.join(", "))))
}

/// The id of a key.
///
/// # Errors
/// If it is no id. The text is not repeated: it may be the key itself.
pub(super) fn key_id(text: &str) -> Result<Uuid, CliError> {
    Uuid::parse_str(text).map_err(|_| {
        let slip = if text.starts_with("hg_") && ApiKey::parse(text).is_ok() {
            "this is a key and not its id"
        } else {
            "this is not a key's id"
        };
        CliError::usage(format!("{slip}: keys are named by their id, see `headgate keys list`"))
    })
}

/// What a refusal means for whoever typed the command.
pub(super) fn refused(error: impl Into<BackendError>) -> CliError {
    let error = error.into();
    match &error {
        BackendError::Admin(AdminError::Registry(RegistryError::Invalid { .. })) => CliError::usage(error),
        BackendError::Admin(AdminError::Registry(RegistryError::NotFound { what: "key", .. })) => {
            CliError::failed(format!("{error}: `headgate keys list` shows those there are"))
        }
        BackendError::Gateway(status) if status.code() == Code::InvalidArgument => CliError::usage(error),
        _ => CliError::failed(error),
    }
}

fn none(named: &str, applications: &[Application]) -> String {
    let named = printable(named);
    if applications.is_empty() {
        return format!("no application {named}: there are none, make one with `headgate apps create NAME`");
    }
    let mut known: Vec<String> = applications
        .iter()
        .take(LISTED)
        .map(|application| format!("{} ({})", printable(&application.name), application.application_id))
        .collect();
    if applications.len() > LISTED {
        known.push(format!("and {} more, see `headgate apps list`", applications.len() - LISTED));
    }
    format!("no application {named}: there are {}", known.join(", "))
}
