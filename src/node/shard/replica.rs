//! What this node does for another that coordinates: store, read, page, count.

use super::rehearsal::Fate;
use super::request::Origin;
use super::stored::Stored;
use super::{Shard, Turn, is_item};
use crate::coordinator::Direction;
use crate::id::{NodeId, PartitionId};
use crate::merkle::Leaves;
use crate::message::client::SCAN_PAGE_LIMIT;
use crate::message::peer::{self, Data, Refusal};
use crate::message::{Class, Header};
use crate::node::outbox::{About, Release};
use crate::ring::Role;
use crate::store::{StoreError, key};
use crate::time::{Duration, WallClock};
use crate::version::{Head, Record};
use bytes::Bytes;

/// The most digests on one page, when all leaves are wanted.
pub(super) const DIGESTS_PER_PAGE: u32 = 512;
/// How many items are looked at for one page, when only some leaves are wanted.
const EXAMINED_PER_PAGE: usize = 4096;

/// Keys, and the digest of what is held of each.
pub(super) type Digests = Vec<(Bytes, u128)>;

impl Shard {
    /// A question of an admitted node under this epoch.
    pub(super) fn serve_peer(&mut self, header: &Header, message: Data, turn: &mut Turn) {
        let mut round = 0;
        let answer = match message {
            Data::Replicate { key, record, hint_for } => {
                match self.replicate_here(header, key, &record, hint_for, turn) {
                    Ok(()) => return,
                    Err(refusal) => Err(refusal),
                }
            }
            Data::Read { key, whole } => {
                round = self.round_of(&key);
                self.read_here(&key, whole, turn)
            }
            Data::ScanRange { from, to, limit, reverse } => {
                round = self.round_of(&from);
                let direction = if reverse { Direction::Reverse } else { Direction::Forward };
                self.scan_here(&from, &to, limit, direction, turn)
            }
            Data::KeyRange { from, to, limit, now } => {
                round = self.round_of(&from);
                self.keys_here(&from, &to, limit, now, turn)
            }
            Data::Rounds(steps) => return self.rounds_here(header, steps, turn),
            Data::Roots { roots, compared } => self.roots_here(header, &roots, &compared, turn),
            Data::Branches { sums } => self.branches_here(header, &sums),
            Data::Digests { from, limit, leaves } => {
                let leaves = Leaves::from_bits(self.trees.shape(), &leaves);
                let leaves = leaves.ok_or(Refusal::Unreadable);
                leaves.and_then(|leaves| self.digests_here(header, &from, limit, &leaves, turn))
            }
            Data::Collected { from } => Ok(self.collected_here(header.partition, from)),
            Data::CountHints => Ok(Data::HintCount(self.handoff.pending_for(header.sender))),
            Data::Forward(request) => {
                let (node, request_id) = (header.sender, header.request);
                let partition = header.partition;
                let origin = Origin::Peer { node, request: request_id, partition };
                let deadline = self.deadline(header.deadline_ms);
                self.serve(origin, deadline, request, true, turn);
                return;
            }
            // The caller sends questions only.
            _ => return,
        };
        match answer {
            Ok(answer) => self.answer_peer(header, &answer, round, turn),
            Err(refusal) => self.refuse(header, refusal, turn),
        }
    }

    /// Answers on the way back to the sender; one whose address nobody knows hears nothing.
    /// `round` is about the record in it.
    pub(super) fn answer_peer(
        &mut self,
        header: &Header,
        answer: &Data,
        round: u32,
        turn: &mut Turn,
    ) {
        if let Some(to) = self.address(header.sender) {
            let (class, partition, request) = (header.class, header.partition, header.request);
            let about = About { class, partition, request, deadline_ms: 0, round };
            let bytes = turn.outbox.send_data(to, about, answer);
            if let Data::RootsCompared { .. }
            | Data::LeafSums { .. }
            | Data::DigestPage { .. }
            | Data::CollectedPage { .. } = answer
            {
                self.counters.sync_bytes += bytes as u64;
            }
        }
    }

    /// The time that a request has left, within bounds.
    pub(super) fn deadline(&self, ms: u32) -> Duration {
        match ms {
            0 => self.timing.request,
            ms => Duration::from_millis(ms.into()).min(self.timing.request_max),
        }
    }

    fn replicate_here(
        &mut self,
        header: &Header,
        key: Bytes,
        record: &peer::Record,
        hint_for: Option<NodeId>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let n = self.role(&key, header.partition, hint_for)?;
        if self.is_stale(&key, header.round) {
            self.tell_closed(header, &key, turn);
            return Err(Refusal::StaleRound);
        }
        if self.disk.is_some() {
            return Err(Refusal::Disk);
        }
        if turn.store.congested() {
            return Err(Refusal::Overloaded);
        }
        let background = header.class == Class::Background;
        if background && !self.intake.has_room(self.requests.clients() > super::handoff::BUSY) {
            return Err(Refusal::Overloaded);
        }
        if hint_for.is_some() && self.keeps_enough() && self.is_unknown(&key, turn) {
            self.counters.hints_declined += 1;
            return Err(Refusal::Overloaded);
        }
        let to = self.address(header.sender).ok_or(Refusal::Behind)?;
        let incoming =
            Record::decode(&record.head, record.body.clone()).map_err(|_| Refusal::Unreadable)?;
        let item = key::parse_item(&key).ok_or(Refusal::Unreadable)?;
        let bucket = self.buckets_by_id.get(&item.bucket.0).ok_or(Refusal::UnknownBucket)?;
        if incoming.kind.conflict() != bucket.settings.conflict || bucket.settings.n != n {
            return Err(Refusal::Unreadable);
        }
        if !self.join_here(&key, &incoming, turn) {
            return Err(Refusal::Disk);
        }
        if background {
            self.intake.take(key.len() + record.head.len() + record.body.len());
        }
        if let Some(owner) = hint_for {
            self.keep_hint(owner, &key, turn);
        }
        turn.outbox.when_durable(Release::Replicated {
            to,
            request: header.request,
            partition: header.partition,
            epoch: self.view.agreement.layout.epoch,
        });
        Ok(())
    }

    /// Whether nothing is here of an item.
    pub(super) fn is_unknown(&self, key: &Bytes, turn: &Turn) -> bool {
        !self.pending.contains(key) && matches!(turn.store.head(key), Ok(None))
    }

    /// Whether this node has any business with the item: N of its bucket, if so.
    fn role(
        &self,
        key: &[u8],
        partition: PartitionId,
        hint_for: Option<NodeId>,
    ) -> Result<u8, Refusal> {
        let item = key::parse_item(key).filter(|item| item.partition == partition);
        let item = item.ok_or(Refusal::Unreadable)?;
        let bucket = self.buckets_by_id.get(&item.bucket.0).ok_or(Refusal::UnknownBucket)?;
        let (layout, n) = (&self.view.agreement.layout, bucket.settings.n);
        let lists = [Some(layout.preference_list(partition, n)), layout.other_list(partition, n)];
        let me = self.view.me;
        let fits = lists.iter().flatten().any(|list| match hint_for {
            None => list.role(me) == Role::Primary,
            Some(owner) => list.role(me) == Role::Fallback && list.role(owner) == Role::Primary,
        });
        if fits { Ok(bucket.settings.n) } else { Err(Refusal::Stranger) }
    }

    /// Joins a record into this node's own, in the batch of this turn. False when the disk takes no writes.
    pub(super) fn join_here(&mut self, key: &Bytes, incoming: &Record, turn: &mut Turn) -> bool {
        // After a refused batch nobody here knows what is still on its way for a key.
        if self.disk.is_some() {
            return false;
        }
        // Whoever brings it began before the bucket was dropped: nobody misses it.
        if self.is_dropped(key) {
            return true;
        }
        match self.stage.fate(key, turn.now.instant) {
            Fate::Stored => {}
            Fate::Refused => return false,
            Fate::Forgotten => return true,
        }
        let (latest, before) = match self.latest(key, turn) {
            Ok(latest) => latest,
            // What another replica holds is better than what nobody can read; a comparison finds the rest.
            Err(_) => return false,
        };
        self.clock.observe(turn.now.wall, incoming.clock);
        let incoming = &*self.without_collected(key, incoming);
        let joined = Stored::joined(latest.as_deref(), incoming);
        if joined.is_some() {
            self.stage(key.clone(), before, joined, turn);
        }
        true
    }

    fn read_here(&mut self, key: &Bytes, whole: bool, turn: &mut Turn) -> Result<Data, Refusal> {
        let item = key::parse_item(key).ok_or(Refusal::Unreadable)?;
        let bucket = self.buckets_by_id.get(&item.bucket.0).ok_or(Refusal::UnknownBucket)?;
        let held = self.held(key, item.partition, bucket.settings.n, whole, turn);
        let held = held.map_err(|_| Refusal::Unreadable)?;
        Ok(Data::Holding {
            digest: held.digest,
            record: held.stored.map(|stored| stored.encoded.clone()),
            rebuilding: held.rebuilding,
            stands_in_for: held.stands_in_for,
        })
    }

    fn scan_here(
        &mut self,
        from: &[u8],
        to: &[u8],
        limit: u32,
        direction: Direction,
        turn: &mut Turn,
    ) -> Result<Data, Refusal> {
        let partition = key::partition_of_item(from).ok_or(Refusal::Unreadable)?;
        if !is_item(from) || from > to {
            return Err(Refusal::Unreadable);
        }
        let limit = limit.clamp(1, SCAN_PAGE_LIMIT);
        let page = self.page(partition, from, to, limit, direction, turn);
        let page = page.map_err(|_| Refusal::Unreadable)?;
        let items = page.items.into_iter().map(|(key, record)| {
            let (head, body) = record.encode();
            (key, peer::Record { head, body })
        });
        Ok(Data::Range { items: items.collect(), end: page.end, rebuilding: page.rebuilding })
    }

    fn keys_here(
        &mut self,
        from: &[u8],
        to: &[u8],
        limit: u32,
        now: WallClock,
        turn: &mut Turn,
    ) -> Result<Data, Refusal> {
        let partition = key::partition_of_item(from).ok_or(Refusal::Unreadable)?;
        // In one partition: what is said of its slot is said of all of it.
        if from > to || to > &key::partition_range(partition).1[..] {
            return Err(Refusal::Unreadable);
        }
        let limit = limit.clamp(1, SCAN_PAGE_LIMIT) as usize;
        let page = self.key_page(partition, from, to, limit, now, turn);
        let page = page.map_err(|_| Refusal::Unreadable)?;
        let items = page.items.into_iter().map(|own| own.item).collect();
        Ok(Data::KeysHeld { items, end: page.end, rebuilding: page.rebuilding })
    }

    fn digests_here(
        &mut self,
        header: &Header,
        from: &[u8],
        limit: u32,
        leaves: &Leaves,
        turn: &Turn,
    ) -> Result<Data, Refusal> {
        let (items, next) = self
            .digests(header.partition, from, limit.clamp(1, DIGESTS_PER_PAGE), leaves, turn)
            .map_err(|_| Refusal::Unreadable)?;
        let rebuilding = !self.view.counts || self.slots.is_rebuilding(header.partition);
        Ok(Data::DigestPage { items, next, rebuilding })
    }

    /// A page of digests of what this node holds durably in these leaves of a partition. An item that cannot be
    /// read, or is in doubt, has the digest 0, which differs from every other.
    pub(super) fn digests(
        &mut self,
        partition: PartitionId,
        from: &[u8],
        limit: u32,
        leaves: &Leaves,
        turn: &Turn,
    ) -> Result<(Digests, Option<Bytes>), StoreError> {
        let (first, to) = key::partition_range(partition);
        let from = if from < &first[..] { &first[..] } else { from };
        let examined = if *leaves == Leaves::All { limit as usize } else { EXAMINED_PER_PAGE };
        let mut heads = turn.store.scan(from, &to, examined)?;
        self.counters.sync_heads += heads.len() as u64;
        let more = heads.len() == examined;
        let next = heads.last().filter(|_| more).map(|(key, _)| super::scan::after(key));
        let shape = self.trees.shape();
        heads.retain(|(key, _)| leaves.contain(shape, key));
        let digest = |key: &[u8], head: &[u8]| match self.doubts.contains(key) {
            true => 0,
            false => Head::decode(head).map_or(0, |head| head.digest()),
        };
        let items = heads.into_iter().map(|(key, head)| (digest(&key, &head), key));
        Ok((items.map(|(digest, key)| (key, digest)).collect(), next))
    }
}
