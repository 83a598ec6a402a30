//! A pipe that may be silent: unpacked on a thread of its own, so that whoever reads hears when nothing comes.
//!
//! ```text
//!   tail -f ─► stdin ─► unpacked ─► pieces, a few ─► reader: bytes, or after a second `TimedOut`, and on
//! ```

use crate::logs::open;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How long nothing comes before the reader is told.
const SILENCE: Duration = Duration::from_secs(1);
/// How many pieces wait; then the pipe is not read.
const PIECES: usize = 8;

/// See the module.
pub(super) struct Followed {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
}

/// Begins to read it.
pub(super) fn follow(reader: impl Read + Send + 'static) -> Followed {
    let (send, pieces) = sync_channel(PIECES);
    std::thread::spawn(move || {
        let mut reader = match open(reader) {
            Ok(reader) => reader,
            Err(error) => return drop(send.send(Err(error))),
        };
        loop {
            let piece = match reader.fill_buf() {
                Ok([]) => return,
                Ok(piece) => Ok(piece.to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let (length, failed) = (piece.as_ref().map_or(0, Vec::len), piece.is_err());
            if send.send(piece).is_err() || failed {
                return;
            }
            reader.consume(length);
        }
    });
    Followed { pieces, piece: io::Cursor::default() }
}

impl BufRead for Followed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.fill_buf()?.is_empty() {
            match self.pieces.recv_timeout(SILENCE) {
                Ok(piece) => self.piece = io::Cursor::new(piece?),
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
                // The end, again and again.
                Err(RecvTimeoutError::Disconnected) => {}
            }
        }
        self.piece.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.piece.consume(amount);
    }
}

impl Read for Followed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
