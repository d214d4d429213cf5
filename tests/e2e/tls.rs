//! TLS on the gRPC door: from files, read again when they change, with client certificates where they are asked for.

use std::path::Path;
use std::time::Duration;

use headgate::config::{ClientCertificates, TlsProfile, TlsSettings};
use headgate::delivery::lake::OsFiles;
use headgate::door::certificate::ClientCertificate;
use headgate_proto::admin::v1::CreateApplicationRequest;
use headgate_proto::admin::v1::admin_service_client::AdminServiceClient;
use headgate_proto::v1::PublishEventsRequest;
use headgate_proto::v1::ingest_service_client::IngestServiceClient;
use headgate_tests::events::login;
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::PATIENCE;

/// An authority, which signs what it is asked to.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // Under one name with what it signs, OpenSSL would take that for self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority");
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

    /// A client's certificate under this name, good until that year, and its key, in PEM.
    pub(crate) fn sign_client(&self, name: &str, until: i32) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        (params.signed_by(&key, &self.0).expect("it signs").pem(), key.serialize_pem())
    }

    pub(crate) fn write(&self, folder: &Path) {
        let (certificate, key) = self.sign();
        std::fs::write(folder.join("key.pem"), key).expect("it can be written");
        std::fs::write(folder.join("cert.pem"), certificate).expect("it can be written");
    }
}

/// TLS of the files that [`Authority::write`] has written.
pub(crate) fn settings(folder: &Path) -> TlsSettings {
    TlsSettings {
        certificate: folder.join("cert.pem"),
        private_key: folder.join("key.pem"),
        client_ca: None,
        client_certificate: ClientCertificates::Required,
        profile: TlsProfile::Modern,
        reload_interval: Duration::from_millis(100),
    }
}

async fn start(folder: &Path, client_ca: bool) -> InProcess {
    start_with(folder, |tls| tls.client_ca = client_ca.then(|| folder.join("ca.pem"))).await
}

/// With the same TLS on both doors.
async fn start_with(folder: &Path, adjust: impl FnOnce(&mut TlsSettings)) -> InProcess {
    let mut tls = settings(folder);
    adjust(&mut tls);
    InProcess::start(folder, Arc::new(OsFiles), |settings| {
        (settings.grpc.tls, settings.rest.tls) = (Some(tls.clone()), Some(tls));
    })
    .await
}

/// Shakes hands as a client that speaks these versions and shows this certificate, and asks for something: a server says
/// what it thinks of a certificate only after a client of TLS 1.3 is through.
async fn shake(
    address: SocketAddr,
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&(String, String)>,
) -> std::io::Result<ProtocolVersion> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM")).expect("a certificate");
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("versions");
    let config = config.with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
            config.with_client_auth_cert(vec![certificate], key).expect("they fit")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    stream.read_exact(&mut [0; 9]).await?;
    Ok(stream.get_ref().1.protocol_version().expect("they agreed"))
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

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_of_tls_are_refused_and_1_2_is_spoken_where_it_is_asked_for() {
    let modern: &[&SupportedProtocolVersion] = &[&version::TLS13];
    let older: &[&SupportedProtocolVersion] = &[&version::TLS12];
    for profile in [TlsProfile::Modern, TlsProfile::Intermediate] {
        let data = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        authority.write(data.path());
        let gateway = start_with(data.path(), |tls| tls.profile = profile).await;
        let (_, target) = gateway.demo();
        for address in [target.address, gateway.rest_address()] {
            let newest = shake(address, &authority, modern, None).await.expect("every profile speaks it");
            assert_eq!(newest, ProtocolVersion::TLSv1_3);
            match (profile, shake(address, &authority, older, None).await) {
                (TlsProfile::Modern, Err(error)) => assert!(error.to_string().contains("ProtocolVersion"), "{error}"),
                (TlsProfile::Intermediate, Ok(version)) => assert_eq!(version, ProtocolVersion::TLSv1_2),
                (_, other) => panic!("{profile:?}: {other:?}"),
            }
            let alert = client_hello_of_1_1(address).await;
            assert!(alert.len() == 7 && alert.starts_with(&[21, 3, 3, 0, 2, 2]), "a fatal alert: {alert:?}");
        }
        let refused = gateway.metrics().counter(headgate::metrics::Counter::ConnectionsRefused, &["tls"]);
        poll::until("they are counted", PATIENCE, async || (refused.get() >= 2).then_some(())).await;
    }
}

/// What a client is answered that speaks TLS 1.1 at best (RFC 4346, 7.4.1.2).
async fn client_hello_of_1_1(address: SocketAddr) -> Vec<u8> {
    let hello = [&[3, 2][..], &[7; 32], &[0, 0, 4, 0, 0x2f, 0xc0, 0x13, 1, 0]].concat();
    let length = u8::try_from(hello.len()).expect("short");
    let record = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat();
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    socket.write_all(&record).await.expect("it is sent");
    let mut alert = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut alert)).await;
    let _ = read.expect("the gateway closes the connection");
    alert
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_certificate_has_to_be_of_a_known_authority_and_of_today_on_both_doors() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    server.write(data.path());
    let ca = data.path().join("ca.pem");
    std::fs::write(&ca, clients.pem()).expect("it can be written");
    let (good, expired) = (clients.sign_client("game-ops", 2_100), clients.sign_client("game-ops", 2_021));
    let strange = strangers.sign_client("game-ops", 2_100);
    for optional in [false, true] {
        let gateway = start_with(data.path(), |tls| {
            tls.client_ca = Some(ca.clone());
            if optional {
                tls.client_certificate = ClientCertificates::Optional;
            }
        })
        .await;
        let (_, target) = gateway.demo();
        for address in [target.address, gateway.rest_address()] {
            let shake = async |identity| shake(address, &server, &[&version::TLS13], identity).await;
            assert!(shake(Some(&good)).await.is_ok());
            assert_eq!(shake(None).await.is_ok(), optional, "without one");
            let error = shake(Some(&expired)).await.expect_err("it has expired").to_string();
            assert!(error.contains("CertificateExpired"), "{error}");
            let error = shake(Some(&strange)).await.expect_err("nobody knows its authority").to_string();
            // Its authority has the name of the one that is known, and another key.
            assert!(error.contains("DecryptError"), "{error}");
        }
        let _ = gateway.stop().await;
    }
}

/// Who administers over a connection with a client's certificate is in the audit log by both.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_the_certificate_of_whoever_administers() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, clients) = (Authority::new(), Authority::new());
    server.write(data.path());
    let ca = data.path().join("ca.pem");
    std::fs::write(&ca, clients.pem()).expect("it can be written");
    let gateway = start_with(data.path(), |tls| tls.client_ca = Some(ca)).await;
    let (_, target) = gateway.demo();
    let (certificate, key) = clients.sign_client("game-ops", 2_100);
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
    let shown = ClientCertificate::of(&der).to_string();
    let tls = trusting(&server).identity(Identity::from_pem(certificate, key)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", target.address.port())).expect("a URI");
    let channel = endpoint.tls_config(tls).expect("good TLS").connect().await.expect("it is let in");
    let token = std::fs::read_to_string(data.path().join("admin-token")).expect("a first start makes one");
    let mut request = Request::new(CreateApplicationRequest { name: "Skyfall".to_owned(), ..Default::default() });
    let authorization = format!("Bearer {}", token.trim()).parse().expect("ASCII");
    request.metadata_mut().insert("authorization", authorization);
    let made = AdminServiceClient::new(channel).create_application(request).await.expect("it is made");
    let id = made.into_inner().application.expect("it is told").application_id;
    let audit = headgate_tests::binary::run_json(data.path(), &["audit", "--app", &id]);
    let actor = audit["entries"][0]["actor"].as_str().expect("an actor").to_owned();
    assert_eq!(actor, format!("admin-token ({shown})"));
}
