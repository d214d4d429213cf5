//! Counts instructions with callgrind (<https://valgrind.org/docs/manual/cl-manual.html>), which counts the same on every
//! run. It knows no AVX-512: what is counted is the way of machines with AVX2.

use std::process::Command;

use super::{Station, Turn};
use crate::Result;

/// The C library has a copy and a comparison of memory for each kind of processor: here the one of all of them, so that counts
/// are the same on every machine with AVX2.
const SAME_LIBRARY: &str = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-ERMS,-FSRM";

/// Turns that are counted.
const TURNS: u32 = 20;

/// callgrind.
pub(super) struct Counter;

impl Counter {
    /// Where it is there.
    pub(super) fn find() -> Option<Self> {
        let version = Command::new("valgrind").arg("--version").output().ok()?;
        version.status.success().then_some(Self)
    }

    /// Instructions of a unit of a station.
    pub(super) fn count(&self, station: &Station) -> Result<f64> {
        let output = Command::new("valgrind")
            .env("GLIBC_TUNABLES", SAME_LIBRARY)
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
            .arg(format!("--toggle-collect={COUNTED}"))
            .arg(std::env::current_exe()?)
            .args(["--station", station.name, "--turns", &TURNS.to_string()])
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let collected = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<f64>().ok());
        match collected {
            Some(collected) if output.status.success() && collected > 0.0 => {
                Ok(collected / f64::from(TURNS * station.units))
            }
            _ => Err(format!("callgrind counts nothing of \"{}\":\n{said}", station.name).into()),
        }
    }
}

const COUNTED: &str = "headgate_counted_turns";

/// Takes turns, which callgrind counts by this function's name.
#[unsafe(export_name = "headgate_counted_turns")]
#[inline(never)]
pub(super) extern "C" fn counted(turn: &mut Turn, turns: u32) {
    for _ in 0..turns {
        turn();
    }
}
