//! One datagram, sealed by itself: 24 bytes of nonce, the bytes, 16 of proof.
//!
//! Nonces are random, which 24 bytes allow for (XChaCha; Arciszewski, draft-irtf-cfrg-xchacha): nobody has to remember what was
//! used. An old datagram can be sent again by whoever recorded it; gossip bears that, as it bears a late one.

use super::{Keyring, Refused};
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use std::fmt;

const PURPOSE: &str = "quorate 2026-11-23 gossip: key of XChaCha20-Poly1305";
pub(crate) const NONCE: usize = 24;
const PROOF: usize = 16;
/// By how much a sealed datagram is longer.
const MORE: usize = NONCE + PROOF;
/// What the bytes belong to.
const ABOUT: &[u8] = b"quorate gossip 1";

/// What seals and opens datagrams.
#[derive(Clone)]
pub(crate) struct Datagrams {
    ciphers: Vec<XChaCha20Poly1305>,
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagrams({})", self.ciphers.len())
    }
}

impl Datagrams {
    /// With the first of the keys to seal.
    pub(crate) fn new(keys: &Keyring) -> Datagrams {
        let cipher = |key: &super::ClusterKey| XChaCha20Poly1305::new(&key.derived(PURPOSE).into());
        Datagrams { ciphers: keys.keys.iter().map(cipher).collect() }
    }

    /// The datagram to send. `nonce`: the system's randomness, fresh each time.
    pub(crate) fn seal(&self, nonce: [u8; NONCE], plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + MORE);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let sealed = self.ciphers[0].encrypt_in_place_detached(
            XNonce::from_slice(&nonce),
            ABOUT,
            &mut out[NONCE..],
        );
        out.extend_from_slice(&sealed.expect("a datagram is short"));
        out
    }

    /// What was in a datagram that came.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Refused> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(Refused)?;
        let (body, proof) = rest.split_last_chunk::<PROOF>().ok_or(Refused)?;
        let mut plain = body.to_vec();
        for cipher in &self.ciphers {
            let (nonce, proof) = (XNonce::from_slice(nonce), Tag::from_slice(proof));
            if cipher.decrypt_in_place_detached(nonce, ABOUT, &mut plain, proof).is_ok() {
                return Ok(plain);
            }
            // A cipher that refuses leaves the bytes as they were.
            debug_assert_eq!(plain, body);
        }
        Err(Refused)
    }
}
