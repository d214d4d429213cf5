//! What kind of file system a folder is on, and what that means for what is kept there.

use std::path::Path;

/// A file system, by what it does to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// On a disk.
    Disk(&'static str),
    /// In memory: gone with the machine.
    Memory,
    /// A container's own layer: gone with the container.
    Layer,
    /// On another machine: locks and fsync are as good as that one's.
    Network(&'static str),
    /// Not one that is known here.
    Other,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Disk(name) | Self::Network(name) => name,
            Self::Memory => "tmpfs",
            Self::Layer => "overlay",
            Self::Other => "of an unknown kind",
        }
    }
}

/// The kind of the file system that holds this path.
#[cfg(target_os = "linux")]
pub(super) fn of(path: &Path) -> Kind {
    rustix::fs::statfs(path).map_or(Kind::Other, |found| of_magic(u64::try_from(found.f_type).unwrap_or_default()))
}

/// As with Linux; other systems do not say it by number.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_: &Path) -> Kind {
    Kind::Other
}

/// By Linux's numbers (statfs(2), linux/magic.h).
#[cfg(any(target_os = "linux", test))]
fn of_magic(magic: u64) -> Kind {
    match magic {
        0xef53 => Kind::Disk("ext4"),
        0x5846_5342 => Kind::Disk("xfs"),
        0x9123_683e => Kind::Disk("btrfs"),
        0x2fc1_2fc1 => Kind::Disk("zfs"),
        0xf2f5_2010 => Kind::Disk("f2fs"),
        0x0102_1994 | 0x8584_58f6 => Kind::Memory,
        0x794c_7630 => Kind::Layer,
        0x6969 => Kind::Network("nfs"),
        0xff53_4d42 | 0xfe53_4d42 => Kind::Network("smb"),
        0x6573_5546 => Kind::Network("fuse"),
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_that_lose_what_they_hold_are_known() {
        assert_eq!(of_magic(0x0102_1994), Kind::Memory);
        assert_eq!(of_magic(0x794c_7630), Kind::Layer);
        assert_eq!(of_magic(0xef53), Kind::Disk("ext4"));
        assert_eq!(of_magic(1), Kind::Other);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_is_told_from_a_disk() {
        assert_eq!(of(Path::new("/dev/shm")), Kind::Memory);
    }
}
