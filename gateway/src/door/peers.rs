//! How many connections each peer has: no single address takes all places of a listener.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The peers of a listener. Holds one entry for each peer that is connected.
#[derive(Debug)]
pub struct Peers {
    limit: u32,
    open: Mutex<HashMap<IpAddr, u32>>,
}

/// A connection's place among its peer's. It ends with the drop.
#[derive(Debug)]
pub struct Place {
    peers: Arc<Peers>,
    peer: IpAddr,
}

impl Peers {
    /// At most `limit` connections of each.
    #[must_use]
    pub fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self { limit, open: Mutex::default() })
    }

    /// A place for a connection from this address; `None`: its peer has as many as it may.
    #[must_use]
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = peer_of(address);
        let mut open = self.lock();
        let count = open.entry(peer).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { peers: Arc::clone(self), peer })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.lock();
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

/// Who is behind an address: of IPv6 its /64, which is what one subscriber has (RFC 6177), and of an IPv4 address in IPv6
/// form the IPv4 address.
fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_peer_has_as_many_places_as_it_may_and_its_neighbour_has_its_own() {
        let peers = Peers::new(2);
        let held: Vec<_> =
            ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"]
                .map(|text| peers.enter(address(text)))
                .into();
        assert!(held.iter().all(Option::is_some));
        assert!(peers.enter(address("10.0.0.1")).is_none());
        assert!(peers.enter(address("2001:db8::2")).is_none(), "the same /64");
        assert!(peers.enter(address("10.0.0.2")).is_some());
        drop(held);
        assert!(peers.enter(address("10.0.0.1")).is_some());
        assert!(peers.lock().is_empty(), "nobody is remembered who is not connected");
    }
}
