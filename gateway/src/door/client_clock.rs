//! How far a client's clock is off, for whoever corrects event times later: the client says with a call what time it is,
//! and the gateway looks at its own clock. A stream says it once, when it is opened.
//!
//! It is an estimate: the call's way to the gateway makes the client's clock seem behind by as long as that took.

use http::{HeaderMap, HeaderName};

use crate::clock::Clock;

/// Milliseconds since 1970-01-01 UTC by the client's clock, as it sends the call.
const SENT_AT: HeaderName = HeaderName::from_static("x-sent-at");

/// By how many milliseconds the client's clock is ahead of ours; negative: behind. `None` where it does not say, or not in
/// digits: nobody's event is refused for that.
pub(super) fn skew_ms(headers: &HeaderMap, clock: &Clock) -> Option<i64> {
    let sent_ms: i64 = headers.get(SENT_AT)?.to_str().ok()?.parse().ok()?;
    Some(sent_ms.saturating_sub(clock.wall_ms()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use http::HeaderValue;

    use super::*;

    fn told(value: &str, clock: &Clock) -> Option<i64> {
        skew_ms(&HeaderMap::from_iter([(SENT_AT, HeaderValue::from_str(value).expect("a value"))]), clock)
    }

    #[test]
    fn the_difference_is_the_clients_time_less_ours() {
        let (clock, shift) = Clock::shifted();
        let now = clock.wall_ms();
        // The client's clock stands; ours is set ahead of it.
        shift.fetch_add(60_000, Ordering::Relaxed);
        let skew = told(&now.to_string(), &clock).expect("it is said");
        assert!((-61_000..=-60_000).contains(&skew), "{skew}");
    }

    #[test]
    fn what_is_no_time_says_nothing() {
        let clock = Clock::system();
        assert_eq!(skew_ms(&HeaderMap::new(), &clock), None);
        for value in ["", "now", "1.5", "99999999999999999999"] {
            assert_eq!(told(value, &clock), None, "{value}");
        }
        assert!(told(&i64::MIN.to_string(), &clock).is_some_and(|skew| skew < 0), "it does not overflow");
    }
}
