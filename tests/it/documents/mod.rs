//! The documents keep their word: every link leads somewhere, the book has every chapter, and every block of README
//! and tutorial does what it says, in order, on a real cluster.

mod blocks;
mod links;
mod markdown;
mod packages;

use std::path::{Path, PathBuf};

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
