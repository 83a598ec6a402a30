//! The key that all nodes and clients of a cluster share, and the file that it lies in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// What a key begins with, as text: so that nobody takes something else for one.
const PREFIX: &str = "quorate-key-1:";
/// The most keys in a file: one to seal with, and those that are on their way in or out.
const KEYS: usize = 8;
/// The longest key file, in bytes.
const FILE_LIMIT: u64 = 64 << 10;

/// The secret of a cluster: 32 random bytes. Never shown but by [`text`](ClusterKey::text).
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey([u8; 32]);

impl ClusterKey {
    /// A key of these bytes, which must be the system's own randomness.
    pub fn new(random: [u8; 32]) -> ClusterKey {
        ClusterKey(random)
    }

    /// As a line of a key file.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Another key for another purpose: none tells anything of the others.
    pub(super) fn derived(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &self.0)
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(…)")
    }
}

impl FromStr for ClusterKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<ClusterKey, KeyError> {
        let bytes = text.strip_prefix(PREFIX).and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(ClusterKey).ok_or(KeyError::Malformed)
    }
}

/// Why there is no key. Nothing was started and nothing sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the text of a key.
    #[error("not a key: `quorate keygen` makes one")]
    Malformed,
    /// A line of the file is no key.
    #[error("{}:{line} is no key: `quorate keygen` makes one", file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// There is no key in the file, or there are too many.
    #[error("{} holds {count} keys: use 1 to {KEYS}, the one to seal with first", file.display())]
    Count {
        /// Which file.
        file: PathBuf,
        /// How many it holds.
        count: usize,
    },
    /// The file cannot be read.
    #[error("{}: {reason}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Others may read or change the file.
    #[error("{} can be read by everybody, or changed by others than its owner: chmod 600 it", file.display())]
    Open {
        /// Which file.
        file: PathBuf,
    },
}

/// The keys of one cluster: the first seals, every one opens. So a key is replaced without a moment in which two nodes do not
/// understand each other: the new one is added behind the old one everywhere, then put in front everywhere, then the old one goes.
#[derive(Clone, Debug)]
pub struct Keyring {
    pub(super) keys: Arc<[ClusterKey]>,
}

impl From<ClusterKey> for Keyring {
    fn from(key: ClusterKey) -> Keyring {
        Keyring { keys: [key].into() }
    }
}

impl Keyring {
    /// Reads a key file: a key a line; empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// [`KeyError`], with what to do.
    pub fn read(file: &Path) -> Result<Keyring, KeyError> {
        let text = read_secret(file)?;
        let mut keys = Vec::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |_| KeyError::Line { file: file.into(), line: number + 1 };
            keys.push(line.parse().map_err(wrong)?);
        }
        match keys.len() {
            1..=KEYS => Ok(Keyring { keys: keys.into() }),
            count => Err(KeyError::Count { file: file.into(), count }),
        }
    }
}

/// A file that is nobody else's business.
fn read_secret(file: &Path) -> Result<String, KeyError> {
    use std::io::Read;
    let unreadable = |reason: String| KeyError::Unreadable { file: file.into(), reason };
    let opened = std::fs::File::open(file).map_err(|error| unreadable(error.to_string()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let about = opened.metadata().map_err(|error| unreadable(error.to_string()))?;
        // A service's group may read it: that is how systemd and containers hand out secrets.
        if about.permissions().mode() & 0o027 != 0 {
            return Err(KeyError::Open { file: file.into() });
        }
    }
    let mut text = String::new();
    let read = opened.take(FILE_LIMIT).read_to_string(&mut text);
    read.map_err(|error| unreadable(error.to_string()))?;
    Ok(text)
}
