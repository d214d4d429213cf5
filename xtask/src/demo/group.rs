//! Helpers that start helpers (cargo, pip): each runs in a process group of its own, which ends as a whole when nobody
//! waits for it any more.

use std::io;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// A running helper with all that it started.
pub(super) struct Group {
    leader: Child,
    /// None once the helper has ended.
    id: Option<Pid>,
}

impl Group {
    /// Starts the helper, without a standard input.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let leader = command.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn()?;
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { leader, id })
    }

    /// Waits for the helper, and returns what it wrote to standard output if that is piped.
    pub(super) async fn finish(mut self) -> io::Result<(ExitStatus, Vec<u8>)> {
        let mut output = Vec::new();
        if let Some(mut pipe) = self.leader.stdout.take() {
            pipe.read_to_end(&mut output).await?;
        }
        let status = self.leader.wait().await?;
        self.id = None;
        Ok((status, output))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // It may have ended just now; then there is nobody to signal.
            let _ = kill_process_group(id, Signal::TERM);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn a_helper_that_nobody_waits_for_ends_with_all_that_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.tmp && mv {0}.tmp {0}; wait", file.display());
        let group = Group::start(Command::new("sh").args(["-c", &script])).expect("starts");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !file.exists() {
            assert!(Instant::now() < deadline, "the helper did not start its own");
            sleep(Duration::from_millis(10)).await;
        }
        let pid: u32 = std::fs::read_to_string(&file).expect("written").trim().parse().expect("a pid");
        assert!(runs(pid), "the helper's helper runs");
        assert!(timeout(Duration::from_millis(50), group.finish()).await.is_err());
        while runs(pid) {
            assert!(Instant::now() < deadline, "the helper's helper goes on");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether the process is there and no zombie.
    fn runs(pid: u32) -> bool {
        let state = |stat: String| stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
        std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(state).is_some_and(|state| state != 'Z')
    }

    #[tokio::test]
    async fn what_a_helper_says_is_handed_over_with_its_status() {
        let command = &mut Command::new("sh");
        command.args(["-c", "echo said; exit 3"]).stdout(Stdio::piped());
        let (status, output) = Group::start(command).expect("starts").finish().await.expect("ends");
        assert_eq!((status.code(), output.as_slice()), (Some(3), b"said\n".as_slice()));
    }
}
