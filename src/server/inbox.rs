//! What has arrived since the last turn. Bounded: when it is full, readers wait and datagrams are dropped.

use crate::node::Event;

/// The most events that wait for a turn.
const INBOX_EVENTS: usize = 65_536;
/// The most bytes that wait for a turn.
const INBOX_BYTES: usize = 64 << 20;

/// Filled by readers, emptied whole by the turn; both on one thread.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    events: Vec<Event>,
    bytes: usize,
}

impl Inbox {
    /// Adds an event that holds about so many bytes. True when it is the first since the last turn.
    pub(super) fn push(&mut self, event: Event, bytes: usize) -> bool {
        self.bytes += bytes;
        self.events.push(event);
        self.events.len() == 1
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= INBOX_EVENTS || self.bytes >= INBOX_BYTES
    }

    /// Swaps everything out for an empty vector, so that both keep their room.
    pub(super) fn take_into(&mut self, empty: &mut Vec<Event>) {
        assert!(empty.is_empty(), "the turn before has handled everything");
        std::mem::swap(&mut self.events, empty);
        self.bytes = 0;
    }
}
