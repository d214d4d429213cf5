//! Who asks on the operators' listener, where nobody signs in.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use crate::admin::Via;
use crate::admin::authority::Authority;

/// What proxies say of themselves.
const FORWARDED: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// Whether the caller reaches a loopback listener by a name of this machine's own and through nobody: no page of a site
/// whose name was made to lead here (DNS rebinding), and nobody behind a proxy.
pub(super) fn is_direct(headers: &HeaderMap) -> bool {
    let through = |name: &str| headers.contains_key(name);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    is_this_machine(host) && !FORWARDED.iter().any(|name| through(name))
}

/// Whether the caller has the admin token.
pub(super) fn is_administrator(headers: &HeaderMap, authority: &Authority) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.is_some_and(|(_, token)| authority.bearer(token.trim(), Via::Rest).is_some())
}

fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let address = host.parse::<SocketAddr>().map(|address| address.ip()).or(literal);
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn direct(pairs: &[(&'static str, &'static str)]) -> bool {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        is_direct(&pairs.iter().map(pair).collect())
    }

    #[test]
    fn only_this_machines_own_names_without_a_proxy_are_direct() {
        for host in ["127.0.0.1:9090", "127.0.0.1", "localhost:9090", "LOCALHOST", "[::1]:9090", "[::1]"] {
            assert!(direct(&[("host", host)]), "{host}");
        }
        for host in ["", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example:9090", "10.0.0.1:9090"]
        {
            assert!(!direct(&[("host", host)]), "{host}");
        }
        assert!(!direct(&[]));
        assert!(!direct(&[("host", "127.0.0.1:9090"), ("x-forwarded-for", "10.1.2.3")]));
        assert!(!direct(&[("host", "127.0.0.1:9090"), ("via", "1.1 proxy")]));
    }
}
