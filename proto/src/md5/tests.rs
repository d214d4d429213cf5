use super::*;

/// Messages of these lengths, no two alike.
fn messages(lengths: &[usize]) -> Vec<Vec<u8>> {
    let byte = |message: usize, at: usize| (at.wrapping_mul(31) ^ at >> 7 ^ message.wrapping_mul(89)) as u8;
    lengths.iter().enumerate().map(|(message, len)| (0..*len).map(|at| byte(message, at)).collect()).collect()
}

/// With each of the ways that this machine has.
fn every_way(messages: &[Message<'_>]) -> Vec<(&'static str, Vec<Digest>)> {
    let mut ways = vec![("chosen", digests(messages))];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has AVX-512.
            ways.push((
                "avx512",
                in_lanes(messages, |states, blocks, busy| unsafe { avx512::compress(states, blocks, busy) }),
            ));
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2.
            ways.push((
                "avx2",
                in_lanes(messages, |states, blocks, busy| unsafe { avx2::compress(states, blocks, busy) }),
            ));
        }
    }
    ways
}

fn check(lengths: &[usize]) {
    let messages = messages(lengths);
    let expected: Vec<Digest> = messages.iter().map(|message| Md5::digest(message).into()).collect();
    for head in [0, 1, 47, BLOCK - 1] {
        let pieces: Vec<Message<'_>> =
            messages.iter().map(|message| message.split_at(head.min(message.len()))).collect();
        assert_eq!(one_by_one(&pieces), expected);
        for (way, digests) in every_way(&pieces) {
            assert_eq!(digests, expected, "{way}: {lengths:?}, {head} bytes before");
        }
    }
}

#[test]
fn no_message_has_no_digest() {
    assert!(every_way(&[]).iter().all(|(_, digests)| digests.is_empty()));
}

#[test]
fn the_digests_of_rfc_1321() {
    let messages: [Message<'_>; 3] = [(b"", b""), (b"", b"abc"), (b"message ", b"digest")];
    let expected = [
        0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e_u128,
        0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72,
        0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0,
    ];
    for (way, digests) in every_way(&messages) {
        assert_eq!(digests, expected.map(u128::to_be_bytes), "{way}");
    }
}

#[test]
fn every_length_ends_right() {
    // Beside one another, and each beside one that is much longer.
    check(&(0..300).collect::<Vec<_>>());
    for length in 0..=130 {
        check(&[length, 4_000]);
    }
}

#[test]
fn any_number_of_messages_fills_the_lanes() {
    for count in (0..40).chain([47, 48, 49, 63, 64, 65, 81]) {
        check(&vec![1_000; count]);
        check(&(0..count).map(|message| message * 777 % 5_000).collect::<Vec<_>>());
    }
}
