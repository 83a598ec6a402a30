//! Reading a range of sort keys, page by page, from either end.
//!
//! A page bounds what the nodes *examine*, so it may be short or empty though more follows: only
//! `next = None` is the end. Each item is as fresh as a read of it; the range as a whole is no snapshot.

use super::attempts::Effect;
use super::options::{Options, request};
use super::{Client, ScanItem};
use crate::error::{Error, Result};
use crate::message::client::{Reply, Request, SCAN_PAGE_LIMIT};
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use std::collections::VecDeque;

/// A scan; made by [`Client::scan`]. Await it, or [`collect`](Scan::collect), for everything at once;
/// [`next`](Scan::next) for an item at a time, [`next_page`](Scan::next_page) for as many as have come, and
/// [`stream`](Scan::stream) for what works on streams. These hold one page in memory.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Scan {
    client: Client,
    bucket: String,
    key: Bytes,
    from: Bytes,
    to: Bytes,
    reverse: bool,
    left: Option<usize>,
    page: u32,
    ended: bool,
    /// What has come and was not handed out.
    ready: VecDeque<ScanItem>,
    options: Options,
}

request!(timeout for Scan);
request!(quorum for Scan);
request!(await Scan -> Vec<ScanItem>);

impl Scan {
    pub(super) fn new(client: &Client, bucket: String, key: &[u8]) -> Scan {
        Scan {
            client: client.clone(),
            bucket,
            key: Bytes::copy_from_slice(key),
            from: Bytes::new(),
            to: Bytes::new(),
            reverse: false,
            left: None,
            page: SCAN_PAGE_LIMIT,
            ended: false,
            ready: VecDeque::new(),
            options: Options::of(client),
        }
    }

    /// The first sort key. Together with [`prefix`](Scan::prefix), the narrower bound holds.
    pub fn from(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.raise_from(sort.as_ref());
        self
    }

    /// The first sort key that is not wanted any more; empty for none.
    pub fn to(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.lower_to(sort.as_ref());
        self
    }

    /// Only sort keys that begin so.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.raise_from(prefix.as_ref());
        self.lower_to(&after_prefix(prefix.as_ref()));
        self
    }

    /// From the last item of the range to the first. The range itself stays as it is: `from` is the smallest sort
    /// key, and what stands under `to` is not wanted. A node from before reverse scans does not answer one.
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most so many items in all.
    pub fn limit(mut self, items: usize) -> Self {
        self.left = Some(items);
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

    fn raise_from(&mut self, sort: &[u8]) {
        if sort > &self.from[..] {
            self.from = Bytes::copy_from_slice(sort);
        }
    }

    fn lower_to(&mut self, sort: &[u8]) {
        if !sort.is_empty() && (self.to.is_empty() || sort < &self.to[..]) {
            self.to = Bytes::copy_from_slice(sort);
        }
    }

    /// The next item; `None` when the range is at its end. The timeout counts for each page.
    ///
    /// # Errors
    /// As [`next_page`](Scan::next_page).
    pub async fn next(&mut self) -> Result<Option<ScanItem>> {
        if self.ready.is_empty() {
            self.ready = self.next_page().await?.unwrap_or_default().into();
        }
        Ok(self.ready.pop_front())
    }

    /// The next items, at least one; `None` when the range is at its end. The timeout counts for each page.
    ///
    /// # Errors
    /// What a read may end with. The scan stands where it stood: call again to go on.
    pub async fn next_page(&mut self) -> Result<Option<Vec<ScanItem>>> {
        if !self.ready.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ready).into()));
        }
        while !self.is_over() {
            let items = self.examine().await?;
            if !items.is_empty() {
                return Ok(Some(items));
            }
        }
        Ok(None)
    }

    /// The items as a stream, which ends behind the first error.
    pub fn stream(self) -> impl Stream<Item = Result<ScanItem>> + Send + 'static {
        unfold(Some(self), |scan| async move {
            let mut scan = scan?;
            match scan.next().await.transpose()? {
                Ok(item) => Some((Ok(item), Some(scan))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// Everything that is left, in memory at once.
    ///
    /// # Errors
    /// As [`next_page`](Scan::next_page); what had come is dropped.
    pub async fn collect(mut self) -> Result<Vec<ScanItem>> {
        let mut all = Vec::new();
        while let Some(mut items) = self.next_page().await? {
            all.append(&mut items);
        }
        Ok(all)
    }

    fn is_over(&self) -> bool {
        let empty_range = !self.to.is_empty() && self.from >= self.to;
        self.ended || empty_range || self.left == Some(0)
    }

    async fn examine(&mut self) -> Result<Vec<ScanItem>> {
        let page = usize::try_from(self.page).unwrap_or(usize::MAX);
        let limit = self.left.map_or(page, |left| left.min(page));
        let request = Request::Scan {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            limit: u32::try_from(limit).unwrap_or(SCAN_PAGE_LIMIT),
            quorum: self.options.quorum,
            reverse: self.reverse,
        };
        let effect = Effect::Reads { required: self.options.required() };
        match self.client.execute(&request, effect, self.options.deadline()).await? {
            Reply::Page { mut items, next } => {
                self.go_to(next)?;
                if let Some(left) = &mut self.left {
                    items.truncate(*left);
                    *left -= items.len();
                }
                Ok(items.into_iter().map(ScanItem::from).collect())
            }
            other => Err(super::execute::unexpected(&other)),
        }
    }

    /// Where the next page begins, as a node says. One that does not advance would keep us here for ever.
    fn go_to(&mut self, next: Option<Bytes>) -> Result<()> {
        match (next, self.reverse) {
            (None, _) => self.ended = true,
            // There is nothing before the empty sort key, and as an end it would mean that there is none.
            (Some(next), true) if next.is_empty() => self.ended = true,
            (Some(next), true) if self.to.is_empty() || next < self.to => self.to = next,
            (Some(next), false) if next > self.from => self.from = next,
            (Some(_), _) => {
                return Err(Error::Internal("a scan's next page does not lie ahead".into()));
            }
        }
        Ok(())
    }

    async fn send(self) -> Result<Vec<ScanItem>> {
        self.collect().await
    }
}

/// The first key after all that begin with `prefix`; empty if there is none.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(after_prefix(b"ab"), b"ac");
        assert_eq!(after_prefix(b"a\xff"), b"b");
        assert_eq!(after_prefix(b"\xff\xff"), b"");
        assert_eq!(after_prefix(b""), b"");
    }
}
