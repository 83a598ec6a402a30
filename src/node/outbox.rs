//! Everything that leaves a node, gathered for one turn: a buffer for each peer, one batch for the store,
//! and what waits for that batch to be durable.
//!
//! ```text
//!   turn 7:  put a, put b ──► batch 41 ──► store      held: [ack a, ack b] until durable ≥ 41
//!   turn 8:  get c        ──► (no batch)              frames: [holding c]  leave now
//!   turn 9:  durable = 41 ──►                         frames: [ack a, ack b] leave together
//! ```

use super::event::{ConnectionId, Effect};
use crate::guard::{self, Guard};
use crate::id::{ClusterId, Epoch, Lineage, NodeId, PartitionId};
use crate::message::client::{BackupRequest, Reply};
use crate::message::peer::{Control, Data};
use crate::message::{Class, Header, Kind, encode_into};
use crate::store::{Batch, Change, CommitNumber, Store, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// How many bytes that nobody waits for leave for one peer in a turn, and one frame more: about a millisecond of a
/// connection of one gigabit a second.
const BACKGROUND_BYTES: usize = 128 << 10;

/// The most room that is made for the frames of a turn before they are there.
const ROOM: usize = 64 << 10;

/// What every frame of this node says of its sender.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// The cluster; 0 while there is none.
    pub cluster: ClusterId,
    /// The placement epoch installed here.
    pub epoch: Epoch,
    /// This node.
    pub sender: NodeId,
    /// The life of its data.
    pub lineage: Lineage,
    /// Its newest durable commit.
    pub commit: u64,
    /// Under which trial that is told; 0: none.
    pub trial: u32,
}

/// What the header of one data frame says of it; see [`Header`].
#[derive(Clone, Copy, Debug, Default)]
pub struct About {
    /// In which order it may be shed.
    pub class: Class,
    /// What it is about.
    pub partition: PartitionId,
    /// Whose question or answer it is.
    pub request: u64,
    /// How long it is worth something; 0: for ever.
    pub deadline_ms: u32,
    /// How old the record in it may be.
    pub round: u32,
}

/// What may happen only when the batch of its turn is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// A control message leaves.
    Control {
        /// Where to.
        to: SocketAddr,
        /// The request that it answers.
        request: u64,
        /// The message.
        message: Control,
    },
    /// A replica's acknowledgement leaves, if the epoch is still the one it was stored under.
    Replicated {
        /// Where to.
        to: SocketAddr,
        /// The request that it answers.
        request: u64,
        /// What it is about.
        partition: PartitionId,
        /// The epoch under which the record was taken in.
        epoch: Epoch,
    },
    /// The coordinator's own copy is durable.
    Stored {
        /// The coordinator's request.
        request: u64,
        /// The epoch under which the record was taken in.
        epoch: Epoch,
    },
    /// The collection's own: what it staged under this number is durable.
    Round {
        /// The collection's number for it.
        ticket: u64,
    },
    /// What a restored backup alone has of a partition is durable here.
    Refilled {
        /// Which.
        partition: PartitionId,
        /// Of buckets with so many replicas at most.
        upto: u8,
    },
    /// The topology's own: what it installed under this number is durable.
    Installed {
        /// The topology's number for it.
        ticket: u64,
    },
}

/// See the module's picture.
#[derive(Debug, Default)]
pub struct Outbox {
    stamp: Stamp,
    frames: BTreeMap<SocketAddr, Vec<u8>>,
    /// How much room is made for a peer: what the most was in the last turn that had something for one.
    room: usize,
    /// What the most is in this turn.
    most: usize,
    /// What nobody waits for: a little of it leaves with each turn, behind all other frames of a peer.
    background: BTreeMap<SocketAddr, VecDeque<Vec<u8>>>,
    effects: VecDeque<Effect>,
    batch: Batch,
    holding: Vec<Release>,
    held: VecDeque<(CommitNumber, Vec<Release>)>,
}

impl Outbox {
    /// What the next frames say of their sender.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp = stamp;
    }

    /// What the frames say of their sender.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// A data frame leaves at the end of the turn. Returns how many bytes it takes.
    pub fn send_data(&mut self, to: SocketAddr, about: About, message: &Data) -> usize {
        let About { class, partition, request, deadline_ms, round } = about;
        let header =
            Header { class, partition, deadline_ms, request, round, ..self.header(Kind::Data) };
        if class == Class::Background {
            let mut frame = Vec::new();
            header.encode_into(&mut frame, |out| encode_into(out, message));
            let bytes = frame.len();
            self.background.entry(to).or_default().push_back(frame);
            return bytes;
        }
        let buffer = self.buffer(to);
        let before = buffer.len();
        header.encode_into(buffer, |out| encode_into(out, message));
        buffer.len() - before
    }

    /// A control frame leaves at the end of the turn.
    pub fn send_control(&mut self, to: SocketAddr, request: u64, message: &Control) {
        let header = Header { class: Class::Control, request, ..self.header(Kind::Control) };
        header.encode_into(self.buffer(to), |out| encode_into(out, message));
    }

    fn buffer(&mut self, to: SocketAddr) -> &mut Vec<u8> {
        self.frames.entry(to).or_insert_with(|| Vec::with_capacity(self.room))
    }

    fn header(&self, kind: Kind) -> Header {
        Header {
            cluster: self.stamp.cluster,
            epoch: self.stamp.epoch,
            sender: self.stamp.sender,
            lineage: self.stamp.lineage,
            commit: self.stamp.commit,
            trial: self.stamp.trial,
            ..Header::new(kind)
        }
    }

    /// A gossip datagram leaves.
    pub fn send_datagram(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.effects.push_back(Effect::Datagram { to, bytes });
    }

    /// A client hears something.
    pub fn reply(&mut self, connection: ConnectionId, id: u64, reply: Reply) {
        self.effects.push_back(Effect::Reply { connection, id, reply });
    }

    /// The driver is to copy the log, and to answer.
    pub fn back_up(&mut self, connection: ConnectionId, id: u64, ask: BackupRequest) {
        self.effects.push_back(Effect::Backup { connection, id, ask });
    }

    /// The driver is to set the data directory aside.
    pub fn set_aside(&mut self, why: String, join: Vec<SocketAddr>) {
        self.effects.push_back(Effect::SetAside { why, join });
    }

    /// A change joins the batch of this turn.
    pub fn persist(&mut self, change: Change) {
        self.batch.changes.push(change);
    }

    /// How many changes are in the batch of this turn by now.
    pub fn changes(&self) -> usize {
        self.batch.changes.len()
    }

    /// Happens when the batch of this turn is durable; with an empty batch, when everything handed to
    /// the store before is.
    pub fn when_durable(&mut self, release: Release) {
        self.holding.push(release);
    }

    /// Hands the turn's batch to the store; at most one commit. `None` when there was nothing to commit.
    ///
    /// # Errors
    /// The store's. What waited for the batch is dropped: nobody hears an acknowledgement of it.
    pub fn commit(&mut self, store: &mut dyn Store) -> Result<Option<CommitNumber>, StoreError> {
        let batch = std::mem::take(&mut self.batch);
        let holding = std::mem::take(&mut self.holding);
        if batch.changes.is_empty() {
            if !holding.is_empty() {
                let last = self.held.back().map_or(CommitNumber(0), |(number, _)| *number);
                self.held.push_back((last, holding));
            }
            return Ok(None);
        }
        let number = store.commit(batch)?;
        self.held.push_back((number, holding));
        Ok(Some(number))
    }

    /// Takes out everything that waited for no more than `durable`, in order.
    pub fn release(&mut self, durable: CommitNumber) -> Vec<Release> {
        let mut released = Vec::new();
        let is_due = |number| number <= durable || !guard::holds(Guard::AckAfterFlush);
        while self.held.front().is_some_and(|(number, _)| is_due(*number)) {
            if let Some((_, mut releases)) = self.held.pop_front() {
                released.append(&mut releases);
            }
        }
        released
    }

    /// Whether anything waits for the store.
    pub fn is_waiting(&self) -> bool {
        !self.held.is_empty() || !self.holding.is_empty()
    }

    /// The turn's frames are complete: some of what is in the background joins them, for each peer one frame at
    /// least. Whether more of it waits.
    pub fn close_turn(&mut self) -> bool {
        for (to, waiting) in &mut self.background {
            let buffer = self.frames.entry(*to).or_default();
            let mut room = BACKGROUND_BYTES;
            while room > 0
                && let Some(frame) = waiting.pop_front()
            {
                room = room.saturating_sub(frame.len());
                buffer.extend_from_slice(&frame);
            }
        }
        self.background.retain(|_, waiting| !waiting.is_empty());
        !self.background.is_empty()
    }

    /// Takes out one effect; the frames of a peer come as one. After [`close_turn`](Outbox::close_turn).
    pub fn poll_effect(&mut self) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        let Some((to, mut bytes)) = self.frames.pop_first() else {
            if self.most > 0 {
                self.room = std::mem::take(&mut self.most).min(ROOM);
            }
            return None;
        };
        self.most = self.most.max(bytes.len());
        if bytes.len() < bytes.capacity() / 4 {
            // It may wait for a slow peer.
            bytes.shrink_to_fit();
        }
        Some(Effect::Send { to, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Split, split};
    use crate::store::Source;

    struct Slow(u64, u64);

    impl Source for Slow {
        fn get(&self, _: &[u8]) -> Result<Option<crate::store::Entry>, StoreError> {
            Ok(None)
        }
        fn head(&self, _: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
            Ok(None)
        }
        fn scan(
            &self,
            _: &[u8],
            _: &[u8],
            _: usize,
        ) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, StoreError> {
            Ok(Vec::new())
        }
    }

    impl Store for Slow {
        fn commit(&mut self, _: Batch) -> Result<CommitNumber, StoreError> {
            self.0 += 1;
            Ok(CommitNumber(self.0))
        }
        fn durable(&self) -> CommitNumber {
            CommitNumber(self.1)
        }
        fn failed(&self) -> Option<StoreError> {
            None
        }
    }

    fn erase() -> Change {
        Change::Erase { key: bytes::Bytes::from_static(b"\0k") }
    }

    #[test]
    fn what_needs_a_batch_waits_for_it_and_so_does_what_came_later_without_one() {
        let mut store = Slow(0, 0);
        let mut outbox = Outbox::default();
        outbox.persist(erase());
        outbox.when_durable(Release::Installed { ticket: 1 });
        assert_eq!(outbox.commit(&mut store), Ok(Some(CommitNumber(1))));
        outbox.when_durable(Release::Installed { ticket: 2 });
        assert_eq!(outbox.commit(&mut store), Ok(None));
        assert_eq!(outbox.release(store.durable()), vec![]);
        store.1 = 1;
        let both = [1, 2].map(|ticket| Release::Installed { ticket });
        assert_eq!(outbox.release(store.durable()), both);
        assert!(!outbox.is_waiting());
    }

    #[test]
    fn the_frames_of_a_turn_for_one_peer_are_one_write() {
        let mut outbox = Outbox::default();
        let to: SocketAddr = ([127, 0, 0, 1], 1).into();
        for request in 0..3 {
            outbox.send_control(to, request, &Control::AskWitness);
        }
        let Some(Effect::Send { bytes, .. }) = outbox.poll_effect() else { panic!("no write") };
        assert!(bytes.len() > 3 * crate::message::HEADER_BYTES);
        assert!(outbox.poll_effect().is_none());
    }

    /// The classes of the frames of a turn for the one peer, in order.
    fn turn(outbox: &mut Outbox) -> (Vec<Class>, bool) {
        let more = outbox.close_turn();
        let Some(Effect::Send { bytes, .. }) = outbox.poll_effect() else { return (vec![], more) };
        assert!(outbox.poll_effect().is_none());
        let mut bytes = bytes::BytesMut::from(&bytes[..]);
        let mut classes = Vec::new();
        while let Ok(Split::Frame(frame)) = split(&mut bytes, usize::MAX) {
            classes.push(frame.header.class);
        }
        (classes, more)
    }

    #[test]
    fn a_backlog_leaves_a_little_at_a_time_and_never_before_what_somebody_waits_for() {
        let mut outbox = Outbox::default();
        let to: SocketAddr = ([127, 0, 0, 1], 1).into();
        let send = |outbox: &mut Outbox, class, bytes: usize| {
            let key = bytes::Bytes::from(vec![7; bytes]);
            let read = Data::Read { key, whole: true };
            outbox.send_data(to, About { class, request: 1, ..About::default() }, &read);
        };
        (0..40).for_each(|_| send(&mut outbox, Class::Background, 16 << 10));
        let mut left = 40;
        while left > 0 {
            send(&mut outbox, Class::Foreground, 10);
            let (classes, more) = turn(&mut outbox);
            assert_eq!(classes[0], Class::Foreground);
            let background = classes.iter().filter(|c| **c == Class::Background).count();
            assert_eq!(classes.len(), 1 + background);
            assert!((1..=8).contains(&background), "{background} frames of 16 KiB");
            left -= background;
            assert_eq!(more, left > 0);
        }
        // One that is larger than all the room leaves, too.
        send(&mut outbox, Class::Background, 2 * BACKGROUND_BYTES);
        assert_eq!(turn(&mut outbox), (vec![Class::Background], false));
    }
}
