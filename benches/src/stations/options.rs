//! The command line of `stations`.

use clap::Parser;

/// Shows what each station of the hot path costs by itself.
#[derive(Clone, Debug, Parser)]
#[command(name = "stations")]
pub struct Options {
    /// Only stations whose name holds one of these
    names: Vec<String>,
    /// No instructions, which take callgrind (Debian: valgrind) and a second for each station
    #[arg(long)]
    no_instructions: bool,
    /// Hold the instructions to what is written down in instructions.toml; exit status 1: one is higher
    #[arg(long)]
    pub check: bool,
    /// Write the instructions down; what is higher than before needs --because
    #[arg(long, conflicts_with_all = ["check", "no_instructions"])]
    pub update: bool,
    /// Why instructions are more than they were
    #[arg(long, requires = "update", value_name = "REASON")]
    pub because: Option<String>,
    /// Take turns instead of measuring: what runs under callgrind
    #[arg(long, hide = true, requires = "turns")]
    pub station: Option<String>,
    /// How many
    #[arg(long, hide = true, default_value_t = 0)]
    pub turns: u32,
    /// `cargo bench` says so
    #[arg(long, hide = true)]
    pub bench: bool,
}

impl Options {
    pub(super) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| name.contains(wanted.as_str()))
    }

    pub(super) fn counts_instructions(&self) -> bool {
        !self.no_instructions
    }

    /// Time is not what is held to.
    pub(super) fn times(&self) -> bool {
        !self.check && !self.update
    }

    /// Whether every station is measured.
    #[must_use]
    pub fn all(&self) -> bool {
        self.names.is_empty()
    }
}
