//! Read, change, write with the context; and where others wrote at the same time, merge.
//!
//! ```text
//!   get ─▶ change([tea, milk]) ─▶ "tea, milk, bread" ─▶ put(context) ─▶ get ── one value ─▶ done
//!                                                           ▲            │ somebody wrote at the same time
//!                                                           └── merge ◀──┘ (without a merge: done, with siblings)
//! ```

use super::options::{Options, request};
use super::{Client, Got};
use crate::error::{Error, Result};
use crate::message::client::Version;
use bytes::Bytes;
use tokio::time::Instant;

/// How often siblings are merged before giving up: more only happens under steady concurrent writes.
pub const UPDATE_ROUNDS: usize = 8;

type Change = Box<dyn FnMut(&[Version]) -> Result<Bytes> + Send + Sync>;

/// A change of one item, begun when it is awaited; made by [`Client::update`].
///
/// # Errors
/// What `change` returns: nothing was written in that round. [`Error::Siblings`]: the change is written, and after
/// [`UPDATE_ROUNDS`] rounds of merging there were still concurrent values beside it; nothing was lost. What else a read or a
/// write may end with; an unknown outcome may be stored, so do not call it again for a change that must happen once.
#[must_use = "a request does nothing until it is awaited"]
pub struct Update {
    client: Client,
    bucket: String,
    key: Bytes,
    sort: Bytes,
    change: Change,
    merge: Option<Change>,
    options: Options,
}

request!(timeout for Update);
request!(quorum for Update);
request!(await Update -> Got);

impl Client {
    /// Reads `key` and writes what `change` makes of its values (none, one, or siblings) in their place. `change` is
    /// called once. Who writes at the same time makes siblings, unless [`Update::merge`] says how to join them: this is
    /// no compare-and-swap.
    pub fn update<V: Into<Bytes>>(
        &self,
        bucket: impl Into<String>,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(&[Version]) -> Result<V> + Send + Sync + 'static,
    ) -> Update {
        Update {
            client: self.clone(),
            bucket: bucket.into(),
            key: Bytes::copy_from_slice(key.as_ref()),
            sort: Bytes::new(),
            change: Box::new(move |siblings| change(siblings).map(Into::into)),
            merge: None,
            options: Options::of(self),
        }
    }
}

impl Update {
    /// The item's sort key; none unless said.
    pub fn sort(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.sort = Bytes::copy_from_slice(sort.as_ref());
        self
    }

    /// How what was written at the same time becomes one value. It must not care for order or repetition:
    /// somebody else may merge the same values.
    pub fn merge<V: Into<Bytes>>(
        mut self,
        mut merge: impl FnMut(&[Version]) -> Result<V> + Send + Sync + 'static,
    ) -> Self {
        self.merge = Some(Box::new(move |siblings| merge(siblings).map(Into::into)));
        self
    }

    async fn read(&self, deadline: Instant) -> Result<Got> {
        let quorum = self.options.quorum;
        let get = self.client.get(&self.bucket, &self.key).sort(&self.sort);
        let get = get.consistency(quorum.consistency).strict(quorum.strict);
        get.timeout(deadline.saturating_duration_since(Instant::now())).await
    }

    async fn write(&self, value: Bytes, seen: &Got, deadline: Instant) -> Result<()> {
        let quorum = self.options.quorum;
        let put = self.client.put(&self.bucket, &self.key, value).sort(&self.sort);
        let put = put.consistency(quorum.consistency).strict(quorum.strict);
        let left = deadline.saturating_duration_since(Instant::now());
        put.context(&seen.context).timeout(left).await.map(drop)
    }

    async fn send(mut self) -> Result<Got> {
        let deadline = self.options.deadline();
        let seen = self.read(deadline).await?;
        let changed = (self.change)(&seen.siblings)?;
        self.write(changed, &seen, deadline).await?;
        let mut rounds = 0;
        loop {
            let seen = self.read(deadline).await?;
            let Some(merge) = &mut self.merge else { return Ok(seen) };
            if seen.siblings.len() < 2 {
                return Ok(seen);
            }
            if rounds == UPDATE_ROUNDS {
                return Err(Error::Siblings { count: seen.siblings.len() });
            }
            rounds += 1;
            let merged = merge(&seen.siblings)?;
            self.write(merged, &seen, deadline).await?;
        }
    }
}
