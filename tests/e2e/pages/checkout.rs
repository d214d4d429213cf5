//! What a reader has who follows a page: the checkout, in a folder of its own, and the programs on the path.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use headgate_tests::gateway::free_address;
use headgate_tests::{binary, python};
use tempfile::TempDir;

/// The pages' addresses, which another gateway may have on this machine, and the settings that say others.
const LISTENERS: [(&str, &str); 3] = [
    ("127.0.0.1:50051", "HEADGATE_GRPC__LISTEN"),
    ("127.0.0.1:8080", "HEADGATE_REST__LISTEN"),
    ("127.0.0.1:9090", "HEADGATE_OPERATE__LISTEN"),
];
/// What commands of pages read. Sources, which are most of the files, are cargo's to read, and cargo is not run.
const READ: [&str; 5] = ["benches/peers/", "deploy/", "docs/", "proto/", "tests/e2e/queries/"];
/// Of the reader's machine, beside what .ci/run installs for the clients of docs/clients.
const TOOLS: [&str; 3] = ["bash", "curl", "jq"];

pub(super) struct Checkout {
    folder: TempDir,
    addresses: [SocketAddr; 3],
}

impl Checkout {
    pub(super) fn fresh() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let checkout = Self { folder, addresses: std::array::from_fn(|_| free_address()) };
        for name in files().iter().filter(|name| READ.iter().any(|folder| name.starts_with(folder))) {
            let to = checkout.root().join(name);
            fs::create_dir_all(to.parent().expect("a file is in a folder")).expect("a folder can be made");
            let from = binary::workspace().join(name);
            fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        }
        let programs = checkout.folder.path().join("bin");
        fs::create_dir(&programs).expect("a new folder");
        for (name, program) in [("headgate", binary::headgate()), ("headgate-loadtest", binary::loadtest())] {
            let program = program.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
            symlink(program, programs.join(name)).expect("a new folder");
        }
        checkout
    }

    /// The repository's root, as the reader has it.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("headgate")
    }

    /// A file of the rig's own, beside the checkout.
    pub(super) fn own(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A page's text with the addresses that its gateway has here.
    pub(super) fn localized(&self, text: &str) -> String {
        let pairs = LISTENERS.iter().zip(self.addresses);
        pairs.fold(text.to_owned(), |text, ((theirs, _), ours)| text.replace(theirs, &ours.to_string()))
    }

    /// Bash in the checkout, with the programs that pages call and no settings of whoever runs the tests.
    pub(super) fn bash(&self) -> Command {
        let stock = python::interpreter().parent().expect("a program is in a folder");
        let own = self.folder.path().join("bin");
        let others = std::env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("HEADGATE_") || name.starts_with("AWS_") || name.starts_with("CARGO") {
                bash.env_remove(&*name);
            }
        }
        bash.current_dir(self.root());
        bash.env("PATH", format!("{}:{}:{}:{others}", own.display(), stock.display(), python::duckdb().display()));
        bash.envs(LISTENERS.iter().zip(self.addresses).map(|((_, setting), address)| (setting, address.to_string())));
        bash
    }
}

/// Those that git knows, and that are there.
pub(super) fn files() -> &'static [String] {
    static FILES: OnceLock<Vec<String>> = OnceLock::new();
    FILES.get_or_init(|| {
        for tool in TOOLS {
            let found = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
            assert!(found, "pages call {tool}: install it (Debian: apt-get install {tool})");
        }
        let mut git = Command::new("git");
        git.current_dir(binary::workspace()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let names = python::run(&mut git).expect("git lists the files: install git");
        names.split('\0').filter(|name| is_file(&binary::workspace().join(name))).map(str::to_owned).collect()
    })
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}
