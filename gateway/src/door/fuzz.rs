//! Decompression of what clients say is compressed.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::decompress::{Decompressor, Encoding};
use crate::admission::budget::{Budget, Share};
use crate::fuzz::Input;
use crate::metrics::GaugeHandle;

const LIMIT: usize = 64 << 10;
/// What zstd says of a frame whose window is larger than 128 MiB (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`).
const WINDOW_TOO_LARGE: &str = "requires too much memory";

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
        match by_stream(encoding, bytes) {
            // Reading in pieces, it needs the window that the frame asks for. Here the output is the window.
            Err(error) if error.to_string().contains(WINDOW_TOO_LARGE) => {}
            theirs => assert_eq!(theirs.expect("the encoding's own reader reads it"), output),
        }
    }
    if bytes.len() <= LIMIT {
        let whole = decompressor.decompress(encoding, &compressed(encoding, bytes), &mut permit);
        assert_eq!(whole.ok().as_deref(), Some(bytes), "the decompressor goes on after a failure");
    }
    drop(permit);
    assert_eq!(budget.held(), 0);
}

fn by_stream(encoding: Encoding, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    let most = LIMIT as u64 + 1;
    match encoding {
        Encoding::Zstd => zstd::stream::read::Decoder::new(bytes)?.take(most).read_to_end(&mut output)?,
        _ => flate2::bufread::GzDecoder::new(bytes).take(most).read_to_end(&mut output)?,
    };
    Ok(output)
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
