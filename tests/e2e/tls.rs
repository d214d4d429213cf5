//! TLS on the gRPC door: from files, read again when they change, with client certificates where they are asked for.

use std::path::Path;
use std::time::Duration;

use headgate::config::TlsSettings;
use headgate::delivery::lake::OsFiles;
use headgate_proto::v1::PublishEventsRequest;
use headgate_proto::v1::ingest_service_client::IngestServiceClient;
use headgate_tests::events::login;
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Arc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::PATIENCE;

/// An authority, which signs what it is asked to.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("it signs itself"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `localhost` and its key, in PEM.
    pub(crate) fn sign(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a good name");
        (params.signed_by(&key, &self.0).expect("it signs").pem(), key.serialize_pem())
    }

    pub(crate) fn write(&self, folder: &Path) {
        let (certificate, key) = self.sign();
        std::fs::write(folder.join("key.pem"), key).expect("it can be written");
        std::fs::write(folder.join("cert.pem"), certificate).expect("it can be written");
    }
}

async fn start(folder: &Path, client_ca: bool) -> InProcess {
    let tls = TlsSettings {
        certificate: folder.join("cert.pem"),
        private_key: folder.join("key.pem"),
        client_ca: client_ca.then(|| folder.join("ca.pem")),
        reload_interval: Duration::from_millis(100),
    };
    InProcess::start(folder, Arc::new(OsFiles), |settings| settings.grpc.tls = Some(tls)).await
}

async fn publish(gateway: &InProcess, tls: ClientTlsConfig) -> Result<u32, String> {
    let (_, target) = gateway.demo();
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", target.address.port())).expect("a URI");
    let endpoint = endpoint.tls_config(tls.domain_name("localhost")).map_err(|error| error.to_string())?;
    let channel: Channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
    let mut request = Request::new(PublishEventsRequest { events: vec![login()] });
    request.metadata_mut().insert("x-api-key", target.key.parse().expect("a key is ASCII"));
    let answer: Result<_, Status> = IngestServiceClient::new(channel).publish_events(request).await;
    let verdict = answer.map_err(|status| format!("{status:?}"))?.into_inner().verdict;
    Ok(verdict.map_or(0, |verdict| verdict.accepted))
}

fn trusting(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()))
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_are_in_force_for_new_connections_and_broken_ones_are_not() {
    let data = tempfile::tempdir().expect("a folder");
    let (first, second) = (Authority::new(), Authority::new());
    first.write(data.path());
    let gateway = start(data.path(), false).await;
    assert_eq!(publish(&gateway, trusting(&first)).await, Ok(1));
    assert!(publish(&gateway, trusting(&second)).await.is_err(), "it does not know that certificate");

    std::fs::write(data.path().join("cert.pem"), "no certificate").expect("it can be written");
    let reloads = |result: &str| gateway.metrics().counter(headgate::metrics::Counter::CertificateReloads, &[result]);
    let failed = reloads("failed");
    poll::until("the broken file is noticed", PATIENCE, async || (failed.get() >= 1).then_some(())).await;
    assert_eq!(publish(&gateway, trusting(&first)).await, Ok(1), "the ones before stay in force");

    second.write(data.path());
    poll::until("the new files are in force", PATIENCE, async || publish(&gateway, trusting(&second)).await.ok()).await;
    assert!(publish(&gateway, trusting(&first)).await.is_err(), "the old certificate is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_stays_outside_where_one_is_asked_for() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, clients) = (Authority::new(), Authority::new());
    server.write(data.path());
    std::fs::write(data.path().join("ca.pem"), clients.pem()).expect("it can be written");
    let gateway = start(data.path(), true).await;
    assert!(publish(&gateway, trusting(&server)).await.is_err(), "no certificate");
    let identity = |authority: &Authority| {
        let (certificate, key) = authority.sign();
        Identity::from_pem(certificate, key)
    };
    let stranger = trusting(&server).identity(identity(&server));
    assert!(publish(&gateway, stranger).await.is_err(), "another authority's certificate");
    assert_eq!(publish(&gateway, trusting(&server).identity(identity(&clients))).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_on_a_tls_port_is_turned_away() {
    let data = tempfile::tempdir().expect("a folder");
    Authority::new().write(data.path());
    let gateway = start(data.path(), false).await;
    let (_, target) = gateway.demo();
    let refused = gateway.metrics().counter(headgate::metrics::Counter::ConnectionsRefused, &["tls"]);
    let _ = headgate_tests::client::Connection::open(&target).await;
    poll::until("it is counted", PATIENCE, async || (refused.get() >= 1).then_some(())).await;
}
