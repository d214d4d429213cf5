//! How to get to a gateway, and how to get in.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::CALL_TIMEOUT;
use crate::cli::CliError;
use crate::cli::backend::read;
use crate::config::problem_of_secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const TOKEN_VARIABLE: &str = "HEADGATE_ADMIN_TOKEN";
/// Where a gateway on one machine keeps the token that it made for itself.
const MADE_TOKEN: &str = "admin-token";

pub(super) fn endpoint(url: &str, ca_file: Option<&Path>) -> Result<Endpoint, CliError> {
    let bad = |error: &dyn std::fmt::Display| CliError::usage(format!("--gateway {url}: {error}"));
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| bad(&error))?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
    match (endpoint.uri().scheme_str(), ca_file) {
        (Some("http"), None) => Ok(endpoint),
        (Some("http"), Some(_)) => Err(bad(&"--ca-file is for an https URL")),
        (Some("https"), None) => Err(bad(&"an https URL needs --ca-file, the authority of the gateway's certificate")),
        (Some("https"), Some(path)) => {
            let pem = fs::read(path).map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            endpoint.tls_config(tls).map_err(|error| bad(&error))
        }
        _ => Err(bad(&"must be a URL such as http://127.0.0.1:50051")),
    }
}

pub(super) fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The admin token: of the file, of the environment, or what a gateway on this machine made for itself.
pub(super) fn token(file: Option<&Path>, data_dir: Option<&Path>) -> Result<String, CliError> {
    let made = data_dir.map(|folder| folder.join(MADE_TOKEN));
    let (from, text) = if let Some(file) = file {
        (file.display().to_string(), read(file)?)
    } else if let Ok(text) = std::env::var(TOKEN_VARIABLE) {
        (TOKEN_VARIABLE.to_owned(), text)
    } else if let Some(file) = made.filter(|file| file.exists()) {
        (file.display().to_string(), read(&file)?)
    } else {
        return Err(CliError::usage(format!("no admin token: give --admin-token-file FILE or set {TOKEN_VARIABLE}")));
    };
    let token = text.trim();
    match problem_of_secret(token) {
        None => Ok(token.to_owned()),
        Some(problem) => Err(CliError::usage(format!("the admin token of {from} {problem}"))),
    }
}
