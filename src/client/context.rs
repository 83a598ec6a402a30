//! What a reader has seen, as a token that only the nodes can open.

use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// The longest token that is passed on, in bytes. The nodes set a tighter limit.
const TOKEN_LIMIT: usize = 64 << 10;

/// The causal context of one key: what a read or a write has seen. Hand it to the next write of that key,
/// which then replaces exactly that. It may be stored as text and read back.
///
/// The default is empty: nothing was seen.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Context(String);

impl Context {
    /// Whether it says that nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn from_node(token: String) -> Context {
        Context(token)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.0)
    }
}

impl FromStr for Context {
    type Err = Error;

    fn from_str(token: &str) -> Result<Self, Error> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if token.len() > TOKEN_LIMIT || !token.bytes().all(fits) {
            return Err(Error::Invalid(
                "this is no context: use the token of a read or a write as it came".into(),
            ));
        }
        Ok(Context(token.into()))
    }
}
