//! Commands that send a first event, ready to be pasted.

use std::net::SocketAddr;

use uuid::Uuid;

use crate::operate::console::Console;

/// What is sent as `event_data`.
const EVENT_DATA: &str = r#"{"player_id":"player-1"}"#;

/// With grpcurl, over gRPC.
pub(super) fn grpc(console: &Console, key: &str, host: &str) -> String {
    let tls = console.settings.grpc.tls.is_some();
    let plaintext = if tls { "" } else { "-plaintext " };
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, EVENT_DATA);
    format!(
        "grpcurl {plaintext}-H 'x-api-key: {key}' -d '{{\"events\":[{{\"eventType\":\"login\",\
         \"eventName\":\"first_login\",\"eventTimestamp\":\"'$(date -u +%FT%TZ)'\",\"eventData\":\"{data}\"}}]}}' \
         {} headgate.v1.IngestService/PublishEvents",
        reachable(console.grpc, host)
    )
}

/// With curl, over the REST API, where it is.
pub(super) fn rest(console: &Console, application: Uuid, key: &str, host: &str) -> Option<String> {
    let address = reachable(console.rest?, host);
    Some(format!(
        "curl http://{address}/applications/{application}/events -H 'Authorization: {key}' -H 'Content-Type: \
         application/json' -d '{{\"events\":[{{\"event_id\":\"'$(uuidgen)'\",\"event_type\":\"login\",\
         \"event_name\":\"first_login\",\"event_timestamp\":'$(date +%s)',\"event_data\":{EVENT_DATA}}}]}}'"
    ))
}

/// An address as clients reach it: of a listener on every address, by the name that the browser found this one under.
fn reachable(address: SocketAddr, host: &str) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    // What is put into a command that people paste into a shell.
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte));
    format!("{}:{}", if plain { name } else { "localhost" }, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_named_as_the_browser_found_it() {
        let everywhere: SocketAddr = "0.0.0.0:50051".parse().expect("an address");
        assert_eq!(reachable(everywhere, "gateway.example:9090"), "gateway.example:50051");
        assert_eq!(reachable(everywhere, "[::1]:9090"), "[::1]:50051");
        assert_eq!(reachable(everywhere, "[::1]"), "[::1]:50051");
        assert_eq!(reachable(everywhere, "x'; rm -rf /"), "localhost:50051");
        assert_eq!(reachable("127.0.0.1:1".parse().expect("an address"), "other:9"), "127.0.0.1:1");
    }
}
