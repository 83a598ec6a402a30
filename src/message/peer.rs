//! What nodes say to each other.
//!
//! Frames between nodes go one way: each node answers on the connection that it opened itself, so a turn
//! ends with one write per peer. An answer repeats the request id of its question, in a header that
//! says who speaks.

use super::client::{Reply, Request, is_false};
use crate::id::{Lineage, NodeId, PartitionId};
use crate::time::{HybridTime, WallClock};
use crate::version::OperationId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The data path. The header carries partition, epoch, deadline and the sender's durable commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// Merge this record into yours and say when it is durable.
    Replicate {
        /// The item's store key.
        key: Bytes,
        /// The record's head and body.
        record: Record,
        /// Keep it for this owner, and hand it over.
        hint_for: Option<NodeId>,
    },
    /// The record, or something that descends from it, is durable here.
    Replicated,
    /// What do you hold?
    Read {
        /// The item's store key.
        key: Bytes,
        /// Not only the digest.
        whole: bool,
    },
    /// What the sender holds durably.
    Holding {
        /// The digest of what is there, if anything is.
        digest: Option<u128>,
        /// The record, where it was asked for and is there.
        record: Option<Record>,
        /// The sender's slot is not complete: this does not count towards R.
        rebuilding: bool,
        /// For which owners the sender keeps this item.
        stands_in_for: Vec<NodeId>,
    },
    /// Which of the items in this range do you hold?
    ScanRange {
        /// The first store key.
        from: Bytes,
        /// The first store key that is not wanted.
        to: Bytes,
        /// At most so many.
        limit: u32,
        /// From the last of them to the first.
        #[serde(default, skip_serializing_if = "is_false")]
        reverse: bool,
    },
    /// A page of what the sender holds durably.
    Range {
        /// Store keys and records, in the order that was asked for.
        items: Vec<(Bytes, Record)>,
        /// Everything below this store key was examined, in reverse everything from it on; `None`: the whole range.
        end: Option<Bytes>,
        /// The sender's slot is not complete.
        rebuilding: bool,
    },
    /// Which partition keys have you in this range?
    KeyRange {
        /// The first store key.
        from: Bytes,
        /// The first store key that is not wanted.
        to: Bytes,
        /// At most so many items are to be examined.
        limit: u32,
        /// What has expired by now is no value: the coordinator's date.
        now: WallClock,
    },
    /// A page of them.
    KeysHeld {
        /// Of each partition key the first items, up to one that has a value, in order.
        items: Vec<KeyItem>,
        /// Everything below this store key was examined, but for what was passed over; `None`: the whole range.
        end: Option<Bytes>,
        /// The sender's slot is not complete.
        rebuilding: bool,
    },
    /// Are these the roots of your trees, too?
    Roots {
        /// For each partition that both nodes own its number and the root, 18 bytes, big-endian.
        roots: Bytes,
        /// What the sender has compared with you since it asked before: for those who ask when that was.
        compared: Vec<PartitionId>,
    },
    /// What is not in any of the lists is the same.
    RootsCompared {
        /// These differ.
        differ: Vec<PartitionId>,
        /// The sender cannot tell yet.
        unknown: Vec<PartitionId>,
        /// Here the sender's slot is not complete, the same or not.
        rebuilding: Vec<PartitionId>,
    },
    /// What are your leaves under the branches of this partition whose sums differ from these?
    Branches {
        /// The sums of all branches, 16 bytes each, big-endian.
        sums: Bytes,
    },
    /// Under these branches the sums of all leaves.
    LeafSums {
        /// Which branches differ.
        branches: Vec<u16>,
        /// Their leaves, 16 bytes each, big-endian; `None`: the sender cannot tell yet.
        sums: Option<Bytes>,
    },
    /// Digests of your items of this partition, from this store key on.
    Digests {
        /// Where to begin.
        from: Bytes,
        /// At most so many.
        limit: u32,
        /// Only of the items in these leaves of the tree, a bit for each; empty: of all.
        leaves: Bytes,
    },
    /// A page of digests.
    DigestPage {
        /// Store keys and digests, in order.
        items: Vec<(Bytes, u128)>,
        /// Where the next page begins; `None`: that was all.
        next: Option<Bytes>,
        /// The sender's slot is not complete: what it lacks proves nothing.
        rebuilding: bool,
    },
    /// What was deleted and collected of this partition that you still remember, from this operation on?
    Collected {
        /// The hash of an item's store key, and an operation on it: where to begin.
        from: (u64, OperationId),
    },
    /// A page of it.
    CollectedPage {
        /// In order.
        items: Vec<Collected>,
        /// Where the next page begins; `None`: that was all.
        next: Option<(u64, OperationId)>,
        /// The sender's slot is not complete: what it does not know proves nothing.
        rebuilding: bool,
    },
    /// Steps of collection rounds, of as many partitions as fit.
    Rounds(Vec<RoundStep>),
    /// What came of them; what is not named was refused, or is not known yet.
    RoundsTold(Vec<RoundTold>),
    /// How many hints for me do you keep?
    CountHints,
    /// So many, of all partitions.
    HintCount(u64),
    /// A client's request, for a node that can coordinate it.
    Forward(Request),
    /// The answer to it.
    Forwarded(Reply),
    /// No, and why.
    Refused(Refusal),
    /// How are you? Asked while somebody looks.
    AskVitals,
    /// So.
    Vitals(Vitals),
}

/// What a node says of itself to whoever looks; nothing is decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// How many items it owns; `None`: they are being counted.
    pub items: Option<u64>,
    /// Bytes of its store on the disk.
    pub used_bytes: Option<u64>,
    /// Bytes that are free there.
    pub free_bytes: Option<u64>,
    /// Its local health multiplier; 0: well.
    pub local_health: Option<u32>,
}

impl Data {
    /// Whether it asks for something, or answers what was asked.
    pub fn is_question(&self) -> bool {
        match self {
            Data::Replicate { .. }
            | Data::Read { .. }
            | Data::ScanRange { .. }
            | Data::KeyRange { .. }
            | Data::Roots { .. }
            | Data::Branches { .. }
            | Data::Digests { .. }
            | Data::Collected { .. }
            | Data::Rounds(_)
            | Data::CountHints
            | Data::AskVitals
            | Data::Forward(_) => true,
            Data::Replicated
            | Data::Holding { .. }
            | Data::Range { .. }
            | Data::KeysHeld { .. }
            | Data::RootsCompared { .. }
            | Data::LeafSums { .. }
            | Data::DigestPage { .. }
            | Data::CollectedPage { .. }
            | Data::RoundsTold(_)
            | Data::HintCount(_)
            | Data::Vitals(_)
            | Data::Forwarded(_)
            | Data::Refused(_) => false,
        }
    }
}

/// An item as a list of keys sees it: without its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyItem {
    /// Its store key.
    pub key: Bytes,
    /// The head of its record.
    pub head: Bytes,
    /// It has a value where it lies: what follows it under its partition key was passed over.
    pub passed_over: bool,
}

/// An operation whose record was collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// The hash of the item's store key.
    pub hash: u64,
    /// Which operation.
    pub operation: OperationId,
    /// When it was covered.
    pub stamp: HybridTime,
    /// Until when it is remembered, in milliseconds of the wall clock.
    pub until: u64,
}

/// One step of a collection round; see `node::shard::collection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundStep {
    /// Of which partition.
    pub partition: PartitionId,
    /// Random: one attempt of one driver.
    pub attempt: u64,
    /// What is to be done.
    pub ask: RoundAsk,
}

/// What the driver of a round wants of a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoundAsk {
    /// Which of these do you not hold exactly so, durably, as tombstones?
    Verify {
        /// Store keys and digests.
        items: Vec<(Bytes, u128)>,
    },
    /// Stamp with this number what you read from now on.
    Open(u32),
    /// Do you keep nothing for anybody that is older? Then take nothing older from now on.
    Drain(u32),
    /// Take nothing older for yourself.
    Close(u32),
    /// Erase these, where they are still the same.
    Collect {
        /// The round, closed by everybody.
        round: u32,
        /// Store keys and digests.
        items: Vec<(Bytes, u128)>,
    },
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTold {
    /// Of which partition.
    pub partition: PartitionId,
    /// Which attempt.
    pub attempt: u64,
    /// What.
    pub told: Told,
}

/// See [`RoundTold`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// Everything is held but what stands at these places of the list.
    Held {
        /// The places.
        lacking: Vec<u16>,
        /// The highest number that the sender stamps with.
        round: u32,
    },
    /// Opened, durably.
    Opened(u32),
    /// Drained, durably.
    Drained(u32),
    /// Something older is still kept: ask again.
    NotYet(u32),
    /// Closed, durably.
    Closed(u32),
    /// Not here, not now, or not with this number.
    No,
}

/// A record as it travels; see `version::Record`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The part that digests and scans read.
    pub head: Bytes,
    /// The values.
    pub body: Bytes,
}

/// Why a node did not do what another asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The request was sent under an older agreement: fetch the newer one and ask again.
    StaleEpoch,
    /// The sender acts under a newer agreement: it is being fetched; ask again.
    Behind,
    /// The sender's lineage is not a member's: it was wiped, restored or removed.
    Fenced,
    /// The receiver neither owns the partition nor is a fallback of it.
    Stranger,
    /// Too much is under way.
    Overloaded,
    /// The disk takes no writes.
    Disk,
    /// The record cannot be read here: unknown kind, newer version or damaged.
    Unreadable,
    /// The bucket is not known here (yet).
    UnknownBucket,
    /// The record was read before a collection round that is closed here: read again.
    StaleRound,
}

/// Membership, agreement, witnesses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Let me in. Sent to an address; the sender may have no cluster yet.
    Join(Joiner),
    /// The answer to it: not now, and why. Being let in shows as [`Control::Agreement`].
    JoinRefused(String),
    /// The newest agreement that you know, if it is above this index?
    FetchAgreement {
        /// The newest that the sender knows.
        have: u64,
    },
    /// A chosen agreement, encoded. Whoever knows an older one adopts it.
    Agreement(Bytes),
    /// Follows an agreement: where its members listen, as far as the sender knows.
    Addresses(Vec<(NodeId, std::net::SocketAddr)>),
    /// Paxos phase 1 for one instance of the chain.
    Prepare {
        /// Which value of the chain is to be chosen.
        index: u64,
        /// The proposer's ballot: counter and node.
        ballot: (u64, NodeId),
        /// The proposer's own value takes the places of this member, for it is gone.
        #[serde(default)]
        without: Option<NodeId>,
    },
    /// Promised; what was accepted before, if anything.
    Promise {
        /// Which value of the chain.
        index: u64,
        /// The ballot that is answered.
        ballot: (u64, NodeId),
        /// The ballot and value accepted before.
        accepted: Option<((u64, NodeId), Bytes)>,
    },
    /// Paxos phase 2.
    Accept {
        /// Which value of the chain.
        index: u64,
        /// The proposer's ballot.
        ballot: (u64, NodeId),
        /// The encoded agreement.
        value: Bytes,
    },
    /// Accepted, durably.
    Accepted {
        /// Which value of the chain.
        index: u64,
        /// The ballot that is answered.
        ballot: (u64, NodeId),
    },
    /// A higher ballot was promised.
    Conflict {
        /// Which value of the chain.
        index: u64,
        /// The ballot that is answered.
        ballot: (u64, NodeId),
        /// The one that was promised.
        promised: (u64, NodeId),
    },
    /// The sender takes no part: it has not passed its witness check.
    NotReady {
        /// Which value of the chain.
        index: u64,
    },
    /// No promise: whoever is to lose its places is alive, as the sender sees it.
    Objection {
        /// Which value of the chain.
        index: u64,
        /// The ballot that is answered.
        ballot: (u64, NodeId),
    },
    /// The membership machine's whole state.
    PushPull(Bytes),
    /// The answer to it: the receiver's whole state.
    PushPullReply(Bytes),
    /// How far have you seen me?
    AskWitness,
    /// So far. Also sent unasked to a node whose frames claim less than earlier ones did.
    Witness {
        /// The lineage and the highest durable commit; `None`: never seen.
        seen: Option<(Lineage, u64)>,
        /// The newest agreement that the sender has installed.
        index: u64,
        /// How far it came under trials that nobody had confirmed, by their numbers.
        trials: Vec<(u32, u64)>,
    },
}

/// Who wants to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joiner {
    /// Its id: random for a new node, kept by one that remembers.
    pub id: NodeId,
    /// The life of its data.
    pub lineage: Lineage,
    /// Its name: a node that comes back empty under a member's name takes over that member's id.
    pub name: String,
    /// Its failure domain.
    pub zone: String,
    /// Its weight; 1 is usual.
    pub weight: u16,
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// Whether it stands by, without places, if it is new.
    #[serde(default)]
    pub spare: bool,
}
