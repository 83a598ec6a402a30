//! Listing the partition keys of a bucket, page by page.
//!
//! A page bounds what the nodes *examine*, so it may be short or empty though more follows. Keys come by partition, and
//! in their own order within one: the whole list is in no order that means anything, and is the same each time as
//! long as nobody writes.

use super::Client;
use super::attempts::Effect;
use super::options::{Options, request};
use crate::error::{Error, Result};
use crate::message::client::{Reply, Request, SCAN_PAGE_LIMIT};
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use std::collections::VecDeque;

/// A list of partition keys; made by [`Client::keys`]. Await it, or [`collect`](Keys::collect), for all at once;
/// [`next`](Keys::next) for one at a time, [`next_page`](Keys::next_page) for as many as have come, and
/// [`stream`](Keys::stream) for what works on streams. These hold one page in memory.
///
/// Listed is each key under which at least one item has a value, by R of its replicas, as they were when its partition
/// was reached. A key that is written or deleted meanwhile may be there or not.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Keys {
    client: Client,
    bucket: String,
    prefix: Bytes,
    /// Where the next page begins; opaque.
    after: Bytes,
    left: Option<usize>,
    page: u32,
    ended: bool,
    /// What has come and was not handed out.
    ready: VecDeque<Bytes>,
    options: Options,
}

request!(timeout for Keys);
request!(quorum for Keys);
request!(await Keys -> Vec<Bytes>);

impl Keys {
    pub(super) fn new(client: &Client, bucket: String) -> Keys {
        Keys {
            client: client.clone(),
            bucket,
            prefix: Bytes::new(),
            after: Bytes::new(),
            left: None,
            page: SCAN_PAGE_LIMIT,
            ended: false,
            ready: VecDeque::new(),
            options: Options::of(client),
        }
    }

    /// Only keys that begin so. All partitions are gone through nevertheless, for keys are spread by their hash.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.prefix = Bytes::copy_from_slice(prefix.as_ref());
        self
    }

    /// At most so many keys in all.
    pub fn limit(mut self, keys: usize) -> Self {
        self.left = Some(keys);
        self
    }

    /// At most so many items are examined for one page; 1 to 1,000, which is what it is unless said.
    pub fn page(mut self, items: u32) -> Self {
        self.page = items.clamp(1, SCAN_PAGE_LIMIT);
        self
    }

    /// How many replicas must answer; beats the consistency level.
    pub fn r(mut self, count: u8) -> Self {
        self.options.quorum.count = Some(count);
        self
    }

    /// The next key; `None` when there are no more. The timeout counts for each page.
    ///
    /// # Errors
    /// As [`next_page`](Keys::next_page).
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ready.is_empty() {
            self.ready = self.next_page().await?.unwrap_or_default().into();
        }
        Ok(self.ready.pop_front())
    }

    /// The next keys, at least one; `None` when there are no more. The timeout counts for each page.
    ///
    /// # Errors
    /// What a read may end with. The list stands where it stood: call again to go on, through whichever node.
    /// [`Error::Invalid`] where it cannot go on: the bucket was dropped, or the number of partitions is another one.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Bytes>>> {
        if !self.ready.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ready).into()));
        }
        while !self.ended && self.left != Some(0) {
            let keys = self.examine().await?;
            if !keys.is_empty() {
                return Ok(Some(keys));
            }
        }
        Ok(None)
    }

    /// The keys as a stream, which ends behind the first error.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        unfold(Some(self), |keys| async move {
            let mut keys = keys?;
            match keys.next().await.transpose()? {
                Ok(key) => Some((Ok(key), Some(keys))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// All that are left, in memory at once.
    ///
    /// # Errors
    /// As [`next_page`](Keys::next_page); what had come is dropped.
    pub async fn collect(mut self) -> Result<Vec<Bytes>> {
        let mut all = Vec::new();
        while let Some(mut keys) = self.next_page().await? {
            all.append(&mut keys);
        }
        Ok(all)
    }

    async fn examine(&mut self) -> Result<Vec<Bytes>> {
        let page = usize::try_from(self.page).unwrap_or(usize::MAX);
        let limit = self.left.map_or(page, |left| left.min(page));
        let request = Request::Keys {
            bucket: self.bucket.clone(),
            after: self.after.clone(),
            prefix: self.prefix.clone(),
            limit: u32::try_from(limit).unwrap_or(SCAN_PAGE_LIMIT),
            quorum: self.options.quorum,
        };
        let effect = Effect::Reads { required: self.options.required() };
        match self.client.execute(&request, effect, self.options.deadline()).await? {
            Reply::Keys { mut keys, next } => {
                match next {
                    // A node that does not advance would keep us here for ever.
                    Some(next) if next.is_empty() || next == self.after => {
                        return Err(Error::Internal(
                            "the next page of keys is the same one".into(),
                        ));
                    }
                    Some(next) => self.after = next,
                    None => self.ended = true,
                }
                if let Some(left) = &mut self.left {
                    keys.truncate(*left);
                    *left -= keys.len();
                }
                Ok(keys)
            }
            other => Err(super::execute::unexpected(&other)),
        }
    }

    async fn send(self) -> Result<Vec<Bytes>> {
        self.collect().await
    }
}
