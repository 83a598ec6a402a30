//! Frames out of a byte stream: as much as is there, in one read, without copying bodies.
//!
//! The buffer grows with what has arrived, never with what a header announces: a frame said to be long
//! gets at most twice the room of what came of it.

use crate::message::{Frame, FrameError, MAX_BODY_BYTES, Split, split};
use crate::seal::Incoming;
use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

const SMALLEST_READ: usize = 4 << 10;
const LARGEST_READ: usize = 256 << 10;

/// The receiving side of a connection.
pub(super) struct FrameStream {
    read: OwnedReadHalf,
    incoming: Incoming,
    /// How much the next read asks for: doubled when one was filled, halved when it was nearly empty.
    ask: usize,
}

impl FrameStream {
    pub(super) fn new(read: OwnedReadHalf) -> FrameStream {
        FrameStream { read, incoming: Incoming::default(), ask: SMALLEST_READ }
    }

    /// What has been read and is no frame yet.
    pub(super) fn incoming(&mut self) -> &mut Incoming {
        &mut self.incoming
    }

    /// The next frame of what has been read.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.incoming.frames().is_empty() {
            return Ok(None);
        }
        match split(self.incoming.frames(), MAX_BODY_BYTES)? {
            Split::Frame(frame) => Ok(Some(frame)),
            Split::Need(_) => Ok(None),
        }
    }

    /// Whether part of a frame has arrived, and not the rest.
    pub(super) fn is_amid_a_frame(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// How many bytes wait to become frames.
    pub(super) fn buffered(&mut self) -> usize {
        self.incoming.frames().len()
    }

    /// One read of as much as is there. 0: the other side has closed.
    ///
    /// # Errors
    /// The connection broke; [`InvalidData`](io::ErrorKind::InvalidData): what came was not sealed by who has the key.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        let wire = self.incoming.wire();
        let ask = self.ask.max(wire.len().min(LARGEST_READ));
        if wire.capacity() - wire.len() < ask / 2 {
            wire.reserve(ask);
        }
        let room = wire.capacity() - wire.len();
        let got = self.read.read_buf(wire).await?;
        let opened = self.incoming.arrived();
        opened.map_err(|refused| io::Error::new(io::ErrorKind::InvalidData, refused))?;
        if got == room {
            self.ask = (self.ask * 2).min(LARGEST_READ);
        } else if got < self.ask / 4 {
            self.ask = (self.ask / 2).max(SMALLEST_READ);
        }
        Ok(got)
    }

    #[cfg(test)]
    pub(super) fn capacity(&mut self) -> usize {
        self.incoming.frames().capacity()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{HEADER_BYTES, Header, Kind};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_frame_that_is_only_announced_gets_no_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let dialled = TcpStream::connect(listener.local_addr().expect("an address")).await;
        let mut dialled = dialled.expect("connected");
        let (accepted, _) = listener.accept().await.expect("accepted");
        let mut stream = FrameStream::new(accepted.into_split().0);
        let mut bytes = Vec::new();
        Header::new(Kind::Data).encode_into(&mut bytes, |out| out.resize(out.len() + (1 << 20), 7));
        let (first, rest) = bytes.split_at(HEADER_BYTES + 1000);
        dialled.write_all(first).await.expect("sent");
        while stream.buffered() < first.len() {
            stream.fill().await.expect("read");
            assert_eq!(stream.next(), Ok(None));
        }
        assert!(stream.capacity() <= 4 * SMALLEST_READ, "{} bytes of room", stream.capacity());
        let sending = async { dialled.write_all(rest).await.expect("sent") };
        let reading = async {
            loop {
                if let Some(frame) = stream.next().expect("a sound stream") {
                    return frame;
                }
                let arrived = stream.buffered();
                stream.fill().await.expect("read");
                assert!(stream.capacity() <= 4 * arrived.max(SMALLEST_READ) + LARGEST_READ);
            }
        };
        let ((), frame) = tokio::join!(sending, reading);
        assert_eq!(frame.body.len(), 1 << 20);
        assert!(!stream.is_amid_a_frame());
    }
}
