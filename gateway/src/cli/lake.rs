//! Being written.
use super::*; #[derive(Debug, clap::Subcommand)] pub enum LakeCommand { X } pub async fn run(_: LakeCommand, _: &Context) -> Result<(), CliError> { Ok(()) }
