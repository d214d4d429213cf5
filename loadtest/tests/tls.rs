//! What a run promises of an encrypted endpoint: it trusts the given authority, and nobody else.

#[allow(dead_code, reason = "misbehaving is for other tests")]
mod stand_in;

use std::time::Duration;

use headgate_loadtest::{Load, LoadError, Report, RunConfig, Secrets, Transport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use stand_in::{Deed, KEY, Running};
use tokio::time::timeout;
use tonic::transport::{Identity, ServerTlsConfig};

/// An authority, which signs what it is asked to.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("it signs itself"))
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A stand-in whose certificate, signed by this authority, is for this host.
    async fn stand_in_for(&self, host: &str) -> Running {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("a good name");
        let certificate = params.signed_by(&key, &self.0).expect("it signs").pem();
        let identity = Identity::from_pem(certificate, key.serialize_pem());
        Running::start_tls(|_| Deed::Answer, ServerTlsConfig::new().identity(identity)).await
    }
}

fn config(running: &Running) -> RunConfig {
    RunConfig {
        servers: 2,
        players: 500,
        run_time: Duration::from_millis(500),
        linger: Duration::from_millis(20),
        drain: Duration::from_millis(500),
        ..RunConfig::new(running.endpoint.as_str())
    }
    .at_rate(1_000.0)
}

fn trusting(authority: impl Into<Option<Vec<u8>>>) -> Secrets {
    Secrets { api_keys: vec![KEY.to_owned()], tls_ca: authority.into() }
}

async fn run(config: &RunConfig, secrets: &Secrets) -> Report {
    let mut load = Load::start(config, secrets, false).expect("a valid configuration");
    timeout(Duration::from_secs(30), load.finished()).await.expect("a run ends").expect("no server panics")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_a_gateway_whose_authority_is_given() {
    let authority = Authority::new("ours");
    let running = authority.stand_in_for("127.0.0.1").await;
    assert!(running.endpoint.starts_with("https://"));
    // A bundle of several authorities, as systems have it.
    let bundle = [Authority::new("another").pem(), authority.pem()].concat();
    for transport in [Transport::Stream, Transport::Unary, Transport::Client] {
        let config = RunConfig { transport, drain: Duration::from_secs(20), ..config(&running) };
        let report = run(&config, &trusting(bundle.clone())).await;
        assert!(report.ledger.balances() && report.ledger.accepted > 0, "{:?}", report.ledger);
        assert_eq!(report.ledger.accepted + report.ledger.rejected_total(), report.ledger.due);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_can_not_prove_itself_gets_no_event_and_the_run_says_why() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("another"));
    let unknown = authority.stand_in_for("127.0.0.1").await;
    let other_host = authority.stand_in_for("ingest.example.com").await;
    let cases = [(&unknown, stranger.pem(), "UnknownIssuer"), (&other_host, authority.pem(), "not valid for")];
    for (running, trusted, says) in cases {
        for transport in [Transport::Stream, Transport::Unary, Transport::Client] {
            let report = run(&RunConfig { transport, ..config(running) }, &trusting(trusted.clone())).await;
            assert!(report.ledger.balances() && report.ledger.due > 0, "{:?}", report.ledger);
            assert_eq!(report.ledger.failed, report.ledger.due);
            assert!(report.problems.keys().any(|problem| problem.contains(says)), "{:?}", report.problems);
        }
        let seen = running.seen();
        assert_eq!((seen.batches, seen.streams), (0, 0));
    }
}

#[tokio::test]
async fn what_would_not_be_encrypted_or_trusted_is_refused_at_once() {
    let authority = Authority::new("ours");
    let running = authority.stand_in_for("127.0.0.1").await;
    let start = |config: &RunConfig, secrets| Load::start(config, &secrets, false).err().expect("refused");
    let good = config(&running);

    let error = start(&good, trusting(None));
    assert!(matches!(error, LoadError::NoAuthority(_)) && error.to_string().contains("--tls-ca FILE"), "{error}");
    let error = start(&good, trusting(b"no certificate".to_vec()));
    assert!(matches!(error, LoadError::EmptyAuthority), "{error}");
    let plain = running.endpoint.replace("https://", "http://");
    let error = start(&RunConfig { endpoint: plain, ..good }, trusting(authority.pem()));
    assert!(matches!(error, LoadError::PlainText(_)), "{error}");
}
