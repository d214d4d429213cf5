//! Frames, resets, headers and keys without end.

use headgate_tests::frames::{self, CONTINUATION, END_HEADERS, HEADERS, PING, RST_STREAM, SETTINGS, frame};
use headgate_tests::poll;
use headgate_tests::raw::RawConnection;
use tonic::Code;

use super::House;
use crate::PATIENCE;

/// HTTP/2's error codes: RFC 9113, 7.
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

/// CVE-2023-44487: a client that resets every stream as soon as it has opened it is under no limit of open streams.
#[tokio::test(flavor = "multi_thread")]
async fn rapid_reset_ends_the_connection() {
    let mut house = House::with(|settings| settings.grpc.max_control_frames = 1_000).await;
    let headers = frames::call("PublishEvents", &house.target.key);
    let (sent, _) = house
        .flood(|connection| {
            let stream = connection.next_stream();
            let open = frame(HEADERS, END_HEADERS, stream, &headers);
            [open, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        })
        .await;
    println!("{sent} streams were opened and reset");
    // Its limit, or the one that the library has for streams that nobody has looked at yet.
    poll::until("it is counted", PATIENCE, async || {
        (house.refused("flood") + house.refused("protocol") >= 1).then_some(())
    })
    .await;
    house.is_well().await;
}

/// A list of headers that never ends (CVE-2024-27316 and its kin).
#[tokio::test(flavor = "multi_thread")]
async fn a_continuation_flood_ends_the_connection() {
    let mut house = House::new().await;
    let piece: Vec<u8> = std::iter::repeat_n(frames::literal("x", "y"), 100).flatten().collect();
    let mut first = true;
    let (_, heard) = house
        .flood(|_| {
            let kind = if std::mem::take(&mut first) { HEADERS } else { CONTINUATION };
            frame(kind, 0, 3, &piece)
        })
        .await;
    println!("{heard:?}");
    assert!(heard.goaway.is_none_or(|code| [PROTOCOL_ERROR, ENHANCE_YOUR_CALM].contains(&code)), "{heard:?}");
    house.counted("protocol", 1).await;
    house.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_settings_or_empty_frames_ends_the_connection() {
    let mut house = House::with(|settings| settings.grpc.max_control_frames = 1_000).await;
    let open = frame(HEADERS, END_HEADERS, 3, &frames::call("StreamEvents", &house.target.key));
    let floods = [
        vec![frame(PING, 0, 0, &[7; 8])],
        vec![frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])],
        // PRIORITY, which HTTP/2 has given up, and a type that nobody knows.
        vec![frame(2, 0, 3, &[0, 0, 0, 0, 1])],
        vec![frame(0xbe, 0, 0, b"")],
        vec![open, frame(frames::DATA, 0, 3, b"")],
    ];
    for (flood, times) in floods.into_iter().zip(1..) {
        let mut frames = flood.iter().chain(std::iter::repeat(flood.last().expect("one")));
        let (sent, _) = house.flood(|_| frames.next().expect("endless").clone()).await;
        println!("{sent} frames of type {}", flood.last().expect("one")[3]);
        // Empty DATA has a limit of the library's, too, which may come first.
        poll::until("it is counted", PATIENCE, async || {
            (house.refused("flood") + house.refused("protocol") >= times).then_some(())
        })
        .await;
        house.is_well().await;
    }
}

/// Unknown keys are remembered, but only so many; and none of them slows a good one.
#[tokio::test(flavor = "multi_thread")]
async fn random_keys_take_no_memory_without_bound() {
    let mut house = House::with(|settings| settings.admission.unknown_key_entries = 1_000).await;
    let mut raw = RawConnection::open(house.target.address).await;
    for number in 0..5_000_u32 {
        let key = format!("nobody-has-{:08x}", number.wrapping_mul(0x9e37_79b9));
        let (code, _) = raw.publish(&key, &[], Vec::new()).await;
        assert_eq!(code, Code::Unauthenticated);
    }
    house.is_well().await;
    let entries = house.gateway.metrics().encode().expect("text");
    let unknown =
        entries.lines().find(|line| line.starts_with("headgate_key_cache_entries") && line.contains("unknown"));
    println!("{unknown:?}");
}
