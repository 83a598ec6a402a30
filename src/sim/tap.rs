//! An ear on the wire: which frames went between nodes, and which of them got lost.
//!
//! ```text
//!   turn ──► frame ──► network ──┬── arrives ──► heard: arrived
//!                                └── cut, or the receiver died on the way ──► heard: lost
//! ```
//!
//! It listens only while somebody asked for it, and changes nothing of a run.

use crate::message::{Frame, MAX_BODY_BYTES, Split, split};
use crate::time::Instant;
use bytes::{Bytes, BytesMut};

/// A frame between two nodes.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it arrived, or when it was lost.
    pub at: Instant,
    /// The number of the node that sent it.
    pub from: usize,
    /// The number of the node that it was meant for.
    pub to: usize,
    /// What was sent.
    pub frame: Frame,
    /// Whether it got there.
    pub arrived: bool,
}

/// What was heard since somebody last asked.
#[derive(Default)]
pub(super) struct Tap {
    pub(super) open: bool,
    heard: Vec<Heard>,
}

impl Tap {
    /// Notes the frames in these bytes.
    pub(super) fn note(
        &mut self,
        at: Instant,
        from: usize,
        to: usize,
        bytes: &Bytes,
        arrived: bool,
    ) {
        if !self.open {
            return;
        }
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Split::Frame(frame)) = split(&mut buffer, MAX_BODY_BYTES) {
            self.heard.push(Heard { at, from, to, frame, arrived });
        }
    }

    pub(super) fn take(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }
}
