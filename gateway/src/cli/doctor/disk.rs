//! Folders: can they be written, is there room, does fsync work, and will what is in them still be there tomorrow?

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use rustix::fs::{Access, access};

use super::check::{Check, Verdict};
use super::file_system::{self, Kind};
use crate::clock::Clock;
use crate::config::{BadRowsKind, DestinationKind, Settings};
use crate::delivery::lake::{FileLayer, OsFiles};

/// What one fsync writes: a page.
const PAGE: [u8; 4096] = [0x5a; 4096];
/// The median of so many.
const SYNCS: usize = 5;
/// A disk that flushes takes longer than this, with or without a battery.
const TOO_FAST: Duration = Duration::from_micros(15);
/// Each group of acknowledgements waits for one.
const TOO_SLOW: Duration = Duration::from_millis(50);

/// What a folder is for.
#[derive(Clone, Debug)]
struct Folder {
    /// The name of the check.
    name: &'static str,
    path: PathBuf,
    /// The data folder, which is the gateway's own where it is there.
    data_dir: PathBuf,
    /// Bytes that it may come to hold, by the settings.
    need: u64,
    /// Bytes below which events are refused.
    floor: u64,
    /// Whether what it holds is promised to be there after a restart.
    promised: bool,
}

pub(super) fn checks(settings: &Settings, clock: &Clock) -> Vec<Check> {
    let check = |folder: Folder| {
        let clock = clock.clone();
        Check::blocking(folder.name, move || look(&folder, &clock))
    };
    folders(settings).into_iter().map(check).collect()
}

fn folders(settings: &Settings) -> Vec<Folder> {
    let data_dir = &settings.data_dir;
    let of = |name, below: &str, need, floor, promised| Folder {
        name,
        path: if below.is_empty() { data_dir.clone() } else { data_dir.join(below) },
        data_dir: data_dir.clone(),
        need,
        floor,
        promised,
    };
    let has_lake = settings.delivery.destination == DestinationKind::Lake;
    let mut folders = vec![of("data folder", "", 0, 0, false)];
    if has_lake {
        let (segment, floor) = (settings.lake.segment.0, settings.lake.min_free.0);
        // A segment that is written, one that becomes Parquet, and its files.
        folders.push(of("lake folder", "lake", floor + 3 * segment, floor, true));
    }
    if settings.delivery.bad_rows == BadRowsKind::Local {
        folders.push(of("bad rows folder", "bad_rows", settings.lake.bad_rows_keep.0, 0, false));
    }
    let destinations = [&settings.kinesis.stream, &settings.firehose.delivery_stream];
    let spills = destinations.iter().filter(|stream| !stream.is_empty()).count() as u64;
    if spills > 0 && settings.delivery.spill.0 > 0 {
        folders.push(of("spill folder", "spill", settings.delivery.spill.0 * spills, 0, true));
    }
    folders
}

fn look(folder: &Folder, clock: &Clock) -> Verdict {
    let path = &folder.path;
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => {
            let says = format!("{} is no folder", path.display());
            return Verdict::fail(says, "move the file away, or set data_dir to another folder");
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let says = format!("{}: {error}", path.display());
            return Verdict::fail(says, "check who owns the folders on the way to it, and data_dir");
        }
    }
    let place = nearest(path);
    let mine = "give the folder to the gateway's user, mount the volume writable, or set data_dir to another folder";
    let synced = if place.starts_with(&folder.data_dir) {
        match try_syncs(&place, folder.name, clock) {
            Ok(median) => Some(median),
            Err(error) => return Verdict::fail(format!("{} can't be written: {error}", place.display()), mine),
        }
    } else {
        // Nothing is made that was not there, and nothing is written to a folder of others: the start makes it.
        if let Err(error) = access(&place, Access::WRITE_OK | Access::EXEC_OK) {
            let says = format!("{} is to be made in {}: {error}", path.display(), place.display());
            return Verdict::fail(says, mine);
        }
        None
    };
    let free = match OsFiles.free_space(&place) {
        Ok(free) => free,
        Err(error) => return Verdict::fail(format!("{}: {error}", place.display()), mine),
    };
    room_and_speed(folder, &place, free, synced)
}

fn room_and_speed(folder: &Folder, place: &Path, free: u64, synced: Option<Duration>) -> Verdict {
    let kind = file_system::of(place);
    let path = folder.path.display();
    let size = |bytes| ByteSize(bytes).display();
    if free < folder.floor {
        let says =
            format!("{path}: {} free, below lake.min_free ({}): events are refused", size(free), size(folder.floor));
        return Verdict::fail(says, "make room, or lower lake.min_free");
    }
    if free < folder.need {
        let says =
            format!("{path}: {} free, and by the settings it may come to hold {}", size(free), size(folder.need));
        let mend = "make room, or lower lake.segment, lake.bad_rows_keep or delivery.spill";
        return Verdict::warn(says, mend);
    }
    let speed = match synced {
        Some(median) => format!(", fsync {median:.1?}"),
        None => ", made at the start".to_owned(),
    };
    let says = format!("{path}: {}, {} free{speed}", kind.word(), size(free));
    if folder.promised {
        match kind {
            Kind::Memory | Kind::Layer => {
                return Verdict::warn(
                    says,
                    "put data_dir on a volume: what is acknowledged here goes with the container",
                );
            }
            Kind::Network(_) => {
                return Verdict::warn(says, "use a disk of this machine: over a network, locks and fsync promise less");
            }
            Kind::Disk(_) | Kind::Other => {}
        }
        if synced.is_some_and(|median| median < TOO_FAST) {
            let mend = "no disk flushes so fast: ask whether it honours fsync (write cache, hypervisor, libeatmydata)";
            return Verdict::warn(says, mend);
        }
    }
    if synced.is_some_and(|median| median > TOO_SLOW) {
        return Verdict::warn(says, "a busy or slow disk: each acknowledgement of the lake waits for an fsync");
    }
    Verdict::ok(says)
}

/// The folder itself, or the nearest one above it that is there.
fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|above| above.is_dir());
    there.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// A file that goes when this goes.
struct Passing {
    path: PathBuf,
    file: File,
}

impl Passing {
    fn create(folder: &Path, check: &str) -> io::Result<Self> {
        // As the lake's temporary files: whoever cleans up after a crash knows these. One for each check, of which several
        // may look at the same folder.
        let path = folder.join(format!(".doctor-{}-{}.tmp", std::process::id(), check.replace(' ', "-")));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn try_syncs(folder: &Path, check: &str, clock: &Clock) -> io::Result<Duration> {
    let mut passing = Passing::create(folder, check)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        passing.file.write_all(&PAGE)?;
        let began = clock.now();
        passing.file.sync_data()?;
        times.push(clock.now().saturating_duration_since(began));
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::super::check::Level;
    use super::*;

    fn folder(path: &Path, need: u64, floor: u64) -> Folder {
        Folder { name: "lake folder", path: path.to_owned(), data_dir: path.to_owned(), need, floor, promised: false }
    }

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let verdict = look(&folder(dir.path(), 0, 0), &Clock::system());
        assert!(verdict.says.contains("fsync"), "{verdict:?}");
        assert_ne!(verdict.level, Level::Fail, "{verdict:?}");
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0);
        let verdict = look(&folder(&dir.path().join("a/b"), 0, 0), &Clock::system());
        assert!(verdict.says.contains("made at the start"), "{verdict:?}");
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0);
    }

    #[test]
    fn room_is_held_against_what_the_settings_may_take() {
        let dir = tempfile::tempdir().expect("a folder");
        let level = |need, floor| look(&folder(dir.path(), need, floor), &Clock::system()).level;
        assert_eq!(level(u64::MAX, 0), Level::Warn);
        assert_eq!(level(u64::MAX, u64::MAX), Level::Fail);
    }

    #[test]
    fn what_can_not_be_written_or_is_no_folder_fails() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("lake");
        fs::write(&file, b"x").expect("writes");
        let verdict = look(&folder(&file, 0, 0), &Clock::system());
        assert_eq!(verdict.level, Level::Fail, "{verdict:?}");
        // Not even root may make files there.
        let verdict = look(&folder(Path::new("/proc"), 0, 0), &Clock::system());
        assert!(verdict.level == Level::Fail && verdict.says.contains("can't be written"), "{verdict:?}");
    }

    #[test]
    fn memory_and_a_container_s_layer_are_no_place_for_what_is_promised() {
        // Made there at the start: nothing is written to a folder of others.
        let promised = Folder { promised: true, ..folder(Path::new("/dev/shm/headgate-doctor/lake"), 0, 0) };
        let verdict = look(&promised, &Clock::system());
        assert!(verdict.level == Level::Warn && verdict.says.contains("tmpfs"), "{verdict:?}");
    }
}
