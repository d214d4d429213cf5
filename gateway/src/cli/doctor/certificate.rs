//! TLS files: read as the doors read them, and how long the certificate is good for.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::check::{Check, Verdict};
use super::validity;
use crate::cli::report::timestamp;
use crate::clock::Clock;
use crate::config::{Settings, TlsSettings};
use crate::door::tls::{GRPC_PROTOCOLS, REST_PROTOCOLS, Tls};

const DAY_MS: i64 = 86_400_000;
/// Renewals that work come a month before the end; below this one has failed.
const EARLY_DAYS: i64 = 14;

pub(super) fn checks(settings: &Settings, clock: &Clock) -> Vec<Check> {
    let doors = [
        ("grpc.tls", settings.grpc.tls.clone(), GRPC_PROTOCOLS),
        ("rest.tls", settings.rest.tls.clone().filter(|_| settings.rest.enabled), REST_PROTOCOLS),
    ];
    let check = |(setting, tls, protocols): (&'static str, Option<TlsSettings>, &'static [&'static [u8]])| {
        let (tls, now_ms) = (tls?, clock.wall_ms());
        Some(Check::blocking(setting, move || look(setting, &tls, protocols, now_ms)))
    };
    doors.into_iter().filter_map(check).collect()
}

fn look(setting: &str, tls: &TlsSettings, protocols: &'static [&'static [u8]], now_ms: i64) -> Verdict {
    // The same reading as at the start: chain, key, whether they belong together, authorities of clients.
    if let Err(error) = Tls::load(tls, protocols) {
        let mend = format!(
            "give {setting}.certificate and {setting}.private_key in PEM, of one key pair, readable by the gateway's user"
        );
        return Verdict::fail(error.to_string(), mend);
    }
    let first = CertificateDer::from_pem_file(&tls.certificate).ok();
    let Some((from_ms, until_ms)) = first.as_ref().and_then(|first| validity::of(first)) else {
        let says = format!("{}: its dates can't be read", tls.certificate.display());
        return Verdict::warn(
            says,
            format!("look at them with `openssl x509 -noout -dates -in {}`", tls.certificate.display()),
        );
    };
    let offers: Vec<_> = protocols.iter().map(|protocol| String::from_utf8_lossy(protocol)).collect();
    let until = timestamp(until_ms);
    let renew = format!("renew {}; the gateway reads it again by itself", tls.certificate.display());
    match until_ms - now_ms {
        left if left <= 0 => Verdict::fail(format!("the certificate ended on {until}"), renew),
        _ if from_ms > now_ms => Verdict::fail(
            format!("the certificate begins on {}", timestamp(from_ms)),
            "check this machine's clock, or use the certificate before it",
        ),
        left if left < EARLY_DAYS * DAY_MS => {
            Verdict::warn(format!("the certificate ends in {} days, on {until}", left / DAY_MS), renew)
        }
        left => Verdict::ok(format!(
            "certificate and key fit, good for {} days, until {until}; ALPN {}",
            left / DAY_MS,
            offers.join(", ")
        )),
    }
}
