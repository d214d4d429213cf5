//! What a program is built of. Who packages one says it in the environment of the build: `HEADGATE_COMMIT`, without which a
//! release asks git, and `HEADGATE_BUILD`, a name of the build that made it.

/// The version of all of Headgate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, 40 hexadecimal digits, with `-dirty` behind it where files were changed; empty in a development build.
pub const COMMIT: &str = env!("HEADGATE_COMMIT");

/// What whoever packaged it calls the build; mostly empty.
pub const BUILD: &str = env!("HEADGATE_BUILD");

/// All three, as `--version` has them.
pub const DESCRIPTION: &str = match (COMMIT.is_empty(), BUILD.is_empty()) {
    (true, _) => concat!(env!("CARGO_PKG_VERSION"), " (development build)"),
    (false, true) => concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("HEADGATE_COMMIT"), ")"),
    (false, false) => {
        concat!(
            env!("CARGO_PKG_VERSION"),
            " (commit ",
            env!("HEADGATE_COMMIT"),
            ", build ",
            env!("HEADGATE_BUILD"),
            ")"
        )
    }
};
