//! Waiting for an item to change.
//!
//! ```text
//!   next ──▶ read at R ──▶ as it was? ── yes ──▶ a pause of a fifth of a second, about ──┐
//!               ▲             └─ no ──▶ what is there now                                │
//!               └────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A change is seen by reading, so it is told as soon as R replicas show it: at the latest a pause after it was acknowledged,
//! where R + W > N. What came and went between two reads is not told; the last state is.

use super::options::{Options, request};
use super::{Client, Got};
use crate::error::{Error, Result};
use futures_util::stream::{Stream, unfold};
use std::time::Duration;

/// How long between two reads: from the first to the second in ms, so that many watchers spread.
const PAUSE_MS: (u64, u64) = (150, 250);

/// An item that is watched; made by [`Client::watch`]. [`next`](ItemWatch::next) waits for one change, [`stream`](ItemWatch::stream)
/// is for what works on streams.
#[derive(Clone)]
#[must_use = "nothing is watched until somebody waits"]
pub struct ItemWatch {
    client: Client,
    bucket: String,
    key: Vec<u8>,
    sort: Vec<u8>,
    /// What was told last.
    seen: Option<String>,
    options: Options,
}

request!(quorum for ItemWatch);
request!(timeout for ItemWatch);

impl ItemWatch {
    pub(super) fn new(client: &Client, bucket: String, key: &[u8]) -> ItemWatch {
        let (client, options) = (client.clone(), Options::of(client));
        ItemWatch { client, bucket, key: key.to_vec(), sort: Vec::new(), seen: None, options }
    }

    /// The item under this sort key.
    pub fn sort(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.sort = sort.as_ref().to_vec();
        self
    }

    /// How many replicas must answer each read; beats the consistency level.
    pub fn r(mut self, count: u8) -> Self {
        self.options.quorum.count = Some(count);
        self
    }

    /// What was seen already: only what is not as `got` was is told.
    pub fn since(mut self, got: &Got) -> Self {
        self.seen = Some(got.context.as_str().to_owned());
        self
    }

    /// Waits until the item is not as it was told last, and tells it: values, siblings, or nothing where it was deleted. The
    /// first time it tells what is there at once, unless [`since`](ItemWatch::since) says that it was seen. What expires is not
    /// told. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// What a [`Get`](super::Get) may end with that trying again does not help. Whatever passes is waited for.
    pub async fn next(&mut self) -> Result<Got> {
        loop {
            let mut get = self.client.get(&self.bucket, &self.key).sort(&self.sort);
            get.parts().1.clone_from(&self.options);
            match get.await {
                Ok(got) => {
                    let seen = got.context.as_str();
                    if self.seen.as_deref() != Some(seen) {
                        self.seen = Some(seen.to_owned());
                        return Ok(got);
                    }
                }
                // No bucket, nothing in it yet.
                Err(Error::NotFound(_)) => {}
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error),
            }
            let pause = fastrand::u64(PAUSE_MS.0..PAUSE_MS.1);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// The changes as a stream, which ends behind the first error.
    pub fn stream(self) -> impl Stream<Item = Result<Got>> + Send + 'static {
        unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok(got) => Some((Ok(got), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}
