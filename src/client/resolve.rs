//! Siblings into one value: read, merge, write with the context, look again.
//!
//! ```text
//!   get ── one value or none ──▶ done
//!    ▲  └─ siblings ─▶ merge ─▶ put(context) ─┐
//!    └───────────── someone may have written ◀┘
//! ```

use super::options::{Options, request};
use super::{Client, Got};
use crate::error::{Error, Result};
use crate::message::client::Version;
use bytes::Bytes;

/// How often siblings are merged before giving up: more only happens under steady concurrent writes.
pub const RESOLVE_ROUNDS: usize = 8;

type Merge = Box<dyn FnMut(&[Version]) -> Bytes + Send>;

/// A merge of siblings, begun when it is awaited; made by [`Client::resolve`]. It ends with a read that
/// shows at most one value. The merged value is written only where there were siblings.
///
/// The read must see what the write left behind: keep to a quorum, which is the default.
///
/// # Errors
/// [`Error::Siblings`]: after [`RESOLVE_ROUNDS`] there still were some; nothing was lost, try again. What
/// else a read or a write may end with; an unknown outcome leaves either the siblings or the merged value.
#[must_use = "a request does nothing until it is awaited"]
pub struct Resolve {
    client: Client,
    bucket: String,
    key: Bytes,
    sort: Bytes,
    merge: Merge,
    options: Options,
}

request!(timeout for Resolve);
request!(quorum for Resolve);
request!(await Resolve -> Got);

impl Resolve {
    pub(super) fn new<V: Into<Bytes>>(
        client: &Client,
        bucket: String,
        key: &[u8],
        mut merge: impl FnMut(&[Version]) -> V + Send + 'static,
    ) -> Resolve {
        Resolve {
            client: client.clone(),
            bucket,
            key: Bytes::copy_from_slice(key),
            sort: Bytes::new(),
            merge: Box::new(move |siblings| merge(siblings).into()),
            options: Options::of(client),
        }
    }

    /// The item's sort key; none unless said.
    pub fn sort(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.sort = Bytes::copy_from_slice(sort.as_ref());
        self
    }

    async fn send(mut self) -> Result<Got> {
        let deadline = self.options.deadline();
        let mut rounds = 0;
        loop {
            let got = self
                .client
                .get(&self.bucket, &self.key)
                .sort(&self.sort)
                .consistency(self.options.quorum.consistency)
                .strict(self.options.quorum.strict)
                .timeout(deadline.saturating_duration_since(tokio::time::Instant::now()))
                .await?;
            if got.siblings.len() < 2 {
                return Ok(got);
            }
            if rounds == RESOLVE_ROUNDS {
                return Err(Error::Siblings { count: got.siblings.len() });
            }
            rounds += 1;
            let merged = (self.merge)(&got.siblings);
            self.client
                .put(&self.bucket, &self.key, merged)
                .sort(&self.sort)
                .consistency(self.options.quorum.consistency)
                .strict(self.options.quorum.strict)
                .context(&got.context)
                .timeout(deadline.saturating_duration_since(tokio::time::Instant::now()))
                .await?;
        }
    }
}
