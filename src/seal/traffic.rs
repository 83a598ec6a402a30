//! What waits on the two sides of a socket: frames in and out, sealed where there is a key.

use super::Refused;
use super::stream::{Opener, Sealer};
use bytes::BytesMut;

/// An empty buffer above this size is given back.
const KEPT: usize = 1 << 20;

/// What is to leave.
///
/// - Without a sealer frames are written to `wire` at once; with one, to `plain`, and sealed together when something is to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    sealer: Option<Sealer>,
    plain: Vec<u8>,
    wire: Vec<u8>,
    /// How much of the wire's bytes has left.
    sent: usize,
}

impl Outgoing {
    /// From here on everything is sealed; what waits leaves as it is.
    pub(crate) fn seal(&mut self, sealer: Sealer) {
        self.sealer = Some(sealer);
    }

    /// Where frames are appended.
    pub(crate) fn frames(&mut self) -> &mut Vec<u8> {
        match self.sealer {
            Some(_) => &mut self.plain,
            None => &mut self.wire,
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.wire.is_empty()
    }

    /// About how many bytes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.plain.len() + self.wire.len() - self.sent
    }

    /// What is to be written next.
    pub(crate) fn unsent(&mut self) -> &[u8] {
        if let Some(sealer) = &mut self.sealer
            && !self.plain.is_empty()
        {
            sealer.seal(&self.plain, &mut self.wire);
            self.plain.clear();
            self.plain.shrink_to(KEPT);
        }
        &self.wire[self.sent..]
    }

    /// So much of it has been written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.wire.len() {
            self.sent = 0;
            self.wire.clear();
            self.wire.shrink_to(KEPT);
        } else if self.sent > KEPT {
            self.wire.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// What has arrived.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    sealed: Option<(Opener, BytesMut)>,
    frames: BytesMut,
}

impl Incoming {
    /// With room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Incoming {
        Incoming { sealed: None, frames: BytesMut::with_capacity(bytes) }
    }

    /// From here on, with what is there already, everything is sealed.
    ///
    /// # Errors
    /// [`Refused`]: what is there is not.
    pub(crate) fn unseal(&mut self, opener: Opener) -> Result<(), Refused> {
        self.sealed = Some((opener, std::mem::take(&mut self.frames)));
        self.arrived()
    }

    /// Where what is read from the socket is appended; [`arrived`](Incoming::arrived) is to be called then.
    pub(crate) fn wire(&mut self) -> &mut BytesMut {
        match &mut self.sealed {
            Some((_, wire)) => wire,
            None => &mut self.frames,
        }
    }

    /// Opens what is whole.
    ///
    /// # Errors
    /// [`Refused`]; the connection is worth nothing any more.
    pub(crate) fn arrived(&mut self) -> Result<(), Refused> {
        match &mut self.sealed {
            Some((opener, wire)) => opener.open(wire, &mut self.frames),
            None => Ok(()),
        }
    }

    /// The bytes of frames, in order.
    pub(crate) fn frames(&mut self) -> &mut BytesMut {
        &mut self.frames
    }

    /// Whether there is neither a frame nor part of one.
    #[cfg(feature = "server")]
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.sealed.as_ref().is_none_or(|(_, wire)| wire.is_empty())
    }
}
