//! What a client asks and what it hears.
//!
//! The context is an opaque token all the way: the node alone can open it.

use super::Placement;
pub use super::explained::{Explained, HintsKept, ReplicaAsked, Said};
use crate::error::Error;
pub use crate::id::Item;
use crate::quorum::QuorumRequest;
use crate::time::HybridTime;
use crate::version::OperationId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The longest bucket name, in bytes.
pub const BUCKET_NAME_LIMIT: usize = 64;
/// The one bucket in which a node may be told to play its part badly.
pub const REHEARSAL_BUCKET: &str = "quorate.demo";
/// The most items that one page of a scan or of a list of keys examines, tombstones too.
pub const SCAN_PAGE_LIMIT: u32 = 1_000;

/// What a client asks of any node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Reads one item.
    Get {
        /// Which.
        item: Item,
        /// R.
        quorum: QuorumRequest,
    },
    /// Reads one item as [`Get`](Request::Get) does, and fails unless it stands as this context has seen it.
    Check {
        /// Which.
        item: Item,
        /// R.
        quorum: QuorumRequest,
        /// The token of an earlier read or write. Empty: nothing was seen, and nothing may be there.
        context: String,
        /// What this write has made of it is as good as seen: it may have been tried before.
        operation: Option<OperationId>,
    },
    /// Reads one item as [`Get`](Request::Get) does, and tells in its [`Info`] how the answer came about.
    Explain {
        /// Which.
        item: Item,
        /// R.
        quorum: QuorumRequest,
    },
    /// Writes one item; answers [`Reply::Written`].
    Put {
        /// Which.
        item: Item,
        /// W.
        quorum: QuorumRequest,
        /// What is written: a value, or `None` for a delete.
        value: Option<Bytes>,
        /// The token of an earlier read or write: what it saw is replaced. Empty: nothing was seen.
        context: String,
        /// Names this write: a retry with the same id is the same write.
        operation: OperationId,
        /// When it expires; `None`: when its bucket says, if it does.
        expires_at: Option<Expiry>,
        /// Since when it may have been tried: no try is stamped before. `None`: never, as far as its sender knows.
        #[serde(default)]
        tried_since: Option<HybridTime>,
    },
    /// Reads a range of sort keys of one partition key; answers [`Reply::Page`].
    Scan {
        /// The bucket's name.
        bucket: String,
        /// The partition key.
        key: Bytes,
        /// The first sort key.
        from: Bytes,
        /// The first sort key that is not wanted; empty for none.
        to: Bytes,
        /// At most so many items are examined for this page.
        limit: u32,
        /// R.
        quorum: QuorumRequest,
        /// From the last of them to the first. A node that does not know of this reads nothing rather than forwards.
        #[serde(default, skip_serializing_if = "is_false")]
        reverse: bool,
    },
    /// Lists partition keys of a bucket: those that have at least one item with a value. Answers [`Reply::Keys`].
    Keys {
        /// The bucket's name.
        bucket: String,
        /// The `next` of the page before, or empty: at the beginning.
        after: Bytes,
        /// Only keys that begin so; empty: all.
        prefix: Bytes,
        /// At most so many items are examined for this page.
        limit: u32,
        /// R.
        quorum: QuorumRequest,
    },
    /// Creates a bucket. Doing so again with the same settings is fine.
    CreateBucket(BucketSpec),
    /// Lets the owners change, or stops that; answers [`Reply::Agreed`] when it has been agreed on.
    ChangeRing(RingChange),
    /// Looks at the cluster or at this node; answers [`Reply::Json`].
    Inspect(Inspect),
    /// Who owns what; answers [`Reply::Placement`].
    Placement,
    /// Changes a bucket; answers [`Reply::Agreed`].
    SetBucket(BucketChange),
    /// Drops a bucket and all that is in it; answers [`Reply::Agreed`].
    DropBucket {
        /// Its name.
        name: String,
        /// Which of that name: another one may have it by now.
        id: u64,
    },
}

impl Request {
    /// Says of a put that it may have been tried since then, or before, if somebody has said so.
    pub fn tried(&mut self, since: HybridTime) {
        if let Request::Put { tried_since, .. } = self {
            *tried_since = Some(tried_since.unwrap_or(since).min(since));
        }
    }
}

/// Whether a field may be left out, as it is by those who do not know it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) fn is_false(field: &bool) -> bool {
    !field
}

/// When an item is to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expiry {
    /// At this time, in ms since 1970.
    At(u64),
    /// So many ms after its coordinator takes the write, by its clock.
    After(u64),
}

/// What an operator may want of the ring. Members go by their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RingChange {
    /// Everybody gets its share.
    Rebalance,
    /// This member gives its places away and goes.
    Leave(String),
    /// This member is gone for good: the others take its places.
    Remove(String),
    /// `new`, which owns nothing yet, takes exactly the places of `old`, which goes.
    Replace {
        /// Who goes.
        old: String,
        /// Who comes.
        new: String,
    },
    /// This member stands elsewhere, or takes another share; what is open stays as it is.
    Place {
        /// Which member.
        name: String,
        /// Its zone.
        zone: Option<String>,
        /// Its weight.
        weight: Option<u16>,
    },
    /// Members that a change left without places may have some again.
    Commit,
    /// The change under way is taken back.
    Abort,
    /// A majority is gone for ever, and these go on without it. Each of them has to be told.
    ForceSurvivors {
        /// All of them.
        names: Vec<String>,
        /// The cluster as it was, as `status` tells it.
        cluster: String,
        /// The value from which they go on: all of them have it.
        index: u64,
    },
}

/// The settings of a bucket as a user gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSpec {
    /// 1 to 64 bytes of `a-z 0-9 . _ -`.
    pub name: String,
    /// N; the cluster's default where open.
    pub n: Option<u8>,
    /// The default R.
    pub r: Option<u8>,
    /// The default W.
    pub w: Option<u8>,
    /// `siblings` (the default) or `lww`.
    pub lww: bool,
    /// How many ms an item lives unless its write says otherwise; `None`: for ever.
    pub ttl_ms: Option<u64>,
    /// The name of the type of its values, a [`DataType`](crate::id::DataType); `None`: bytes. A node that does not know
    /// of this creates nothing rather than a bucket of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// What is to be changed of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketChange {
    /// Which.
    pub name: String,
    /// The default R.
    pub r: Setting<u8>,
    /// The default W.
    pub w: Setting<u8>,
    /// How many ms an item lives that is written from now on.
    pub ttl_ms: Setting<u64>,
}

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting<T> {
    /// It stays.
    #[default]
    Kept,
    /// It is as if nobody had ever set it.
    Unset,
    /// It is this.
    Set(T),
}

impl<T> Setting<T> {
    /// What it is afterwards.
    pub fn after(self, before: Option<T>) -> Option<T> {
        match self {
            Setting::Kept => before,
            Setting::Unset => None,
            Setting::Set(value) => Some(value),
        }
    }
}

impl<T> From<Option<T>> for Setting<T> {
    fn from(value: Option<T>) -> Setting<T> {
        value.map_or(Setting::Unset, Setting::Set)
    }
}

/// What an operator may look at, and have a node do for itself. The answers are JSON, in the shapes that the
/// HTTP interface documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inspect {
    /// The verdict in words and the counts behind it.
    Status,
    /// Who is there.
    Members,
    /// The placement.
    Ring,
    /// Where one item lives, and which replica holds which dots.
    Locate(Item),
    /// What this node keeps for others.
    Hints,
    /// This node: versions, settings, addresses.
    Info,
    /// The buckets.
    Buckets,
    /// Counters, as one flat object.
    Metrics,
    /// This node's own record of one item; no coordination, no repair.
    Local(Item),
    /// A page of this node's own records. `after` is the `next` of the page before, or empty.
    Dump {
        /// Only this bucket.
        bucket: Option<String>,
        /// Where to go on.
        after: Bytes,
        /// At most so many.
        limit: u32,
    },
    /// This node's partitions: owned, rebuilding, items, root.
    Partitions,
    /// What a change of owners would move.
    Plan(RingChange),
    /// Compare everything that this node shares with others, and mend what differs; or, how far is that?
    Repair {
        /// Begin now; else the `since` of the answer to the call that began.
        since: Option<u64>,
    },
    /// A copy of this node's log. Answered to whoever asks on the node's own machine.
    Backup(BackupRequest),
    /// Read everything that lies here once more, and mend what has rotted; or, how far is that?
    Scrub {
        /// Begin now, unless it is under way.
        begin: bool,
        /// At most so many bytes a second; the node's own setting where open.
        bytes_per_second: Option<u64>,
    },
    /// Let it be seen, in a bucket of its own, what happens when this node fails.
    Rehearse(Rehearsal),
    /// How likely reads miss what was just written. A prediction, from this node's own links.
    Staleness,
    /// Take no more requests of clients, or some again, until the node ends; or, how many are under way?
    Drain {
        /// Whether it is to be drained; open: as it is.
        drained: Option<bool>,
    },
    /// Go on with what is here, for what is missing will not come; or, what is missing?
    AcceptLoss {
        /// Do so; else only tell.
        accept: bool,
    },
}

/// Which part a node plays in [`REHEARSAL_BUCKET`]; see `node::shard::rehearsal`. Answered with how many records
/// it has withheld since the part began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rehearsal {
    /// The one that it plays.
    Look,
    /// It is as if it were not there.
    Away,
    /// It confirms what it does not store.
    Forgetful,
    /// It plays its part again.
    Whole,
    /// So it does, and asks the others at once what differs.
    Compare,
}

/// A copy of a node's log, on the node's own machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackupRequest {
    /// Begin one; answered at once, with the same as a look.
    Begin {
        /// The folder, absolute: new or empty.
        dir: String,
    },
    /// How far is it? `state` is `copying` (with `done` and `total` bytes) or `done`; a copy that failed is
    /// answered with its error.
    Look {
        /// The folder, as it was named at the beginning.
        dir: String,
    },
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// What was read. No values: there is nothing (or it was deleted); the context still counts.
    Got {
        /// The concurrent values, by dot.
        values: Vec<Version>,
        /// For the next write.
        context: String,
        /// How it came about.
        info: Info,
    },
    /// The write is durable on as many slots as were asked for.
    Written {
        /// For the next write.
        context: String,
        /// How it came about.
        info: Info,
    },
    /// A page of a scan.
    Page {
        /// The items that are there, in order of their sort keys; from the last, if it was asked for so.
        items: Vec<PageItem>,
        /// The sort key at which the next page begins, or, in reverse, before which it does: the next `from`, or the
        /// next `to`. `None` when this was the last.
        next: Option<Bytes>,
    },
    /// A page of partition keys. It may be empty although more follow.
    Keys {
        /// By partition, then in their own order; each once.
        keys: Vec<Bytes>,
        /// The `after` of the next page; opaque. `None` when this was the last.
        next: Option<Bytes>,
    },
    /// The members have agreed: the bucket exists, the change of owners has begun.
    Agreed,
    /// The answer to [`Request::Inspect`].
    Json(String),
    /// It was not done, or nobody knows.
    Failed(Error),
    /// Who owns what, as far as this node knows.
    Placement(Box<Placement>),
}

/// One of the concurrent values of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The value.
    pub value: Bytes,
    /// The name of the write that made it, for people: `actor:counter`.
    pub dot: String,
}

/// An item on a page of a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageItem {
    /// The sort key.
    pub sort: Bytes,
    /// The concurrent values, by dot; never empty.
    pub values: Vec<Version>,
    /// For the next write.
    pub context: String,
}

/// How an answer came about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The name of the node that coordinated.
    pub coordinator: String,
    /// Who answered, by name: every one that confirmed a write; of a read also those whose answer did not count.
    pub replied: Vec<String>,
    /// How many replicas were stale and are being repaired.
    pub repaired: u32,
    /// The answer came from a replica that is still rebuilding: something may be missing.
    pub rebuilding: bool,
    /// The slots that a stand-in holds for an owner, by the owner's name.
    pub hinted: Vec<String>,
    /// The whole story, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<Box<Explained>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{decode, encode_into};

    #[test]
    fn a_bucket_of_bytes_is_asked_for_as_before_there_were_types() {
        let encoded = |message: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            message(&mut bytes);
            bytes
        };
        let none = None::<u8>;
        let before = ("b", Some(3_u8), none, none, false, None::<u64>);
        let before = encoded(&|out| encode_into(out, &before));
        let spec = BucketSpec { name: "b".into(), n: Some(3), ..BucketSpec::default() };
        assert_eq!(encoded(&|out| encode_into(out, &spec)), before);
        assert_eq!(decode(&before), Ok(spec.clone()));
        let typed = BucketSpec { kind: Some("set".into()), ..spec };
        let bytes = encoded(&|out| encode_into(out, &typed));
        assert_eq!(decode(&bytes), Ok(typed));
        // Whoever knows of no types creates nothing.
        type Before = (String, Option<u8>, Option<u8>, Option<u8>, bool, Option<u64>);
        assert!(decode::<Before>(&bytes).is_err());
    }
}
