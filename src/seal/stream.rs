//! The two directions of a connection: bytes in order, sealed in messages of up to 64 KiB.
//!
//! | bytes | what |
//! |---|---|
//! | 2 | length of what follows, big-endian |
//! | length | a message of Noise: the bytes, and 16 of proof |
//!
//! The count of messages is the nonce: none can be left out, repeated or moved.

use super::Refused;
use bytes::{Buf, BytesMut};
use snow::StatelessTransportState;
use std::fmt;
use std::sync::Arc;

const LENGTH: usize = 2;
const PROOF: usize = 16;
/// What fits one message.
const MOST: usize = 65_535 - PROOF;

pub(super) fn halves(state: StatelessTransportState) -> (Sealer, Opener) {
    let state = Arc::new(state);
    (Sealer { state: state.clone(), next: 0 }, Opener { state, next: 0 })
}

/// The sending direction.
pub(crate) struct Sealer {
    state: Arc<StatelessTransportState>,
    next: u64,
}

impl Sealer {
    /// Appends `plain` to `out`, sealed. What was sealed must leave in this order, whole, and once.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        out.reserve(plain.len() + (plain.len() / MOST + 1) * (LENGTH + PROOF));
        for piece in plain.chunks(MOST) {
            let length = u16::try_from(piece.len() + PROOF).expect("a piece fits a message");
            out.extend_from_slice(&length.to_be_bytes());
            let start = out.len();
            out.resize(start + usize::from(length), 0);
            let written = self.state.write_message(self.next, piece, &mut out[start..]);
            assert_eq!(written, Ok(usize::from(length)), "there is room, and no end of nonces");
            self.next += 1;
        }
    }
}

/// The receiving direction.
pub(crate) struct Opener {
    state: Arc<StatelessTransportState>,
    next: u64,
}

impl Opener {
    /// Takes every whole message from `sealed` and appends what was in it to `plain`.
    ///
    /// # Errors
    /// [`Refused`]; nothing further on this connection can be opened.
    pub(crate) fn open(
        &mut self,
        sealed: &mut BytesMut,
        plain: &mut BytesMut,
    ) -> Result<(), Refused> {
        while let Some(length) = sealed.first_chunk::<LENGTH>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length < PROOF {
                return Err(Refused);
            }
            let Some(message) = sealed.get(LENGTH..LENGTH + length) else { return Ok(()) };
            let start = plain.len();
            plain.resize(start + length - PROOF, 0);
            if self.state.read_message(self.next, message, &mut plain[start..]).is_err() {
                plain.truncate(start);
                return Err(Refused);
            }
            self.next += 1;
            sealed.advance(LENGTH + length);
        }
        Ok(())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.next)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({})", self.next)
    }
}
