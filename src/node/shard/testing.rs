//! A shard alone, for tests of what cannot be seen from outside: its turns, its disk, and the frames that
//! it would send.

use super::{Shard, Turn};
use crate::id::{BucketId, ClusterId, Epoch, Lineage, NodeId, PartitionId};
use crate::message::client::Reply;
use crate::message::peer::Data;
use crate::message::{Frame, Header, Kind, Split, decode, split};
use crate::node::config::{Limits, Timing};
use crate::node::event::Effect;
use crate::node::outbox::{Outbox, Stamp};
use crate::node::view::{Peer, View};
use crate::ring::{
    Agreement, BucketSettings, Change as Wish, Member, Partitions, Secret, Successor,
};
use crate::store::{MemoryStore, Store, key};
use crate::time::{Duration, HybridTime, Instant, Now, WallClock};
use crate::version::{self, Content, Incarnations, OperationId, Record, Write};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;

/// The node that is tested.
pub(super) const ME: NodeId = NodeId(1);
/// The bucket that there is.
pub(super) const BUCKET: BucketId = BucketId(1);

/// A member as the tests know it.
pub(super) fn member(id: u64) -> Member {
    let name = format!("n{id}");
    Member { id: NodeId(id), lineage: Lineage(id), name, zone: String::new(), weight: 1 }
}

/// These members, the first of them the founder, and a bucket `b`. Eight partitions.
pub(super) fn agreement(members: &[u64], replicas: u8, settings: BucketSettings) -> Agreement {
    let partitions = Partitions::new(8).expect("a power of two");
    let first = member(members[0]);
    let mut agreement =
        Agreement::found(ClusterId(9), Secret([7; 32]), replicas, partitions, first)
            .expect("valid");
    let joins = members[1..].iter().map(|id| Wish::Join(member(*id)));
    let create = Wish::CreateBucket { id: BUCKET, name: "b".into(), settings };
    for wish in joins.chain([create]) {
        let Ok(Successor::Next(next)) = agreement.apply(&wish) else { panic!("{wish:?}") };
        agreement = *next;
    }
    agreement
}

/// What n1 sees of it: everybody is there.
pub(super) fn view(agreement: Agreement) -> View {
    let others = agreement.layout.members.iter().filter(|member| member.id != ME);
    let peer = |member: &Member| Peer {
        name: member.name.clone(),
        address: Some(address(member.id)),
        alive: true,
        settled: true,
    };
    View {
        me: ME,
        lineage: agreement.layout.member(ME).expect("a member").lineage,
        name: "n1".into(),
        peers: others.map(|member| (member.id, peer(member))).collect(),
        agreement: agreement.into(),
        witnessed: true,
        counts: true,
        admitted: true,
    }
}

/// The same, but this member is not there.
pub(super) fn without(mut view: View, gone: u64) -> View {
    view.peers.get_mut(&NodeId(gone)).expect("a member").alive = false;
    view
}

fn address(node: NodeId) -> SocketAddr {
    ([127, 0, 0, 1], u16::try_from(node.0).expect("a small number")).into()
}

/// See the module's picture. Its disk syncs only when it is told to.
pub(super) struct Lone {
    pub shard: Shard,
    pub disk: MemoryStore,
    pub sent: Vec<(NodeId, Header, Data)>,
    pub replies: Vec<Reply>,
    outbox: Outbox,
    now: Now,
}

impl Lone {
    pub fn open(view: View) -> Lone {
        Lone::open_with(view, Limits::default())
    }

    pub fn open_with(view: View, limits: Limits) -> Lone {
        Lone::start(view, limits, MemoryStore::new())
    }

    /// Another process on the same disk.
    pub fn again(self, view: View) -> Lone {
        Lone::start(view, self.shard.limits, self.disk)
    }

    fn start(view: View, limits: Limits, disk: MemoryStore) -> Lone {
        let now = Now { instant: Instant(1), wall: WallClock(1_790_000_000_000) };
        let mut outbox = Outbox::default();
        stamp(&mut outbox, &view);
        let turn = &mut Turn { now, store: &disk, outbox: &mut outbox };
        let rng = fastrand::Rng::with_seed(1);
        let shard = Shard::open(limits, Timing::default(), view, false, rng, turn);
        let shard = shard.expect("a healthy disk");
        let mut lone = Lone { shard, disk, sent: Vec::new(), replies: Vec::new(), outbox, now };
        lone.settle();
        lone
    }

    /// Another view of the cluster arrives.
    pub fn install(&mut self, view: View) {
        stamp(&mut self.outbox, &view);
        self.turn(|shard, turn| shard.install(view, turn));
    }

    /// One turn, with this in it.
    pub fn turn<T>(&mut self, f: impl FnOnce(&mut Shard, &mut Turn) -> T) -> T {
        self.release();
        let store = self.disk.clone();
        let turn = &mut Turn { now: self.now, store: &store, outbox: &mut self.outbox };
        let out = f(&mut self.shard, turn);
        self.shard.handle_timeout(turn);
        self.commit();
        while self.outbox.close_turn() {}
        while let Some(effect) = self.outbox.poll_effect() {
            let (to, bytes) = match effect {
                Effect::Send { to, bytes } => (to, bytes),
                Effect::Reply { reply, .. } => {
                    self.replies.push(reply);
                    continue;
                }
                _ => continue,
            };
            let mut bytes = BytesMut::from(&bytes[..]);
            while let Ok(Split::Frame(Frame { header, body })) = split(&mut bytes, usize::MAX) {
                let message = decode(&body).expect("a message of ours");
                self.sent.push((NodeId(to.port().into()), header, message));
            }
        }
        out
    }

    /// The disk syncs everything, and the shard hears of it.
    pub fn settle(&mut self) {
        self.disk.sync(usize::MAX);
        self.turn(|_, _| ());
    }

    /// Time passes, turn by turn, with a disk that keeps up.
    pub fn run_for(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.disk.sync(usize::MAX);
            self.pass(10);
        }
    }

    /// Time passes, and then there is a turn.
    pub fn pass(&mut self, ms: u64) {
        self.now.instant = self.now.instant + Duration::from_millis(ms);
        self.now.wall.0 += ms;
        self.turn(|_, _| ());
    }

    /// A message of another member arrives, in answer to this request.
    pub fn hear(&mut self, from: u64, request: u64, message: Data) {
        self.hear_of(from, request, 0, message);
    }

    /// As [`hear`](Lone::hear), about this partition.
    pub fn hear_of(&mut self, from: u64, request: u64, partition: u16, message: Data) {
        self.hear_under(from, request, PartitionId(partition), 1, message);
    }

    /// The same, with a record that was read under this collection round.
    pub fn hear_under(
        &mut self,
        from: u64,
        request: u64,
        partition: PartitionId,
        round: u32,
        message: Data,
    ) {
        let view = self.shard.view.clone();
        let header = Header {
            cluster: view.agreement.layout.cluster,
            epoch: view.agreement.layout.epoch,
            sender: NodeId(from),
            lineage: view.agreement.layout.member(NodeId(from)).expect("a member").lineage,
            partition,
            request,
            round,
            ..Header::new(Kind::Data)
        };
        self.turn(|shard, turn| shard.handle_data(&header, message, turn));
    }

    fn release(&mut self) {
        let durable = self.disk.durable();
        self.shard.durable(durable);
        for release in self.outbox.release(durable) {
            let store = self.disk.clone();
            let turn = &mut Turn { now: self.now, store: &store, outbox: &mut self.outbox };
            self.shard.released(release, turn);
        }
    }

    fn commit(&mut self) {
        match self.outbox.commit(&mut self.disk) {
            Ok(None) => {}
            Ok(Some(number)) => self.shard.committed(number),
            Err(error) => {
                let store = self.disk.clone();
                let turn = &mut Turn { now: self.now, store: &store, outbox: &mut self.outbox };
                self.shard.commit_failed(error, turn);
            }
        }
    }
}

fn stamp(outbox: &mut Outbox, view: &View) {
    outbox.set_stamp(Stamp {
        cluster: view.agreement.layout.cluster,
        epoch: view.agreement.layout.epoch,
        sender: view.me,
        lineage: view.lineage,
        commit: 0,
        trial: 0,
    });
}

/// An item of the bucket in this partition.
pub(super) fn item(partition: u16, name: &str) -> Bytes {
    key::item(PartitionId(partition), BUCKET, name.as_bytes(), b"")
}

impl Lone {
    /// The newest record that is here of an item.
    pub fn latest(&mut self, item: &Bytes) -> Option<Record> {
        let latest = self.shard.pending.latest(item, &self.disk).expect("a healthy disk");
        latest.map(|latest| Record::clone(&latest.record))
    }
}

/// The agreement under the next epoch.
pub(super) fn next_epoch(mut agreement: Agreement) -> Agreement {
    agreement.layout.epoch = Epoch(agreement.layout.epoch.0 + 100);
    agreement
}

/// A record of one value, written by an actor of this incarnation.
pub(super) fn record(incarnation: u64) -> Record {
    let mut record = Record::new(version::Kind::Siblings);
    let write = Write {
        operation: OperationId { session: incarnation, sequence: 1 },
        stamp: HybridTime(1 << 16),
        expires_at: None,
        tried_since: None,
        content: Content::Value(Bytes::from_static(b"v")),
    };
    let mut incarnations = Incarnations::new();
    incarnations.begin(incarnation);
    record.write(&Default::default(), write, &mut incarnations, true).expect("a fresh actor");
    record
}
