//! TLS: an authority that is given, one that is not trusted, and none.

use headgate_client::{Client, Key};

use crate::stand_in::StandIn;
use crate::{PATIENCE, give, sorted, until};

/// A certificate for `localhost` that is its own authority: certificate and key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn events_travel_encrypted_to_whom_the_given_authority_vouches_for() {
    let (pem, key) = certificate();
    let server = StandIn::good_with_tls(pem.clone(), key);
    let endpoint = format!("https://localhost:{}", server.address.port());
    let client = Client::builder(endpoint, Key::value("hg_key")).authority(pem).build().expect("it starts");
    let given = give(&client, 100);
    let left = client.close(PATIENCE);
    assert!(left.is_empty(), "{:?}", client.counters());
    assert_eq!(sorted(server.seen().stored.clone()), sorted(given));
}

#[test]
fn nothing_is_sent_to_whom_nobody_vouches_for() {
    let (pem, key) = certificate();
    let server = StandIn::good_with_tls(pem, key);
    let endpoint = format!("https://localhost:{}", server.address.port());
    let (other, _) = certificate();
    // Another authority, and those that the machine trusts.
    let builders = [
        Client::builder(&endpoint, Key::value("hg_key")).authority(other),
        Client::builder(&endpoint, Key::value("hg_key")),
    ];
    for builder in builders {
        let client = builder.build().expect("it starts");
        let given = give(&client, 10);
        let counters = until(&client, "it knocks", |counters| counters.connects_failed > 1);
        assert!(!counters.connected && counters.sent == 0, "{counters:?}");
        assert_eq!(client.close(std::time::Duration::ZERO).in_memory(), given.len() as u64);
    }
    assert!(server.seen().opened.is_empty());
}
