//! Buckets: namespaces with settings, and the registry of all of them.
//!
//! `r`, `w` and `ttl` can be changed. What decides how records join and where they live (`n`, `conflict`, `kind`) never changes after
//! creation, and the id is random: dropping a bucket and creating it again cannot resurrect its data.

use super::Invalid;
use crate::id::{BucketId, Conflict, DataType};
use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The longest bucket name, in bytes.
pub const BUCKET_NAME_LIMIT: usize = 64;
/// The most buckets: everybody holds the whole registry, and it travels whole.
pub const BUCKET_LIMIT: usize = 10_000;
/// How many dropped buckets are remembered; the oldest are forgotten first. Who was away for so many keeps what it held of
/// those, and shows it to nobody.
pub(super) const DROPPED_LIMIT: usize = 4_096;
/// The longest time to live: longer ones are mistakes.
const TTL_LIMIT: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Whether a bucket may be called so: 1..=64 bytes of `a-z 0-9 . _ -`.
pub fn is_bucket_name(name: &str) -> bool {
    (1..=BUCKET_NAME_LIMIT).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// What a message may show of a string that somebody sent.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(BUCKET_NAME_LIMIT).flat_map(char::escape_default).collect()
}

/// What a bucket is to be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSettings {
    /// How many owners each key has. Never changes.
    pub n: u8,
    /// How many owners a read asks for unless it says otherwise; `None`: a majority.
    pub r: Option<u8>,
    /// How many owners a write asks for unless it says otherwise; `None`: a majority.
    pub w: Option<u8>,
    /// What becomes of concurrent values. Never changes.
    pub conflict: Conflict,
    /// The name of the type of its values, a [`DataType`]; `None`: bytes. Never changes.
    pub kind: Option<String>,
    /// How long an item lives unless its write says otherwise; `None`: for ever.
    pub ttl: Option<Duration>,
    /// The least that `w` ever was, where it was less than it is: so few owners may have what was written then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_w: Option<u8>,
}

impl BucketSettings {
    /// The default settings with `n` replicas.
    pub fn new(n: u8) -> BucketSettings {
        let conflict = Conflict::default();
        BucketSettings { n, r: None, w: None, conflict, kind: None, ttl: None, least_w: None }
    }

    /// On how many owners a write is durable unless it says otherwise.
    pub fn effective_w(&self) -> u8 {
        self.w.unwrap_or(self.n / 2 + 1)
    }

    /// On how many owners everything is that was ever written by default.
    pub fn guaranteed_w(&self) -> u8 {
        self.least_w.map_or(self.effective_w(), |least| least.min(self.effective_w()))
    }

    /// With these in place of its own, and with a memory of W.
    pub fn with(&self, r: Option<u8>, w: Option<u8>, ttl: Option<Duration>) -> BucketSettings {
        let next = BucketSettings { r, w, ttl, ..self.clone() };
        let least = self.guaranteed_w();
        BucketSettings { least_w: (least < next.effective_w()).then_some(least), ..next }
    }

    /// The type of its values; `None`: bytes.
    pub fn data_type(&self) -> Option<DataType> {
        self.kind.as_deref().and_then(DataType::named)
    }

    /// Whether a bucket may be like this in a layout with room for `replicas` owners.
    ///
    /// # Errors
    /// [`Invalid`], with what is wrong.
    pub fn validate(&self, replicas: u8) -> Result<(), Invalid> {
        if !(1..=replicas).contains(&self.n) {
            return Err(Invalid::BucketN { n: self.n, replicas });
        }
        for (which, count) in [("r", self.r), ("w", self.w), ("w", self.least_w)] {
            if let Some(count) = count.filter(|count| !(1..=self.n).contains(count)) {
                return Err(Invalid::BucketQuorum { which, count, n: self.n });
            }
        }
        if let Some(kind) = &self.kind {
            if DataType::named(kind).is_none() {
                return Err(Invalid::BucketKind(shown(kind)));
            }
            if self.conflict != Conflict::Siblings {
                return Err(Invalid::BucketKindConflict);
            }
        }
        if self.ttl.is_some_and(|ttl| ttl < Duration::from_millis(1) || ttl > TTL_LIMIT) {
            return Err(Invalid::BucketTtl);
        }
        Ok(())
    }
}

/// A bucket as all members know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Random: the identity of its data.
    pub id: BucketId,
    /// What people call it; part of where its keys live.
    pub name: String,
    /// What it is like.
    pub settings: BucketSettings,
}

/// A bucket that was: what lies of it anywhere is to be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Whose data.
    pub id: BucketId,
    /// How many owners its keys had.
    pub n: u8,
}

/// All buckets.
///
/// - No dropped bucket is among them, and none comes back: the next of its name has another id.
/// - `version` grows with every change, apart from the placement epoch.
/// - Each bucket is filed under its own name; ids are distinct.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// How often it changed.
    pub version: u64,
    /// By name.
    pub buckets: BTreeMap<String, Bucket>,
    /// Those that were dropped, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
}

impl Registry {
    /// The bucket of this name.
    pub fn get(&self, name: &str) -> Option<&Bucket> {
        self.buckets.get(name)
    }

    /// The bucket with this id.
    pub fn by_id(&self, id: BucketId) -> Option<&Bucket> {
        self.buckets.values().find(|bucket| bucket.id == id)
    }

    /// Whether a bucket of this id was dropped, as far as that is remembered.
    pub fn was_dropped(&self, id: BucketId) -> bool {
        self.dropped.iter().any(|dropped| dropped.id == id)
    }

    /// Without the bucket of this name, if there is one.
    pub(super) fn without(mut self, name: &str) -> Registry {
        if let Some(bucket) = self.buckets.remove(name) {
            self.version += 1;
            self.dropped.push(Dropped { id: bucket.id, n: bucket.settings.n });
            let excess = self.dropped.len().saturating_sub(DROPPED_LIMIT);
            self.dropped.drain(..excess);
        }
        self
    }

    /// Whether `next` may come behind this: at most one bucket is gone, and is known to be dropped; all others are what decides
    /// how their records join and where they live.
    pub(super) fn may_become(&self, next: &Registry) -> bool {
        let mut gone = self.buckets.values().filter(|bucket| next.get(&bucket.name).is_none());
        let (first, second) = (gone.next(), gone.next());
        let dropped = match first {
            Some(first) => self.clone().without(&first.name).dropped,
            None => self.dropped.clone(),
        };
        let is_kept = |bucket: &Bucket| {
            next.get(&bucket.name).is_none_or(|other| {
                let (old, new) = (&bucket.settings, &other.settings);
                other.id == bucket.id
                    && (new.n, new.conflict, &new.kind) == (old.n, old.conflict, &old.kind)
                    && new.guaranteed_w() <= old.guaranteed_w()
            })
        };
        second.is_none() && next.dropped == dropped && self.buckets.values().all(is_kept)
    }

    /// Whether every sentence that the types promise holds, for a layout with `replicas`.
    ///
    /// # Errors
    /// [`Invalid`], with the first sentence that does not hold.
    pub fn validate(&self, replicas: u8) -> Result<(), Invalid> {
        if self.dropped.len() > DROPPED_LIMIT {
            return Err(Invalid::TooMany("dropped buckets"));
        }
        if self.buckets.len() > BUCKET_LIMIT {
            return Err(Invalid::TooMany("buckets"));
        }
        let mut ids: BTreeSet<BucketId> = self.dropped.iter().map(|dropped| dropped.id).collect();
        if ids.len() < self.dropped.len() {
            return Err(Invalid::TooMany("dropped buckets of one id"));
        }
        for (name, bucket) in &self.buckets {
            if !is_bucket_name(name) {
                return Err(Invalid::BucketName(shown(name)));
            }
            if *name != bucket.name || !ids.insert(bucket.id) {
                return Err(Invalid::Registry(name.clone()));
            }
            bucket.settings.validate(replicas)?;
        }
        Ok(())
    }
}
