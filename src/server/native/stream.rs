//! Frames out of a byte stream: as much as is there, in one read, without copying bodies.
//!
//! The buffer grows with what has arrived, never with what a header announces: a frame said to be long
//! gets at most twice the room of what came of it.

use crate::message::{Frame, FrameError, MAX_BODY_BYTES, Split, split};
use bytes::BytesMut;
use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

const SMALLEST_READ: usize = 4 << 10;
const LARGEST_READ: usize = 256 << 10;

/// The receiving side of a connection.
pub(super) struct FrameStream {
    read: OwnedReadHalf,
    buffer: BytesMut,
    /// How much the next read asks for: doubled when one was filled, halved when it was nearly empty.
    ask: usize,
}

impl FrameStream {
    pub(super) fn new(read: OwnedReadHalf) -> FrameStream {
        FrameStream { read, buffer: BytesMut::new(), ask: SMALLEST_READ }
    }

    /// The next frame of what has been read.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        match split(&mut self.buffer, MAX_BODY_BYTES)? {
            Split::Frame(frame) => Ok(Some(frame)),
            Split::Need(_) => Ok(None),
        }
    }

    /// Whether part of a frame has arrived, and not the rest.
    pub(super) fn is_amid_a_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// How many bytes wait to become frames.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// One read of as much as is there. 0: the other side has closed.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        let ask = self.ask.max(self.buffer.len().min(LARGEST_READ));
        if self.buffer.capacity() - self.buffer.len() < ask / 2 {
            self.buffer.reserve(ask);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let got = self.read.read_buf(&mut self.buffer).await?;
        if got == room {
            self.ask = (self.ask * 2).min(LARGEST_READ);
        } else if got < self.ask / 4 {
            self.ask = (self.ask / 2).max(SMALLEST_READ);
        }
        Ok(got)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

/// The word for it among the reasons of a rejection.
pub(super) fn reason(error: FrameError) -> &'static str {
    match error {
        FrameError::Magic => "magic",
        FrameError::Version(_) => "version",
        FrameError::Kind(_) => "kind",
        FrameError::TooLong(_) => "too_long",
        FrameError::Checksum => "checksum",
    }
}
