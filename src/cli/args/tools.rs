//! Tools around a cluster: `doctor`, `monitor`, `debug`, `repl`, `completions`, `man`.

use super::{LookArgs, Target};
use crate::config::parse_duration;
use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    /// How long between the two looks at hints; 0s: one look only
    #[arg(long, value_name = "D", default_value = "3s", value_parser = parse_duration)]
    pub between: Duration,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MonitorArgs {
    /// End after so long; else with Ctrl-C
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DebugArgs {
    /// Folder for the bundle, or a file that ends in .tar.gz or .tgz and is not there yet
    pub path: PathBuf,
    /// Configuration files to put in, without their secrets and comments
    #[arg(long, value_name = "FILE", num_args = 1)]
    pub config: Vec<PathBuf>,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ReplArgs {
    /// Where the lines that were typed are kept (default: quorate/history in $XDG_STATE_HOME or ~/.local/state)
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// Write a page for every command into this folder; else one page, of `quorate` itself, is printed
    #[arg(long, value_name = "D")]
    pub dir: Option<PathBuf>,
}
