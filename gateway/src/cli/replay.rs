//! Being written.
use super::*; #[derive(Debug, clap::Args)] pub struct ReplayArgs { } pub async fn run(_: ReplayArgs, _: &Context) -> Result<(), CliError> { Ok(()) }
