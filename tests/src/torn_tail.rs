//! What a kill or a power cut leaves at the end of the lake's log, put there by hand: a kill alone rarely hits a write.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What is torn, made from the newest segment as it is.
pub type Tear = fn(&[u8]) -> Vec<u8>;

/// Nonsense, the first bytes of a frame's header, half a frame.
pub const TEARS: [Tear; 3] = [
    |_| b"\0\xff{\"event\":{\"event_id\":\"".repeat(40),
    |segment| last_frame(segment)[..7].to_vec(),
    |segment| {
        let frame = last_frame(segment);
        frame[..frame.len() / 2].to_vec()
    },
];

/// Leaves it at the end of the newest segment of a lake whose gateway was killed under load; says how many bytes.
///
/// # Panics
/// If there is no segment with events, or it can't be written.
pub fn leave(lake: &Path, tear: Tear) -> u64 {
    let newest = newest_segment(&lake.join("log"));
    let torn = tear(&fs::read(&newest).expect("the segment can be read"));
    let mut file = OpenOptions::new().append(true).open(&newest).expect("the segment can be opened");
    file.write_all(&torn).expect("and appended to");
    torn.len() as u64
}

fn newest_segment(log: &Path) -> PathBuf {
    let entries = fs::read_dir(log).expect("the log can be listed");
    let paths = entries.map(|entry| entry.expect("the log can be listed").path());
    let segments = paths.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.max().expect("a gateway under load has an open segment")
}

/// The last frame of a segment: a frame begins with these bytes, which occur nowhere in its records.
fn last_frame(segment: &[u8]) -> &[u8] {
    let start = segment.windows(4).rposition(|bytes| bytes == b"\xf7HGP").expect("events were acknowledged");
    &segment[start..]
}
