//! What only those can read and say who have the cluster's key.
//!
//! ```text
//!   key file ─► Keyring ─┬─► datagrams (gossip): XChaCha20-Poly1305, a random nonce each
//!                        └─► connections: Knock ─► answer ─► Sealer ═══ sealed messages ═══► Opener
//! ```
//!
//! Connections are Noise's `NNpsk0` (Perrin, "The Noise Protocol Framework", revision 34, sections 7 and 9): both sides prove
//! that they have the key, and what was recorded stays closed to whoever steals the key later. Datagrams have no such second
//! promise. Neither tells one holder of the key from another: whoever has it may do everything.
//!
//! Bytes in, bytes out: sockets are the business of `server/native` and `client/wire.rs`.

#[cfg(feature = "server")]
mod datagram;
mod handshake;
mod key;
mod stream;
#[cfg(test)]
mod tests;
mod traffic;

#[cfg(feature = "server")]
pub(crate) use datagram::{Datagrams, NONCE};
pub(crate) use handshake::{ANSWER_BYTES, Knock};
#[cfg(feature = "server")]
pub(crate) use handshake::{KNOCK_BYTES, answer, is_knock};
pub use key::{ClusterKey, KeyError, Keyring};
#[cfg(feature = "server")]
pub(crate) use stream::Sealer;
pub(crate) use traffic::{Incoming, Outgoing};

/// Bytes that nobody with the key has sealed, or that something has changed since, or that come a second time. The
/// connection is worth nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed with another key, or changed on the way")]
pub(crate) struct Refused;
