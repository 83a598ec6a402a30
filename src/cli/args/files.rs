//! Files.

use super::{Print, Target};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct FileArgs {
    #[command(subcommand)]
    pub command: FileCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum FileCommand {
    /// Store a file under a name, in the place of what is there
    Put(FilePutArgs),
    /// Read a file; under its path it is whole, or what was there before
    Get(FileGetArgs),
    /// List files
    List(FileListArgs),
    /// Delete a file
    Delete(FileNameArgs),
    /// Read every piece of a file, or of all, and say what is not as it was put; changes nothing
    Verify(FileVerifyArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct FilePutArgs {
    /// What to store; `-`: standard input
    pub path: PathBuf,
    /// Under which name, 1 to 1,024 bytes
    pub name: String,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct FileGetArgs {
    /// Its name
    pub name: String,
    /// Where to put it; `-`: standard output
    pub path: PathBuf,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct FileListArgs {
    /// Only names that begin so
    #[arg(long, value_name = "P", default_value = "", hide_default_value = true)]
    pub prefix: String,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct FileNameArgs {
    /// Its name
    pub name: String,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct FileVerifyArgs {
    /// Its name; all files where open
    pub name: Option<String>,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}
