//! Decompression of what clients say is compressed.

use std::io::{Read, Write};
use std::sync::Arc;

use super::decompress::{Decompressor, Encoding};
use crate::admission::budget::{Budget, Share};
use crate::fuzz::Input;
use crate::metrics::GaugeHandle;

const LIMIT: usize = 64 << 10;

/// The output never passes the limit, is what the encodings' own readers say, and a good message comes back whole.
pub fn decompression(data: &[u8]) {
    let mut input = Input::new(data);
    let encoding = if input.byte() & 1 == 0 { Encoding::Gzip } else { Encoding::Zstd };
    let bytes = input.rest();
    let budget = Budget::new(1 << 30, 1.0, GaugeHandle::default());
    let mut permit = budget.take(&Arc::new(Share::default()), bytes.len()).expect("there is room");
    let mut decompressor = Decompressor::new(LIMIT);
    if let Ok(output) = decompressor.decompress(encoding, bytes, &mut permit) {
        assert!(output.len() <= LIMIT);
        assert_eq!(by_stream(encoding, bytes), Some(output));
    }
    if bytes.len() <= LIMIT {
        let whole = decompressor.decompress(encoding, &compressed(encoding, bytes), &mut permit);
        assert_eq!(whole.ok().as_deref(), Some(bytes), "the decompressor goes on after a failure");
    }
    drop(permit);
    assert_eq!(budget.held(), 0);
}

fn by_stream(encoding: Encoding, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    let most = LIMIT as u64 + 1;
    match encoding {
        Encoding::Zstd => zstd::stream::read::Decoder::new(bytes).ok()?.take(most).read_to_end(&mut output).ok()?,
        _ => flate2::bufread::GzDecoder::new(bytes).take(most).read_to_end(&mut output).ok()?,
    };
    Some(output)
}

fn compressed(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Zstd => zstd::encode_all(bytes, 1).expect("a vector takes it"),
        _ => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(bytes).and_then(|()| gzip.finish()).expect("a vector takes it")
        }
    }
}
