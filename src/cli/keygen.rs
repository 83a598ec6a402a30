//! `quorate keygen`: a key for a cluster, from the randomness of the system.

use super::args::KeygenArgs;
use super::failure::{About, Failure, Result};
use super::output::say;
use crate::client::ClusterKey;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// `quorate keygen [FILE]`.
pub(super) fn keygen(args: &KeygenArgs) -> Result<()> {
    match &args.file {
        None => say(new_key()?.text()),
        Some(file) => {
            write(file)?;
            say(format!("{} holds a new key: copy it to every node and client", file.display()))
        }
    }
}

/// A new key in a new file that nobody else can read.
///
/// # Errors
/// There is such a file already, and it stays as it is; or it cannot be written.
pub(super) fn write(file: &Path) -> Result<()> {
    let key = new_key()?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut made = made.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(
            "invalid",
            format!("{} is there already, and may be the key of a cluster", file.display()),
            "name another file",
        ),
        _ => Failure::new("io", format!("{}: {error}", file.display()), "check the path"),
    })?;
    let text = format!(
        "# The key of a cluster: for its nodes and clients, and for nobody else.\n{}\n",
        key.text()
    );
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).about(file.display())
}

fn new_key() -> Result<ClusterKey> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new("io", format!("no randomness: {error}"), "try again"))?;
    Ok(ClusterKey::new(random))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Keyring;

    #[test]
    fn a_key_is_written_once_and_can_be_used() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("cluster.key");
        write(&file).expect("written");
        let before = std::fs::read(&file).expect("there");
        Keyring::read(&file).expect("a key, and private");
        let again = write(&file).expect_err("it may be in use");
        assert!(again.to_string().contains("is there already"), "{again}");
        assert_eq!(std::fs::read(&file).expect("there"), before);
        assert_ne!(new_key().expect("a key").text(), new_key().expect("another").text());
    }
}
