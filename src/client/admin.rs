//! Buckets, owners, and looking at the cluster.

use super::Client;
use super::attempts::Effect;
use super::options::{Options, request};
use crate::error::{Error, Result};
use crate::message::client::{BucketChange, BucketSpec, Inspect, Reply, Request, RingChange};

/// A bucket to be created; made by [`Client::create_bucket`], sent when it is awaited.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct CreateBucket {
    client: Client,
    spec: BucketSpec,
    options: Options,
}

request!(timeout for CreateBucket);
request!(await CreateBucket -> ());

impl CreateBucket {
    pub(super) fn new(client: &Client, name: String) -> CreateBucket {
        let spec = BucketSpec { name, ..BucketSpec::default() };
        CreateBucket { client: client.clone(), spec, options: Options::of(client) }
    }

    /// N: how many replicas. Cannot be changed later.
    pub fn n(mut self, replicas: impl Into<Option<u8>>) -> Self {
        self.spec.n = replicas.into();
        self
    }

    /// R: how many replicas a read waits for unless it says otherwise.
    pub fn r(mut self, count: impl Into<Option<u8>>) -> Self {
        self.spec.r = count.into();
        self
    }

    /// W: on how many replicas a write is durable unless it says otherwise.
    pub fn w(mut self, count: impl Into<Option<u8>>) -> Self {
        self.spec.w = count.into();
        self
    }

    /// Whether the last writer wins, which loses concurrent writes, instead of keeping siblings. Cannot
    /// be changed later.
    pub fn lww(mut self, lww: bool) -> Self {
        self.spec.lww = lww;
        self
    }

    /// The type of its values; `None`: bytes. Such a bucket is written by [typed operations](Client::counter) alone.
    /// Cannot be changed later.
    pub fn data_type(mut self, kind: impl Into<Option<crate::id::DataType>>) -> Self {
        self.spec.kind = kind.into().map(|kind| kind.name().to_owned());
        self
    }

    /// How long an item lives unless its write says otherwise.
    pub fn ttl(mut self, ttl: impl Into<Option<std::time::Duration>>) -> Self {
        self.spec.ttl_ms = ttl.into().map(super::put::millis);
        self
    }

    async fn send(self) -> Result<()> {
        let request = Request::CreateBucket(self.spec);
        let effect = Effect::Changes { required: 1 };
        match self.client.execute(&request, effect, self.options.deadline()).await? {
            Reply::Agreed => {
                // It may have fewer replicas than is usual.
                self.client.inner.pool.routing().distrust();
                Ok(())
            }
            other => Err(super::execute::unexpected(&other)),
        }
    }
}

/// Other settings of a bucket; made by [`Client::set_bucket`], sent when it is awaited. What is not named stays.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct SetBucket {
    client: Client,
    change: BucketChange,
    options: Options,
}

request!(timeout for SetBucket);
request!(await SetBucket -> ());

impl SetBucket {
    pub(super) fn new(client: &Client, name: String) -> SetBucket {
        let change = BucketChange { name, ..BucketChange::default() };
        SetBucket { client: client.clone(), change, options: Options::of(client) }
    }

    /// R: how many replicas a read waits for unless it says otherwise; `None`: a majority.
    pub fn r(mut self, count: impl Into<Option<u8>>) -> Self {
        self.change.r = count.into().into();
        self
    }

    /// W: on how many replicas a write is durable unless it says otherwise; `None`: a majority. What was written before is
    /// not made safer by a larger one, until the replicas have been compared.
    pub fn w(mut self, count: impl Into<Option<u8>>) -> Self {
        self.change.w = count.into().into();
        self
    }

    /// How long an item lives that is written from now on, unless its write says otherwise; `None`: for ever.
    pub fn ttl(mut self, ttl: impl Into<Option<std::time::Duration>>) -> Self {
        self.change.ttl_ms = ttl.into().map(super::put::millis).into();
        self
    }

    async fn send(self) -> Result<()> {
        let request = Request::SetBucket(self.change);
        let effect = Effect::Changes { required: 1 };
        match self.client.execute(&request, effect, self.options.deadline()).await? {
            Reply::Agreed => Ok(()),
            other => Err(super::execute::unexpected(&other)),
        }
    }
}

/// The end of a bucket; made by [`Client::drop_bucket`], sent when it is awaited.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct DropBucket {
    client: Client,
    name: String,
    options: Options,
}

request!(timeout for DropBucket);
request!(await DropBucket -> ());

impl DropBucket {
    pub(super) fn new(client: &Client, name: String) -> DropBucket {
        DropBucket { client: client.clone(), name, options: Options::of(client) }
    }

    async fn send(self) -> Result<()> {
        let deadline = self.options.deadline();
        let look = Request::Inspect(Inspect::Buckets);
        let id = match self.client.execute(&look, Effect::Reads { required: 1 }, deadline).await? {
            Reply::Json(list) => id_in(&list, &self.name)?,
            other => return Err(super::execute::unexpected(&other)),
        };
        let request = Request::DropBucket { name: self.name, id };
        match self.client.execute(&request, Effect::Changes { required: 1 }, deadline).await? {
            Reply::Agreed => Ok(()),
            other => Err(super::execute::unexpected(&other)),
        }
    }
}

/// Which bucket has this name now.
pub(crate) fn id_in(list: &str, name: &str) -> Result<u64> {
    let junk = || Error::Internal("a list of buckets that makes no sense".into());
    let list: serde_json::Value = serde_json::from_str(list).map_err(|_| junk())?;
    let mut buckets = list["buckets"].as_array().ok_or_else(junk)?.iter();
    let Some(bucket) = buckets.find(|bucket| bucket["name"] == name) else {
        return Err(Error::NotFound(format!("there is no bucket `{name}`")));
    };
    let id = bucket["id"].as_str().and_then(|id| u64::from_str_radix(id, 16).ok());
    id.ok_or_else(junk)
}

/// A change of owners; made by [`Client::change_ring`], sent when it is awaited. It has begun when the answer
/// comes; how far it is shows in [`Inspect::Ring`] and [`Inspect::Members`].
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct ChangeRing {
    client: Client,
    change: RingChange,
    options: Options,
}

request!(timeout for ChangeRing);
request!(await ChangeRing -> ());

impl ChangeRing {
    pub(super) fn new(client: &Client, change: RingChange) -> ChangeRing {
        ChangeRing { client: client.clone(), change, options: Options::of(client) }
    }

    async fn send(self) -> Result<()> {
        let request = Request::ChangeRing(self.change);
        let effect = Effect::Changes { required: 1 };
        match self.client.execute(&request, effect, self.options.deadline()).await? {
            Reply::Agreed => Ok(()),
            other => Err(super::execute::unexpected(&other)),
        }
    }
}

/// A look at the cluster; made by [`Client::inspect`], sent when it is awaited. The answer is JSON.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Inspection {
    client: Client,
    what: Inspect,
    options: Options,
}

request!(timeout for Inspection);
request!(await Inspection -> String);

impl Inspection {
    pub(super) fn new(client: &Client, what: Inspect) -> Inspection {
        Inspection { client: client.clone(), what, options: Options::of(client) }
    }

    async fn send(self) -> Result<String> {
        let request = Request::Inspect(self.what);
        let effect = Effect::Reads { required: 1 };
        match self.client.execute(&request, effect, self.options.deadline()).await? {
            Reply::Json(text) => Ok(text),
            other => Err(super::execute::unexpected(&other)),
        }
    }
}
