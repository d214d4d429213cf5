//! What may stand in `grpc_web.origins`.

use super::Problems;
use crate::config::{GrpcWebSettings, Settings};

pub(super) fn check(settings: &Settings, found: &mut Problems) {
    for origin in &settings.grpc_web.origins {
        if !is_known(origin) {
            let problem =
                format!("{origin:?} is no origin: write `scheme://host` or `scheme://host:port`, `loopback` or `*`");
            found.add("grpc_web.origins", problem);
        }
    }
}

/// As browsers send it (RFC 6454, 6.2): a scheme, a host in lower case, and a port that is not the scheme's own. Apps and
/// extensions have schemes of their own.
fn is_known(origin: &str) -> bool {
    if [GrpcWebSettings::LOOPBACK, GrpcWebSettings::ANY].contains(&origin) {
        return true;
    }
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    let own_port = match scheme {
        "https" => "443",
        "http" => "80",
        _ => "",
    };
    // RFC 3986, 3.1.
    let of_scheme = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_lowercase()) || !scheme.bytes().all(of_scheme) {
        return false;
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte);
    let authority = host.parse::<http::uri::Authority>();
    !host.is_empty()
        && host.bytes().all(plain)
        && authority.is_ok_and(|authority| authority.port().is_none_or(|port| port.as_str() != own_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in [
            "*",
            "loopback",
            "https://play.example.com",
            "http://localhost:5173",
            "https://[::1]:8443",
            "capacitor://localhost",
            "moz-extension://0191d9a4-7c1e-7000-8000-0123456789ab",
        ] {
            assert!(is_known(good), "{good}");
        }
        for bad in [
            "",
            "play.example.com",
            "https://",
            "https://play.example.com/",
            "https://Play.example.com",
            "https://play.example.com:443",
            "http://a:80",
            "https://*.example.com",
            "7a://a",
            "Https://a",
            "://a",
            "null",
        ] {
            assert!(!is_known(bad), "{bad}");
        }
    }
}
