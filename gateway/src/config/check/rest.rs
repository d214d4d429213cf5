//! Ranges of the settings of the REST listener.

use std::time::Duration;

use super::{MILLISECOND, Problems, SECOND, share_of_budget, tls};
use crate::admission::budget::Budget;
use crate::config::Settings;
use crate::config::units::Size;

pub(super) fn check(settings: &Settings, found: &mut Problems) {
    let rest = &settings.rest;
    if !rest.enabled {
        return;
    }
    found.range("rest.max_body", &rest.max_body, &(Size::kib(1)..=Size::mib(64)));
    found.range("rest.max_batch", &rest.max_batch, &(1..=30_000));
    found.range("rest.max_admin_body", &rest.max_admin_body, &(Size::kib(1)..=Size::mib(1)));
    found.range("rest.max_connections", &rest.max_connections, &(1..=1_000_000));
    found.range("rest.max_connections_per_peer", &rest.max_connections_per_peer, &(1..=1_000_000));
    found.range("rest.max_control_frames", &rest.max_control_frames, &(100..=1_000_000));
    found.range("rest.max_concurrent_streams", &rest.max_concurrent_streams, &(1..=100_000));
    // hyper takes no smaller buffer for the headers of HTTP/1.1.
    found.range("rest.max_header_list", &rest.max_header_list, &(Size::kib(8)..=Size::mib(1)));
    found.range("rest.stream_window", &rest.stream_window, &(Size::kib(64)..=Size::mib(16)));
    found.range("rest.connection_window", &rest.connection_window, &(Size::kib(64)..=Size::mib(64)));
    found.time("rest.handshake_timeout", rest.handshake_timeout, MILLISECOND * 100..=SECOND * 600);
    found.time("rest.header_timeout", rest.header_timeout, MILLISECOND * 100..=SECOND * 3_600);
    found.time("rest.body_timeout", rest.body_timeout, MILLISECOND * 100..=SECOND * 3_600);
    found.time("rest.slow_reader_timeout", rest.slow_reader_timeout, MILLISECOND * 100..=SECOND * 3_600);
    found.time("rest.keepalive_interval", rest.keepalive_interval, SECOND..=SECOND * 3_600);
    found.time("rest.keepalive_timeout", rest.keepalive_timeout, MILLISECOND * 100..=SECOND * 600);
    found.time("rest.connection_age_grace", rest.connection_age_grace, Duration::ZERO..=SECOND * 3_600);
    found.range("rest.connection_age_jitter", &rest.connection_age_jitter, &(0.0..=1.0));
    if let Some(settings) = &rest.tls {
        tls("rest", settings, found);
    }
    let body = rest.max_body.as_usize();
    let cost = Budget::cost_of_call(body).max(Budget::cost_of_events(rest.max_batch, body));
    let share = share_of_budget(settings);
    if share < cost {
        let problem = format!(
            "an application's share of admission.bytes_in_flight is {}, but one body of it takes {}",
            Size(share),
            Size(cost)
        );
        found.add("rest.max_body", problem);
    }
    let needed = settings.delivery.deadline + rest.body_timeout;
    if !rest.max_connection_age.is_zero() && rest.connection_age_grace < needed {
        found.add("rest.connection_age_grace", "must be delivery.deadline + body_timeout, or answers are cut off");
    }
}
