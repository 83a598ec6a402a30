//! How two ends of a connection find out that both have the key.
//!
//! ```text
//!   dialler  ── "QS" 1 0, 48 bytes ──►  answerer      its ephemeral key, sealed with the cluster's
//!            ◄──────── 48 bytes ─────                 the other ephemeral key; from here on both have two fresh keys
//! ```
//!
//! The first message may be a recording: who answers knows of a living dialler only when the first sealed message opens.

use super::stream::{Opener, Sealer, halves};
use super::{ClusterKey, Keyring, Refused};
use snow::{Builder, HandshakeState};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
/// Not how a frame begins: so each side notices when the other has no key, or has one.
const MAGIC: [u8; 4] = *b"QS\x01\x00";
/// What both sides mean by it: another protocol with the same key would be a stranger.
const PROLOGUE: &[u8] = b"quorate native 1";
const PURPOSE: &str = "quorate 2026-11-23 connections: pre-shared key of Noise";

/// An ephemeral key and a tag.
pub(crate) const ANSWER_BYTES: usize = 48;
/// The same behind the magic.
pub(crate) const KNOCK_BYTES: usize = MAGIC.len() + ANSWER_BYTES;

/// Whether these are the first bytes of somebody who has a key. At least two are wanted.
#[cfg(feature = "server")]
pub(crate) fn is_knock(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..2])
}

fn state(key: &ClusterKey, dials: bool) -> Result<HandshakeState, Refused> {
    let psk = key.derived(PURPOSE);
    let params = PATTERN.parse().expect("a pattern that Noise knows");
    let builder = Builder::new(params).prologue(PROLOGUE).and_then(|b| b.psk(0, &psk));
    let built = builder.and_then(|b| if dials { b.build_initiator() } else { b.build_responder() });
    built.map_err(|_| Refused)
}

/// Somebody who has knocked and waits for the answer.
pub(crate) struct Knock(HandshakeState);

impl Knock {
    /// The first bytes of a connection, sealed with the first of the keys.
    ///
    /// # Errors
    /// [`Refused`]: the system has no randomness.
    pub(crate) fn new(keys: &Keyring) -> Result<(Knock, [u8; KNOCK_BYTES]), Refused> {
        let mut state = state(&keys.keys[0], true)?;
        let mut bytes = [0; KNOCK_BYTES];
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        let written = state.write_message(&[], &mut bytes[MAGIC.len()..]).map_err(|_| Refused)?;
        debug_assert_eq!(written, ANSWER_BYTES);
        Ok((Knock(state), bytes))
    }

    /// The answer has come.
    ///
    /// # Errors
    /// [`Refused`]: whoever answered has not the key.
    pub(crate) fn heard(
        mut self,
        answer: &[u8; ANSWER_BYTES],
    ) -> Result<(Sealer, Opener), Refused> {
        self.0.read_message(answer, &mut [0; ANSWER_BYTES]).map_err(|_| Refused)?;
        Ok(halves(self.0.into_stateless_transport_mode().map_err(|_| Refused)?))
    }
}

/// The answer to who has knocked with one of the keys.
///
/// # Errors
/// [`Refused`]: with none of them, or it was no knock.
#[cfg(feature = "server")]
pub(crate) fn answer(
    keys: &Keyring,
    knock: &[u8; KNOCK_BYTES],
) -> Result<([u8; ANSWER_BYTES], Sealer, Opener), Refused> {
    let message = knock.strip_prefix(&MAGIC).ok_or(Refused)?;
    for key in keys.keys.iter() {
        let mut state = state(key, false)?;
        if state.read_message(message, &mut [0; ANSWER_BYTES]).is_err() {
            continue;
        }
        let mut bytes = [0; ANSWER_BYTES];
        state.write_message(&[], &mut bytes).map_err(|_| Refused)?;
        let (sealer, opener) = halves(state.into_stateless_transport_mode().map_err(|_| Refused)?);
        return Ok((bytes, sealer, opener));
    }
    Err(Refused)
}
