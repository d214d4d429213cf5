//! The data folder's lock: held by a gateway, which says in it where it can be asked, or taken for as long as the command
//! works itself.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use super::CliError;

/// Who has the data folder.
#[derive(Debug)]
pub(super) enum Lock {
    /// This command, as long as the file is open.
    Ours(#[allow(dead_code, reason = "held, not read")] File),
    /// A gateway that runs.
    Gateway(Running),
}

/// Where a gateway that runs can be asked.
#[derive(Debug, Deserialize)]
pub(super) struct Running {
    /// Its version; releases that hash no ids (0.1.0) do not say it.
    #[serde(default)]
    pub(super) version: Option<String>,
    /// Its gRPC door.
    pub(super) grpc: SocketAddr,
    /// Its operators' listener.
    pub(super) operate: SocketAddr,
}

impl Lock {
    /// Takes the lock, or finds out who has it.
    pub(super) fn take(data_dir: &Path) -> Result<Self, CliError> {
        if !data_dir.is_dir() {
            return Err(CliError::failed(format!("{}: there is no such data folder", data_dir.display())));
        }
        let path = data_dir.join("lock");
        let failed = |error| CliError::failed(format!("{}: {error}", path.display()));
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => return Ok(Self::Ours(file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        match serde_json::from_str::<Running>(&text) {
            Ok(running) => Ok(Self::Gateway(running)),
            Err(_) => Err(CliError::failed(format!(
                "{} is in use by a gateway that is starting or stopping, or by another command: try again",
                data_dir.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_the_folder_is_found() {
        let dir = tempfile::tempdir().expect("makes a folder");
        let ours = Lock::take(dir.path()).expect("is free");
        assert!(matches!(ours, Lock::Ours(_)));
        let error = Lock::take(dir.path()).expect_err("is taken");
        assert!(error.to_string().contains("in use"), "{error}");
        std::fs::write(dir.path().join("lock"), r#"{"pid":1,"grpc":"127.0.0.1:1","operate":"127.0.0.1:9090"}"#)
            .expect("writes");
        let Lock::Gateway(running) = Lock::take(dir.path()).expect("is a gateway's") else { panic!("is taken") };
        assert_eq!((running.grpc.port(), running.operate.port()), (1, 9090));
        drop(ours);
        assert!(matches!(Lock::take(dir.path()), Ok(Lock::Ours(_))));
        assert!(Lock::take(&dir.path().join("none")).is_err());
    }
}
