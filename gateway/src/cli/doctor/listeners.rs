//! Ports: free, taken by a gateway that runs, or taken by something else.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::check::{Check, Verdict};
use super::gateway;
use crate::config::Settings;

pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    let operate = settings.operate.listen;
    let mut doors = vec![("grpc.listen", settings.grpc.listen)];
    if settings.rest.enabled {
        doors.push(("rest.listen", settings.rest.listen));
    }
    doors.push(("operate.listen", operate));
    let mut checks: Vec<Check> = doors
        .into_iter()
        .map(|(setting, address)| Check::new(setting, async move { port(setting, address, operate).await }))
        .collect();
    checks.push(gateway::check(settings));
    checks
}

async fn port(setting: &str, address: SocketAddr, operate: SocketAddr) -> Verdict {
    if address.port() == 0 {
        return Verdict::ok("takes a port that is free");
    }
    // Taken and given back at once: nobody can have connected to it.
    let Err(error) = TcpListener::bind(address) else { return Verdict::ok(format!("{address} is free")) };
    match error.kind() {
        ErrorKind::AddrInUse => match gateway::ask(operate).await {
            Ok(_) => Verdict::ok(format!("{address} is taken, by the gateway that runs")),
            Err(why) => Verdict::fail(
                format!("{address} is taken, and not by a gateway that answers at {operate} ({why})"),
                format!("end what listens there (`ss -ltnp`), or set {setting} to another port"),
            ),
        },
        ErrorKind::AddrNotAvailable => Verdict::fail(
            format!("{address} is no address of this machine"),
            format!("set {setting} to one that is, or to 0.0.0.0:{}", address.port()),
        ),
        ErrorKind::PermissionDenied => Verdict::fail(
            format!("this user may not listen on {address}"),
            format!("set {setting} to a port from 1024 on, or allow it with CAP_NET_BIND_SERVICE"),
        ),
        _ => Verdict::fail(format!("{address}: {error}"), format!("set {setting} to another address")),
    }
}
