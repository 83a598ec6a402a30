//! Putting a file, piece by piece.

use super::attempt::{ABANDONED_MS, Attempt};
use super::head::{About, Head};
use super::{AT_ONCE, Files, PIECE_BYTES, attempt, head, piece};
use crate::error::{Error, Result};
use crate::types::Objects;
use crate::version::OperationId;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

/// How many more pieces are announced at once.
const AHEAD: u64 = 64;
/// A writer that has been silent for so long may have been cleared away soon, in ms.
const SILENT_MS: u64 = ABANDONED_MS / 2;

/// A file that is being put; made by [`Files::upload`]. Dropped before its [end](Upload::finish) it changes nothing that
/// anybody sees.
pub struct Upload<O> {
    files: Files<O>,
    name: String,
    attempt: OperationId,
    announced: Attempt,
    /// Of what was announced.
    context: String,
    rest: Vec<u8>,
    hash: blake3::Hasher,
    size: u64,
    under_way: FuturesUnordered<BoxFuture<'static, Result<()>>>,
}

impl<O> std::fmt::Debug for Upload<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("name", &self.name).field("size", &self.size).finish()
    }
}

impl<O: Objects> Upload<O> {
    pub(super) fn new(files: Files<O>, name: String) -> Upload<O> {
        let attempt = files.objects.operation();
        Upload {
            announced: Attempt { pieces: 0, touched_at: (files.clock)() },
            files,
            name,
            attempt,
            context: String::new(),
            rest: Vec::new(),
            hash: blake3::Hasher::new(),
            size: 0,
            under_way: FuturesUnordered::new(),
        }
    }

    /// More of it, of any length. Waits while too much is on its way.
    ///
    /// # Errors
    /// What a write may end with: the file that was there stays; begin again.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.rest.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() == PIECE_BYTES {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        let number = self.size / PIECE_BYTES as u64;
        if number >= self.announced.pieces {
            self.announce(number + AHEAD).await?;
        }
        while self.under_way.len() >= AT_ONCE {
            self.under_way.next().await.unwrap_or(Ok(()))?;
        }
        let sealed = piece::seal(self.attempt, number, &self.rest);
        self.size += self.rest.len() as u64;
        self.rest.clear();
        let (files, item) = (self.files.clone(), piece::item(self.attempt, number));
        let storing = async move { files.write(item, Some(sealed), String::new()).await.map(drop) };
        self.under_way.push(Box::pin(storing));
        Ok(())
    }

    /// Says that pieces below this number may be there, before they are.
    async fn announce(&mut self, pieces: u64) -> Result<()> {
        let now = (self.files.clock)();
        if now.saturating_sub(self.announced.touched_at) > SILENT_MS {
            let why = "this upload has stood still for too long: begin it again";
            return Err(Error::Invalid(why.into()));
        }
        let announced = Attempt { pieces, touched_at: now };
        let item = attempt::item(&self.name, self.attempt);
        let context = std::mem::take(&mut self.context);
        self.context = self.files.write(item, Some(announced.encode()), context).await?;
        self.announced = announced;
        Ok(())
    }

    /// From now on this is the file, in the place of what was there.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`]: it may be, now or later. Any other: the file that was there stays.
    pub async fn finish(mut self) -> Result<About> {
        if !self.rest.is_empty() {
            self.send().await?;
        }
        while let Some(stored) = self.under_way.next().await {
            stored?;
        }
        // Whoever clears away sees that somebody is there.
        self.announce(self.size.div_ceil(PIECE_BYTES as u64)).await?;
        let (replaced, context) = self.files.heads(&self.name).await?;
        let written_at = (self.files.clock)();
        // Later than what it replaces, whatever the clocks say: of what is put at once, that one is not shown again.
        let after = replaced.iter().map(|head| head.about.written_at.saturating_add(1)).max();
        let about = About {
            written_at: after.map_or(written_at, |after| after.max(written_at)),
            size: self.size,
            hash: *self.hash.finalize().as_bytes(),
        };
        let value: Bytes = Head::new(about.clone(), self.attempt).encode();
        self.files.write(head::item(&self.name), Some(value), context).await?;
        if (self.files.clock)().saturating_sub(self.announced.touched_at) > SILENT_MS {
            // This process stood still right here: its pieces may have been cleared away.
            let why = "this upload stood still before its end: put the file again";
            return Err(Error::Internal(why.into()));
        }
        self.files.clear(&self.name, &replaced).await;
        Ok(about)
    }
}
