//! What a position does when the driver of a round asks: at once, or when it is durable.

use super::super::trees::Before;
use super::super::{Shard, Turn};
use super::rounds::Round;
use crate::guard::{self, Guard};
use crate::id::{NodeId, PartitionId};
use crate::message::peer::{Data, RoundAsk, RoundStep, RoundTold, Told};
use crate::message::{Class, Header};
use crate::node::outbox::{About, Release};
use crate::ring::Role;
use crate::store::key;
use crate::version::Head;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What is told once it is durable, by the number of its release.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    next: u64,
    told: BTreeMap<u64, (NodeId, Vec<RoundTold>)>,
}

impl Waiting {
    /// A number for a release.
    pub fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Nothing of it will be durable, or of any use.
    pub fn clear(&mut self) {
        self.told.clear();
    }
}

impl Shard {
    /// Steps of another node's rounds.
    pub(in super::super) fn rounds_here(
        &mut self,
        header: &Header,
        steps: Vec<RoundStep>,
        turn: &mut Turn,
    ) {
        let (now, durable) = self.take_steps(header.sender, steps, turn);
        self.tell_rounds(header.sender, now, turn);
        if !durable.is_empty() {
            let ticket = self.collection.waiting.ticket();
            self.collection.waiting.told.insert(ticket, (header.sender, durable));
            turn.outbox.when_durable(Release::Round { ticket });
        }
    }

    /// What was staged for this answer is durable.
    pub(in super::super) fn round_is_durable(&mut self, ticket: u64, turn: &mut Turn) {
        if self.collection.settled.released(ticket) {
            return;
        }
        let Some((to, told)) = self.collection.waiting.told.remove(&ticket) else { return };
        for RoundTold { partition, told, .. } in &told {
            if let Told::Opened(number) = told {
                self.collection.rounds.opened(*partition, *number);
            }
        }
        self.tell_rounds(to, told, turn);
    }

    fn tell_rounds(&mut self, to: NodeId, told: Vec<RoundTold>, turn: &mut Turn) {
        if told.is_empty() {
            return;
        }
        if to == self.view.me {
            return self.rounds_told(to, told, turn);
        }
        if let Some(address) = self.address(to) {
            let about = About { class: Class::Background, ..About::default() };
            turn.outbox.send_data(address, about, &Data::RoundsTold(told));
        }
    }

    /// Does what is asked, and says what can be told at once, and what when it is durable.
    fn take_steps(
        &mut self,
        from: NodeId,
        steps: Vec<RoundStep>,
        turn: &mut Turn,
    ) -> (Vec<RoundTold>, Vec<RoundTold>) {
        use RoundAsk::{Close, Collect, Drain, Open, Verify};
        let (mut now, mut durable) = (Vec::new(), Vec::new());
        for RoundStep { partition, attempt, ask } in steps {
            if let Drain(number) | Close(number) | Collect { round: number, .. } = &ask {
                self.was_opened(partition, *number);
            }
            let told = match ask {
                Verify { items } => self.verify(partition, &items, turn),
                Open(number) => self.open_round(partition, number, (from, attempt), turn),
                Drain(number) => self.drain_round(partition, number, turn),
                Close(number) => self.close_round(partition, number, turn),
                Collect { round, items } => {
                    self.collect(partition, round, items, turn);
                    continue;
                }
            };
            let waits = matches!(told, Told::Opened(_) | Told::Drained(_) | Told::Closed(_));
            let told = RoundTold { partition, attempt, told };
            if waits { &mut durable } else { &mut now }.push(told);
        }
        (now, durable)
    }

    /// Every position has opened this round, durably: also this node, if it has a place.
    fn was_opened(&mut self, partition: PartitionId, number: u32) {
        let layout = &self.view.agreement.layout;
        let list = layout.preference_list(partition, layout.replicas);
        let opened = self.collection.rounds.get(partition).opened;
        let is_asked = layout.transition.is_none() && list.role(self.view.me) != Role::Stranger;
        if is_asked && opened < number {
            self.collection.forgotten = Some((partition, number, opened));
        }
    }

    /// Somebody sends what it has read before a round that this owner has closed. It may have been on its way; or the
    /// sender does not know the round, and would send it again for ever.
    pub(in super::super) fn tell_closed(&mut self, header: &Header, key: &[u8], turn: &mut Turn) {
        let Some(partition) = key::partition_of_item(key) else { return };
        let Round { closed, .. } = self.collection.rounds.get(partition);
        if (1..closed).contains(&header.round) && header.sender != self.view.me {
            let step = RoundStep { partition, attempt: 0, ask: RoundAsk::Close(closed) };
            self.send_steps(header.sender, vec![step], turn);
        }
    }

    /// Whether this node takes part in rounds of a partition now.
    fn takes_part(&self, partition: PartitionId) -> bool {
        let layout = &self.view.agreement.layout;
        let list = layout.preference_list(partition, layout.replicas);
        layout.transition.is_none()
            && list.role(self.view.me) != Role::Stranger
            && self.vouched_for(partition)
            && self.disk.is_none()
    }

    fn verify(&mut self, partition: PartitionId, items: &[(Bytes, u128)], turn: &mut Turn) -> Told {
        if !self.takes_part(partition) || !self.is_whole(partition) {
            return Told::No;
        }
        let lacks = |(at, (key, digest)): (usize, &(Bytes, u128))| {
            let holds = self.head_of_grave(partition, key, *digest, turn).is_some();
            (!holds).then(|| u16::try_from(at).ok()).flatten()
        };
        let lacking = items.iter().enumerate().filter_map(lacks).collect();
        let round = self.collection.rounds.get(partition).opening;
        Told::Held { lacking, round }
    }

    /// What this node holds of an item, if that is durable, owned, certain, the newest, of this digest, and shows
    /// nothing to any reader ever again.
    pub(super) fn head_of_grave(
        &self,
        partition: PartitionId,
        key: &Bytes,
        digest: u128,
        turn: &Turn,
    ) -> Option<Head> {
        let n = self.replicas_of(key)?;
        let here = key::partition_of_item(key) == Some(partition) && self.is_owner(partition, n);
        if !here || self.pending.contains(key) || self.doubts.contains(key) {
            return None;
        }
        let head = Head::decode(&turn.store.head(key).ok()??).ok()?;
        let now = self.date(turn);
        let gone = head.digest() == digest && !head.siblings.iter().any(|s| s.is_live(now));
        gone.then_some(head)
    }

    fn open_round(
        &mut self,
        partition: PartitionId,
        number: u32,
        opener: (NodeId, u64),
        turn: &mut Turn,
    ) -> Told {
        let round = self.collection.rounds.get(partition);
        let again = round.opening == number && round.opener == Some(opener);
        if !self.takes_part(partition) || !again && number <= round.opening {
            return Told::No;
        }
        self.note_round(partition, Round { opening: number, opener: Some(opener), ..round }, turn);
        Told::Opened(number)
    }

    fn drain_round(&mut self, partition: PartitionId, number: u32, turn: &mut Turn) -> Told {
        let round = self.collection.rounds.get(partition);
        if !self.takes_part(partition) || round.opened < number {
            return Told::No;
        }
        if round.drained < number
            && self.keeps_for_others(partition, turn)
            && guard::holds(Guard::HintsAreDrained)
        {
            return Told::NotYet(number);
        }
        self.note_round(partition, Round { drained: round.drained.max(number), ..round }, turn);
        Told::Drained(number)
    }

    fn close_round(&mut self, partition: PartitionId, number: u32, turn: &mut Turn) -> Told {
        let round = self.collection.rounds.get(partition);
        if !self.takes_part(partition) || round.drained < number {
            return Told::No;
        }
        // A tombstone that was verified may have rotted since, and something older have come in its place: until it
        // is merged again, this owner needs what the others hold.
        if self.doubts.count(partition) > 0 {
            return Told::NotYet(number);
        }
        self.note_round(partition, Round { closed: round.closed.max(number), ..round }, turn);
        Told::Closed(number)
    }

    fn note_round(&mut self, partition: PartitionId, round: Round, turn: &mut Turn) {
        let change = self.collection.rounds.set(partition, round);
        turn.outbox.persist(change);
    }

    /// Whether anything lies here of this partition, durable or on its way to the disk, that others own.
    fn keeps_for_others(&self, partition: PartitionId, turn: &Turn) -> bool {
        let (from, to) = key::partition_range(partition);
        let is_foreign = |key: &[u8]| {
            let n = self.replicas_of(key);
            n.is_none_or(|n| !self.is_owner(partition, n))
        };
        let layout = &self.view.agreement.layout;
        if self.pending.between(&from, &to).any(|key| is_foreign(key)) {
            return true;
        }
        let found = |from: &[u8], to: &[u8]| !matches!(turn.store.scan(from, to, 1), Ok(page) if page.is_empty());
        if layout.preference_list(partition, layout.replicas).slot_of(self.view.me).is_none() {
            return found(&from, &to);
        }
        // Of the buckets with fewer replicas it may be no owner.
        let others = self
            .buckets_by_id
            .values()
            .filter(|bucket| !self.is_owner(partition, bucket.settings.n));
        others.into_iter().any(|bucket| {
            let (from, to) = key::bucket_range(partition, bucket.id);
            found(&from, &to)
        })
    }

    /// Everybody has closed this round: what is still the same goes.
    fn collect(
        &mut self,
        partition: PartitionId,
        number: u32,
        items: Vec<(Bytes, u128)>,
        turn: &mut Turn,
    ) {
        let round = self.collection.rounds.get(partition);
        let takes = self.takes_part(partition) && self.is_whole(partition);
        let (count, mut heads) = (items.len(), Vec::new());
        for (key, digest) in items.into_iter().filter(|_| takes && round.closed >= number) {
            if let Some(head) = self.head_of_grave(partition, &key, digest, turn) {
                self.stage(key.clone(), Before::Digest(digest), None, turn);
                heads.push((key, head));
            }
        }
        if heads.len() < count {
            // It is here and may be nowhere else: nobody writes it once more, which would mark it.
            self.collection.graves.left(partition, turn.now.instant);
        }
        self.counters.tombstones_collected += heads.len() as u64;
        self.remember_gone(&heads, turn);
    }
}
