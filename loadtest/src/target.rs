//! Whether a load may be aimed at an endpoint: this machine always, any other host only if it is named as one's own.
//!
//! A name that happens to lead to this machine is not enough, since it may lead elsewhere by the time a connection is
//! opened; only `localhost` is taken by its name, and only while it leads nowhere else.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use http::Uri;
use thiserror::Error;

/// Why an endpoint is no target.
#[derive(Debug, Error)]
pub enum TargetError {
    /// It is no URL of a gateway.
    #[error("endpoint `{endpoint}` can't be used: {why}; give it as http://HOST:PORT or https://HOST:PORT")]
    Endpoint {
        /// As it was given, without what stands before an `@`.
        endpoint: String,
        /// What is wrong.
        why: &'static str,
    },
    /// It is another host that nobody has named.
    #[error(
        "{0} is not this machine: load may only be aimed at systems that are your own. If it is, say so with \
         --i-own-this-target {0}"
    )]
    NotOwned(String),
    /// `localhost` leads elsewhere.
    #[error("localhost leads to {0}, which is not this machine: use 127.0.0.1, or say --i-own-this-target localhost")]
    Localhost(IpAddr),
    /// `localhost` leads nowhere.
    #[error("localhost can't be resolved: {0}; use 127.0.0.1")]
    Resolve(io::Error),
}

/// Refuses an endpoint that is neither this machine nor among the hosts named as one's own. Asks the resolver, and so may
/// block, if the host is `localhost`.
///
/// # Errors
/// Why it is refused, and which flag allows it.
pub fn check_target(endpoint: &str, owned: &[String]) -> Result<(), TargetError> {
    check(endpoint, owned, |host| Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

/// Refuses what is no address of a gateway, whoever owns it.
///
/// # Errors
/// What is wrong with it.
pub fn check_address(endpoint: &str) -> Result<(), TargetError> {
    host(endpoint).map(|_| ())
}

/// Whether an endpoint is this machine, without anybody having to say so.
#[must_use]
pub fn is_this_machine(endpoint: &str) -> bool {
    check_target(endpoint, &[]).is_ok()
}

fn check(
    endpoint: &str,
    owned: &[String],
    resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>>,
) -> Result<(), TargetError> {
    let host = host(endpoint)?;
    if owned.iter().any(|owned| same_host(owned, &host)) {
        return Ok(());
    }
    if let Some(address) = address(&host) {
        return if is_loopback(address) { Ok(()) } else { Err(TargetError::NotOwned(host)) };
    }
    if !host.eq_ignore_ascii_case("localhost") {
        return Err(TargetError::NotOwned(host));
    }
    let addresses = resolve(&host).map_err(TargetError::Resolve)?;
    match addresses.iter().find(|address| !is_loopback(**address)) {
        Some(elsewhere) => Err(TargetError::Localhost(*elsewhere)),
        None if addresses.is_empty() => Err(TargetError::Resolve(io::Error::other("it has no address"))),
        None => Ok(()),
    }
}

/// The host of an endpoint, an IPv6 address in brackets.
fn host(endpoint: &str) -> Result<String, TargetError> {
    let refused = |why| {
        // What stands before an `@` may be a password.
        let shown = endpoint.rsplit_once('@').map_or(endpoint, |(_, rest)| rest).to_owned();
        TargetError::Endpoint { endpoint: shown, why }
    };
    let uri: Uri = endpoint.parse().map_err(|_| refused("it is no URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(refused("it has to begin with http:// or https://"));
    }
    let Some(authority) = uri.authority() else { return Err(refused("it has no host")) };
    if authority.as_str().contains('@') {
        return Err(refused("it must not hold a user or password"));
    }
    let host = authority.host();
    if host.is_empty() {
        return Err(refused("it has no host"));
    }
    // Without a port it is 80 or 443, by the scheme.
    let has_port = authority.as_str().len() > host.len();
    if has_port && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(refused("its port is none"));
    }
    if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err(refused("a gateway has no path"));
    }
    Ok(host.to_owned())
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn same_host(one: &str, other: &str) -> bool {
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.eq_ignore_ascii_case(other),
        _ => false,
    }
}

/// 127.0.0.0/8 and ::1, an IPv4 address in IPv6 form too.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_named(endpoint: &str, owned: &[&str]) -> Result<(), TargetError> {
        let owned: Vec<String> = owned.iter().map(|host| (*host).to_owned()).collect();
        check(endpoint, &owned, |host| {
            assert_eq!(host.to_ascii_lowercase(), "localhost", "only localhost is looked up");
            Ok(vec!["127.0.0.1".parse().expect("an address"), "::1".parse().expect("an address")])
        })
    }

    #[test]
    fn this_machine_needs_no_permission() {
        for endpoint in [
            "http://127.0.0.1:50051",
            "http://127.8.9.1",
            "https://[::1]:50051",
            "http://[::ffff:127.0.0.1]:50051/",
            "http://LocalHost:50051",
        ] {
            check_named(endpoint, &[]).unwrap_or_else(|error| panic!("{endpoint}: {error}"));
        }
        assert!(is_this_machine("http://127.0.0.1:50051"));
        assert!(!is_this_machine("http://192.0.2.1:50051"));
    }

    #[test]
    fn any_other_host_is_refused_until_exactly_it_is_named() {
        for (endpoint, host) in [
            ("http://10.0.0.7:50051", "10.0.0.7"),
            ("http://0.0.0.0:50051", "0.0.0.0"),
            ("https://Ingest.Example.com", "ingest.example.COM"),
            ("https://[2001:db8::1]:443", "2001:db8:0::1"),
            ("https://[2001:db8::1]:443", "[2001:db8::1]"),
            ("http://localhost.example.com", "localhost.example.com"),
            ("http://127.1:50051", "127.1"),
        ] {
            let error = check_named(endpoint, &[]).expect_err("not this machine").to_string();
            assert!(error.contains("--i-own-this-target "), "{error}");
            let other = check_named(endpoint, &["example.com", "10.0.0.70", "2001:db8::2", "com", "*", ""]);
            assert!(matches!(other, Err(TargetError::NotOwned(_))), "{endpoint}");
            check_named(endpoint, &["example.com", host]).unwrap_or_else(|error| panic!("{endpoint}: {error}"));
        }
        let error = check_named("https://ingest.example.com:443", &[]).expect_err("not this machine").to_string();
        assert!(error.ends_with("--i-own-this-target ingest.example.com"), "{error}");
    }

    #[test]
    fn localhost_that_leads_elsewhere_is_not_this_machine() {
        let elsewhere = |_: &str| Ok(vec!["127.0.0.1".parse().expect("one"), "192.0.2.1".parse().expect("other")]);
        let result = check("http://localhost:50051", &[], elsewhere);
        assert!(matches!(result, Err(TargetError::Localhost(_))), "{result:?}");
        assert!(check("http://localhost:50051", &["localhost".to_owned()], elsewhere).is_ok());
        for nowhere in [|_: &str| Ok(vec![]), |_: &str| Err(io::Error::other("no resolver"))] {
            assert!(matches!(check("http://localhost", &[], nowhere), Err(TargetError::Resolve(_))));
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_and_shows_no_password() {
        for endpoint in [
            "",
            "localhost:50051",
            "127.0.0.1",
            "/path",
            "ftp://127.0.0.1",
            "http://",
            "http://:50051",
            "http://127.0.0.1:0",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:",
            "http://127.0.0.1:50051/v1",
            "http://127.0.0.1:50051?x=1",
            "http://me:secret@127.0.0.1:50051",
            "http://127.0.0.1:80@example.com",
        ] {
            let error = match check_named(endpoint, &["127.0.0.1", "example.com"]) {
                Err(error @ TargetError::Endpoint { .. }) => error.to_string(),
                other => panic!("{endpoint}: {other:?}"),
            };
            assert!(error.contains("http://HOST:PORT") && !error.contains("secret"), "{error}");
        }
    }
}
