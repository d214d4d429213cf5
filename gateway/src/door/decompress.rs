//! Decompresses messages without trusting them: the output is capped, and every byte of it is charged before it is made.

use flate2::{Decompress, FlushDecompress};
use zstd::zstd_safe::{DCtx, ErrorCode, get_frame_content_size};

use crate::admission::budget::Permit;
use crate::admission::refusal::Refusal;

/// What a call's `grpc-encoding` says of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not compressed.
    Identity,
    /// gzip, one member.
    Gzip,
    /// zstd.
    Zstd,
}

impl Encoding {
    /// What the gateway takes, as in `grpc-accept-encoding`.
    pub const ACCEPTED: &'static str = "identity,gzip,zstd";

    /// Reads the header's value; RFC 9110, 8.4.1: in any case, and `x-gzip` is gzip.
    ///
    /// # Errors
    /// [`Refusal::UnsupportedCompression`].
    pub fn parse(value: Option<&http::HeaderValue>) -> Result<Self, Refusal> {
        const NAMES: [(&[u8], Encoding); 5] = [
            (b"", Encoding::Identity),
            (b"identity", Encoding::Identity),
            (b"gzip", Encoding::Gzip),
            (b"x-gzip", Encoding::Gzip),
            (b"zstd", Encoding::Zstd),
        ];
        let Some(value) = value.map(http::HeaderValue::as_bytes) else { return Ok(Self::Identity) };
        let known = NAMES.iter().find(|(name, _)| value.eq_ignore_ascii_case(name));
        known.map(|(_, encoding)| *encoding).ok_or_else(|| {
            let encoding = String::from_utf8_lossy(&value[..value.len().min(32)]).into_owned();
            Refusal::UnsupportedCompression { encoding }
        })
    }
}

/// zstd's `ZSTD_error_dstSize_tooSmall`, as its functions return it.
const OUTPUT_FULL: ErrorCode = 0_usize.wrapping_sub(70);

/// A stream's decompressor. zstd's state is kept from message to message; making it anew costs more than most messages.
pub struct Decompressor {
    limit: usize,
    zstd: Option<DCtx<'static>>,
}

/// A message that could not be decompressed: why, and the output so far (it may tell the batch's sequence).
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub refusal: Refusal,
    /// The first bytes of the output.
    pub start: Vec<u8>,
}

impl Decompressor {
    /// Output of at most `limit` bytes a message.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, zstd: None }
    }

    /// Decompresses one message. Its compressed bytes are charged to `permit` already; the output is charged here.
    ///
    /// # Errors
    /// [`Failed`] for a broken message, one that grows past the limit and one that grows past the budget.
    pub fn decompress(&mut self, encoding: Encoding, input: &[u8], permit: &mut Permit) -> Result<Vec<u8>, Failed> {
        match encoding {
            Encoding::Identity => Err(Failed {
                refusal: broken("a compressed message in a call without grpc-encoding"),
                start: Vec::new(),
            }),
            Encoding::Gzip => self.gzip(input, permit),
            Encoding::Zstd => self.zstd(input, permit),
        }
    }

    /// One call for the whole message: the output is zstd's window, so a frame that asks for a window of gigabytes gets
    /// none. A frame that does not tell its size is tried again with twice the room.
    fn zstd(&mut self, input: &[u8], permit: &mut Permit) -> Result<Vec<u8>, Failed> {
        if input.is_empty() {
            return Err(failed(broken("the compressed data ends early"), Vec::new()));
        }
        let known = get_frame_content_size(input).ok().flatten().and_then(|size| usize::try_from(size).ok());
        let mut output = Vec::new();
        let mut wanted = known.unwrap_or_else(|| first_guess(input)).min(self.limit);
        loop {
            if let Err(refusal) = permit.grow(wanted - output.len()) {
                return Err(failed(refusal, output));
            }
            output.resize(wanted, 0);
            match self.zstd.get_or_insert_with(DCtx::create).decompress(output.as_mut_slice(), input) {
                Ok(length) => {
                    output.truncate(length);
                    return Ok(output);
                }
                Err(OUTPUT_FULL) if wanted < self.limit => wanted = (wanted * 2).clamp(1, self.limit),
                Err(OUTPUT_FULL) => return Err(failed(self.too_large(), output)),
                Err(_) => return Err(failed(broken("the zstd data is broken"), output)),
            }
        }
    }

    fn gzip(&self, mut input: &[u8], permit: &mut Permit) -> Result<Vec<u8>, Failed> {
        let mut gzip = Decompress::new_gzip(15);
        // One byte more than allowed tells a full message from one that is too large.
        let most = self.limit + 1;
        let mut output: Vec<u8> = Vec::new();
        let mut filled = 0;
        loop {
            if filled == output.len() {
                let wanted = if filled == 0 { first_guess(input) } else { filled * 2 }.min(most);
                if let Err(refusal) = permit.grow(wanted - filled) {
                    return Err(failed(refusal, output));
                }
                output.resize(wanted, 0);
            }
            let (in_before, out_before) = (gzip.total_in(), gzip.total_out());
            let status = gzip.decompress(input, &mut output[filled..], FlushDecompress::None);
            #[allow(clippy::cast_possible_truncation, reason = "both are lengths of slices")]
            let (read, wrote) = ((gzip.total_in() - in_before) as usize, (gzip.total_out() - out_before) as usize);
            input = &input[read..];
            filled += wrote;
            if filled == most {
                return Err(failed(self.too_large(), output));
            }
            match status {
                Err(_) => return Err(failed(broken("the gzip data is broken"), output)),
                Ok(flate2::Status::StreamEnd) if input.is_empty() => {
                    output.truncate(filled);
                    return Ok(output);
                }
                Ok(flate2::Status::StreamEnd) => {
                    return Err(failed(broken("there are bytes after the compressed data"), output));
                }
                Ok(_) if read == 0 && wrote == 0 => {
                    return Err(failed(broken("the compressed data ends early"), output));
                }
                Ok(_) => {}
            }
        }
    }

    fn too_large(&self) -> Refusal {
        Refusal::DecompressedTooLarge { limit: self.limit as u64 }
    }
}

/// Room for an output of unknown size: telemetry shrinks to about a fifth.
fn first_guess(input: &[u8]) -> usize {
    input.len().saturating_mul(4).max(1_024)
}

fn broken(why: &'static str) -> Refusal {
    Refusal::Undecodable { why }
}

fn failed(refusal: Refusal, mut output: Vec<u8>) -> Failed {
    output.truncate(16);
    Failed { refusal, start: output }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::admission::budget::{Budget, Share};
    use crate::metrics::GaugeHandle;

    fn budget(limit: u64) -> (Arc<Budget>, Permit) {
        let budget = Budget::new(limit, 1.0, GaugeHandle::default());
        let permit = budget.take(&Arc::new(Share::default()), 0).expect("room for a batch");
        (budget, permit)
    }

    fn compress(encoding: Encoding, data: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Identity => data.to_vec(),
            Encoding::Gzip => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                gzip.write_all(data).expect("writes");
                gzip.finish().expect("finishes")
            }
            Encoding::Zstd => zstd::encode_all(data, 3).expect("compresses"),
        }
    }

    #[test]
    fn encodings_are_named_in_any_case() {
        let parse = |name: &'static str| Encoding::parse(Some(&http::HeaderValue::from_static(name)));
        for (name, encoding) in [
            ("", Encoding::Identity),
            ("Identity", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("GZip", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("ZSTD", Encoding::Zstd),
        ] {
            assert_eq!(parse(name), Ok(encoding), "{name}");
        }
        assert_eq!(Encoding::parse(None), Ok(Encoding::Identity));
        for name in ["br", "gzip, gzip", "deflate", "gz"] {
            assert!(matches!(parse(name), Err(Refusal::UnsupportedCompression { .. })), "{name}");
        }
    }

    #[test]
    fn messages_come_back_whole_one_after_the_other() {
        let (_, mut permit) = budget(1 << 30);
        let mut decompressor = Decompressor::new(1 << 20);
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            for size in [0, 1, 1_000, 65_536, 1 << 20] {
                let data: Vec<u8> = (0..size).map(|position: usize| (position / 7) as u8).collect();
                let output = decompressor.decompress(encoding, &compress(encoding, &data), &mut permit);
                assert!(output.is_ok_and(|output| output == data), "{encoding:?} {size}");
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_the_next_message_is_read() {
        let (_, mut permit) = budget(1 << 30);
        let mut decompressor = Decompressor::new(1 << 20);
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let bomb = compress(encoding, &vec![0; 200 << 20]);
            let failed = decompressor.decompress(encoding, &bomb, &mut permit).expect_err("a bomb");
            assert_eq!(failed.refusal, Refusal::DecompressedTooLarge { limit: 1 << 20 });
            assert!(decompressor.decompress(encoding, &compress(encoding, b"fine"), &mut permit).is_ok());
        }
    }

    #[test]
    fn growth_is_held_to_the_budget() {
        let (budget, mut permit) = budget(Budget::cost(0) + 3 * 100_000);
        let data = vec![7; 1 << 20];
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let mut decompressor = Decompressor::new(1 << 22);
            let failed =
                decompressor.decompress(encoding, &compress(encoding, &data), &mut permit).expect_err("no room");
            assert!(matches!(failed.refusal, Refusal::OverBudget { .. }), "{:?}", failed.refusal);
        }
        drop(permit);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn broken_data_is_refused_wherever_it_breaks() {
        let (_, mut permit) = budget(1 << 40);
        let data: Vec<u8> = (0..3_000_u32).flat_map(u32::to_le_bytes).collect();
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let good = compress(encoding, &data);
            for end in 0..good.len() {
                let mut decompressor = Decompressor::new(1 << 20);
                assert!(
                    decompressor.decompress(encoding, &good[..end], &mut permit).is_err(),
                    "{encoding:?} cut at {end}"
                );
            }
            let mut longer = good;
            longer.push(0);
            assert!(Decompressor::new(1 << 20).decompress(encoding, &longer, &mut permit).is_err());
        }
    }
}
