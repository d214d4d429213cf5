//! What lies in the spill when a gateway starts: of a file's buckets some may have been delivered, and the file goes only
//! when all of them are. So each event there may be delivered once more, which is promised: at least once across starts.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use uuid::Uuid;

const FIELD: &[u8] = b"\"event_id\":\"";

/// How often each event lies in the files of the spill below a data folder.
pub(super) fn events(data: &Path) -> HashMap<Uuid, u16> {
    let mut events = HashMap::new();
    let destinations = fs::read_dir(data.join("spill")).into_iter().flatten().flatten();
    let files = destinations.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten()).flatten();
    for content in files.filter_map(|file| fs::read(file.path()).ok()) {
        for id in ids(&content) {
            *events.entry(id).or_default() += 1;
        }
    }
    events
}

fn ids(content: &[u8]) -> impl Iterator<Item = Uuid> {
    let starts = memchr::memmem::find_iter(content, FIELD).map(|place| place + FIELD.len());
    starts.filter_map(|start| Uuid::try_parse_ascii(content.get(start..start + 36)?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_between_other_bytes() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().join("spill/kinesis");
        fs::create_dir_all(&folder).expect("a folder");
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let line = |id: Uuid| [b"\x1a\x00{", FIELD, id.to_string().as_bytes(), b"\",\"a\":1}\n"].concat();
        fs::write(folder.join("000000000001.spill"), [line(one), line(two), line(one)].concat()).expect("writes");
        fs::write(folder.join("000000000002.spill"), &line(two)[..20]).expect("writes");
        assert_eq!(events(data.path()), HashMap::from([(one, 2), (two, 1)]));
        assert!(events(folder.as_path()).is_empty());
    }
}
