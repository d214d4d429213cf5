//! Gives back memory that only the start of this process needed, before what players take is measured.
//!
//! The kernel maps a program's pages in wide strides around each one that is touched, and parsing flags and settings
//! touches much of the program once. Pages that are needed again are mapped again from the page cache, without a disk.

use std::ffi::c_void;

/// Lets go of the mapped pages of this program's code. Only of its code: read-only data may hold addresses that the
/// loader wrote into it, which the file does not have. Does nothing where `/proc` does not say where they
/// are.
pub(crate) fn forget_startup() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    let Ok(program) = std::env::current_exe() else { return };
    let program = program.to_string_lossy();
    for (from, to) in maps.lines().filter_map(|line| code_range(line, &program)) {
        // SAFETY: the range is a mapping of this program's code, which position-independent programs are not written
        // into, so that each of its pages has the file's contents before and after. A failure changes nothing.
        let _ = unsafe { rustix::mm::madvise(from as *mut c_void, to - from, rustix::mm::Advice::LinuxDontNeed) };
    }
}

/// The range of a line of `/proc/PID/maps` that maps this file's code.
fn code_range(line: &str, program: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_whitespace();
    let (range, access) = (fields.next()?, fields.next()?);
    if !line.ends_with(program) || access != "r-xp" {
        return None;
    }
    let (from, to) = range.split_once('-')?;
    Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_programs_own_code_are_let_go() {
        let program = "/opt/load test";
        let of = |line: &str| code_range(line, program);
        assert_eq!(of("1000-3000 r-xp 00002000 fe:00 17 /opt/load test"), Some((0x1000, 0x3000)));
        assert_eq!(of("3000-4000 r--p 00002000 fe:00 17 /opt/load test"), None);
        assert_eq!(of("4000-5000 rw-p 00002000 fe:00 17 /opt/load test"), None);
        assert_eq!(of("5000-6000 r-xp 00002000 fe:00 18 /usr/lib/libc.so.6"), None);
        assert_eq!(of("6000-7000 rw-p 00000000 00:00 0"), None);
    }

    // Whoever reads a constant and runs code afterwards has not lost either.
    #[test]
    fn the_program_goes_on() {
        static TEXT: &str = "a constant of the program";
        forget_startup();
        assert_eq!(TEXT.len(), 25);
        assert_eq!("12".parse::<u32>(), Ok(12));
    }
}
