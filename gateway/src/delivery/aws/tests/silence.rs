//! Over TLS all calls share one HTTP/2 connection. This is the same over real sockets: a server whose first connection
//! falls silent after one answer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Tells the second process where certificate and key are.
const FILES: &str = "HEADGATE_TEST_TLS";

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, silent_after: usize) -> io::Result<()> {
    let stream = acceptor.accept(stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let calls = AtomicUsize::new(0);
    let answer = |request: Request<Incoming>| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            drop(request.into_body().collect().await);
            if call >= silent_after {
                std::future::pending::<()>().await;
            }
            let stored =
                r#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"shardId-000000000000"}]}"#;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(stored))))
        }
    };
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    drop(connection.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
    Ok(())
}

/// Listens with the certificate of the files; the task set holds the server.
async fn listen(folder: &str, connections: &Arc<AtomicUsize>) -> (SocketAddr, JoinSet<()>) {
    let read = |name: &str| std::fs::read(format!("{folder}/{name}")).expect("is there");
    let key = PrivateKeyDer::try_from(read("key.der")).expect("a key");
    let certificate = CertificateDer::from(read("certificate.der"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they match");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
    let address = listener.local_addr().expect("is bound");
    let (connections, mut tasks) = (Arc::clone(connections), JoinSet::new());
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let silent_after = if connections.fetch_add(1, Ordering::SeqCst) == 0 { 1 } else { usize::MAX };
            let acceptor = acceptor.clone();
            open.spawn(async move { drop(serve(stream, acceptor, silent_after).await) });
        }
    });
    (address, tasks)
}

// The other end of the one connection is gone without a word: the call that finds out fails, and the next one works.
#[tokio::test]
async fn a_shared_connection_that_fell_silent_is_given_up() {
    let Ok(folder) = std::env::var(FILES) else {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("writes");
        write("certificate.pem", made.cert.pem().as_bytes());
        write("certificate.der", made.cert.der());
        write("key.der", &made.signing_key.serialize_der());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let variables = [
            (FILES, folder.path().display().to_string()),
            ("SSL_CERT_FILE", path("certificate.pem")),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ];
        let test = concat!(module_path!(), "::a_shared_connection_that_fell_silent_is_given_up");
        return in_another_process(test, &variables).await;
    };
    let connections = Arc::new(AtomicUsize::new(0));
    let (address, _server) = listen(&folder, &connections).await;
    let gateway = Gateway::start(format!("https://{address}")).await;
    gateway.put_within(Duration::from_secs(5)).await.expect("the first answer");
    let error = gateway.put_within(Duration::from_millis(500)).await.expect_err("silence");
    assert_eq!((error.failure, &*error.code), (CallFailure::Ambiguous, "timeout"), "{error}");
    for _ in 0..20 {
        gateway.put_within(Duration::from_secs(5)).await.expect("a new connection");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2, "which all calls share");
}
