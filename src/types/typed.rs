//! Typed operations on any store of siblings: read, join, change, write.

use super::counter::Actor;
use super::desk::Desk;
use super::objects::{Change, Objects, Page};
use super::tagged::Joined;
use super::{Counters, Hlls, Maps, Registers, Sets};
use crate::error::{Error, Result};
use crate::id::{DataType, Item};
use crate::quorum::{Consistency, QuorumRequest};
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;

/// Whatever a bucket is asked for when it is about the bucket.
const ANY_KEY: Bytes = Bytes::from_static(b"?");

/// What a bucket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketKind {
    /// There is no such bucket, as far as is known.
    Missing,
    /// Bytes.
    Plain,
    /// Values of a type.
    Typed(DataType),
}

/// A store whose buckets may have types.
pub trait TypedObjects: Objects {
    /// What a bucket holds.
    ///
    /// # Errors
    /// As a read.
    fn bucket_kind(&self, bucket: &str) -> impl Future<Output = Result<BucketKind>> + Send;

    /// Creates a bucket of a type, with the cluster's own settings. Doing so again is fine.
    ///
    /// # Errors
    /// As a write; [`Error::Invalid`] where there is another bucket of this name.
    fn create_typed(&self, bucket: &str, kind: DataType)
    -> impl Future<Output = Result<()>> + Send;
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Typed<O> {
    pub(super) objects: O,
    pub(super) desk: Arc<Desk>,
    clock: fn() -> u64,
}

impl<O: TypedObjects> Typed<O> {
    /// - `desk`: what this process remembers; the same for everything that it does with one cluster.
    /// - `clock`: the time in ms since 1970.
    pub fn new(objects: O, desk: Arc<Desk>, clock: fn() -> u64) -> Typed<O> {
        Typed { objects, desk, clock }
    }

    /// The counters of a bucket.
    pub fn counters(&self, bucket: impl Into<String>) -> Counters<O> {
        Counters(self.place(bucket, DataType::Counter))
    }

    /// The sets of a bucket.
    pub fn sets(&self, bucket: impl Into<String>) -> Sets<O> {
        Sets(self.place(bucket, DataType::Set))
    }

    /// The maps of a bucket.
    pub fn maps(&self, bucket: impl Into<String>) -> Maps<O> {
        Maps(self.place(bucket, DataType::Map))
    }

    /// The registers of a bucket.
    pub fn registers(&self, bucket: impl Into<String>) -> Registers<O> {
        Registers(self.place(bucket, DataType::Register))
    }

    /// The counts of different elements of a bucket.
    pub fn hlls(&self, bucket: impl Into<String>) -> Hlls<O> {
        Hlls(self.place(bucket, DataType::Hll))
    }

    /// What a bucket holds. A type is asked for once, for it never changes.
    ///
    /// # Errors
    /// As a read.
    pub async fn kind_of(&self, bucket: &str) -> Result<BucketKind> {
        if let Some(kind) = self.desk.known(bucket) {
            return Ok(BucketKind::Typed(kind));
        }
        let mut kind = self.objects.bucket_kind(bucket).await?;
        if kind == BucketKind::Missing {
            // It may be new. A read makes whoever has not heard of it ask the others.
            let item = Item { bucket: bucket.into(), key: ANY_KEY, sort: Bytes::new() };
            self.objects.read(item, QuorumRequest::default()).await?;
            kind = self.objects.bucket_kind(bucket).await?;
        }
        if let BucketKind::Typed(kind) = kind {
            self.desk.learn(bucket, kind);
        }
        Ok(kind)
    }

    fn place(&self, bucket: impl Into<String>, kind: DataType) -> Place<O> {
        let (r, w) = (QuorumRequest::default(), QuorumRequest::default());
        Place { typed: self.clone(), bucket: bucket.into(), kind, r, w }
    }
}

/// A bucket of one type, and how many replicas must answer.
#[derive(Clone, Debug)]
pub(super) struct Place<O> {
    pub(super) typed: Typed<O>,
    pub(super) bucket: String,
    kind: DataType,
    pub(super) r: QuorumRequest,
    pub(super) w: QuorumRequest,
}

impl<O: TypedObjects> Place<O> {
    pub(super) fn item(&self, key: &[u8], sort: &[u8]) -> Item {
        let [key, sort] = [key, sort].map(Bytes::copy_from_slice);
        Item { bucket: self.bucket.clone(), key, sort }
    }

    pub(super) fn now(&self) -> u64 {
        (self.typed.clock)()
    }

    pub(super) fn fresh(&self) -> Actor {
        self.typed.objects.operation()
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.typed.desk
    }

    /// Looks whether the bucket is of the type, once. False: whoever was asked knows no such bucket; others may.
    pub(super) async fn check(&self) -> Result<bool> {
        match self.typed.kind_of(&self.bucket).await? {
            BucketKind::Missing => Ok(false),
            BucketKind::Typed(kind) if kind == self.kind => Ok(true),
            BucketKind::Typed(kind) => Err(self.other(kind.name())),
            BucketKind::Plain => Err(self.other("bytes")),
        }
    }

    fn other(&self, what: &str) -> Error {
        let Place { bucket, kind, .. } = self;
        Error::Invalid(format!(
            "bucket `{bucket}` holds {what}, not values of type {kind}: use another bucket"
        ))
    }

    /// As [`check`](Place::check), and makes it so.
    pub(super) async fn ensure(&self) -> Result<()> {
        if !self.check().await? {
            let created = self.typed.objects.create_typed(&self.bucket, self.kind).await;
            // Somebody may have been faster, with settings of their own.
            if created.is_err() && !matches!(self.check().await, Ok(true)) {
                return created;
            }
        }
        Ok(())
    }

    /// The join of what is there, and the context of it.
    pub(super) async fn read<V: Joined>(&self, item: &Item) -> Result<(Option<V>, String)> {
        let object = self.typed.objects.read(item.clone(), self.r).await?;
        Ok((V::of_siblings(object.values)?, object.context))
    }

    /// Writes what takes the place of what `context` has seen.
    pub(super) async fn write(
        &self,
        item: &Item,
        value: Option<Bytes>,
        context: String,
    ) -> Result<()> {
        let operation = self.typed.objects.operation();
        let change = Change { item: item.clone(), value, context, expires_at: None, operation };
        self.typed.objects.write(change, self.w).await.map(drop)
    }

    /// A page of the items of a key. One that does not advance would keep us here for ever.
    pub(super) async fn page(&self, key: &Bytes, from: &Bytes, to: &Bytes) -> Result<Page> {
        if !to.is_empty() && from >= to {
            return Ok(Page::default());
        }
        let (objects, bucket) = (&self.typed.objects, &self.bucket);
        let page = objects.range(bucket, key.clone(), from.clone(), to.clone(), self.r).await?;
        match &page.next {
            Some(next) if next <= from => {
                Err(Error::Internal("a scan's next page does not lie ahead".into()))
            }
            _ => Ok(page),
        }
    }

    /// Deletes what is there. Answers whether there was anything.
    pub(super) async fn delete(&self, item: &Item) -> Result<bool> {
        let object = self.typed.objects.read(item.clone(), self.r).await?;
        if object.values.is_empty() {
            return Ok(false);
        }
        self.write(item, None, object.context).await.map(|()| true)
    }

    pub(super) fn at(mut self, level: Option<Consistency>) -> Self {
        (self.r.consistency, self.w.consistency) = (level, level);
        self
    }

    pub(super) fn strictly(mut self, strict: bool) -> Self {
        (self.r.strict, self.w.strict) = (strict, strict);
        self
    }

    pub(super) fn by(mut self, r: Option<QuorumRequest>, w: Option<QuorumRequest>) -> Self {
        (self.r, self.w) = (r.unwrap_or(self.r), w.unwrap_or(self.w));
        self
    }
}

/// The methods that the handles of all types share.
macro_rules! handle {
    ($name:ident) => {
        impl<O: $crate::types::TypedObjects> $name<O> {
            /// How many replicas must answer, of reads and of writes, by name; `None` leaves it to the bucket. A change
            /// reads first; one that reads less than a quorum sees less, and does no harm.
            pub fn consistency(
                self,
                level: impl Into<Option<$crate::quorum::Consistency>>,
            ) -> Self {
                $name(self.0.at(level.into()))
            }

            /// Owners only: no fallback may stand in.
            pub fn strict(self, strict: bool) -> Self {
                $name(self.0.strictly(strict))
            }

            /// What reads and what writes ask for; `None` leaves it as it is.
            pub fn quorums(
                self,
                r: Option<$crate::quorum::QuorumRequest>,
                w: Option<$crate::quorum::QuorumRequest>,
            ) -> Self {
                $name(self.0.by(r, w))
            }
        }
    };
}

pub(super) use handle;
