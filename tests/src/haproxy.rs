//! A load balancer: Debian's HAProxy where AWS has a Network Load Balancer. It ends TLS, agrees on h2 (ALPN), hands plain
//! HTTP/2 to gateways, and asks each for `/readyz/lifecycle` at its operators' listener. It balances connections, not calls.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::gateway::free_address;
use crate::{container, poll};

const START_PATIENCE: Duration = Duration::from_secs(10);

/// A gateway behind it.
#[derive(Clone, Copy, Debug)]
pub struct Backend<'a> {
    /// What its log calls it.
    pub name: &'a str,
    /// The gateway's gRPC door.
    pub grpc: SocketAddr,
    /// The gateway's operators' listener.
    pub operate: SocketAddr,
}

/// A load balancer that runs.
pub struct HaProxy {
    child: Child,
    log: PathBuf,
    games: SocketAddr,
    without_alpn: SocketAddr,
}

impl HaProxy {
    /// Starts one with its files in `folder`: `certificate` is the chain and the key, in one PEM.
    ///
    /// # Panics
    /// If there is no HAProxy (says what to install), or it does not start.
    pub async fn start(folder: &Path, certificate: &str, backends: &[Backend<'_>]) -> Self {
        container::need("haproxy");
        let (pem, config, log) = (folder.join("balancer.pem"), folder.join("haproxy.cfg"), folder.join("haproxy.log"));
        fs::write(&pem, certificate).expect("a file can be written");
        let (games, without_alpn) = (free_address(), free_address());
        let mut text = format!(
            "global\n  nbthread 1\n\
             defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 350s\n  timeout server 350s\n  \
             option redispatch 1\n  retries 3\n\
             frontend games\n  bind {games} ssl crt {pem} alpn h2\n  bind {without_alpn} ssl crt {pem}\n  \
             default_backend gateways\n\
             backend gateways\n  balance roundrobin\n  option httpchk GET /readyz/lifecycle\n  \
             default-server check inter 200ms fall 2 rise 1\n",
            pem = pem.display()
        );
        for Backend { name, grpc, operate } in backends {
            let check = format!("addr {} port {}", operate.ip(), operate.port());
            writeln!(text, "  server {name} {grpc} {check}").expect("a string takes everything");
        }
        fs::write(&config, text).expect("a file can be written");
        let written = fs::File::create(&log).expect("a file can be written");
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(written.try_clone().expect("a file can be shared"))
            .stderr(written)
            .spawn()
            .expect("haproxy can be run");
        let mut balancer = Self { child, log, games, without_alpn };
        poll::until("HAProxy listens", START_PATIENCE, async || {
            let ended = balancer.child.try_wait().expect("one's own child can be waited for");
            assert!(ended.is_none(), "HAProxy has ended by itself: {}", balancer.said());
            tokio::net::TcpStream::connect(games).await.ok()
        })
        .await;
        balancer
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.games
    }

    /// The same, by a listener that was set up without ALPN.
    #[must_use]
    pub fn address_without_alpn(&self) -> SocketAddr {
        self.without_alpn
    }

    /// Waits until it has found this gateway ready (`UP`), or not (`DOWN`), for the first time.
    ///
    /// # Panics
    /// If that takes longer than `patience`.
    pub async fn sees(&self, backend: &str, state: &str, patience: Duration) {
        let what = format!("Server gateways/{backend} is {state}");
        poll::until(&what, patience, async || self.said().contains(&what).then_some(())).await;
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("HAProxy said:\n{}", self.said());
        }
    }
}
