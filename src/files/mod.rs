//! Files on top of the key-value store: any size, in pieces that lie on all nodes.
//!
//! ```text
//!   put   attempt "from here on there may be pieces" ─► pieces, several at once ─► head: from now on this is the file
//!   get   head ─► pieces, several at once, in order ─► each checked, and the whole
//!
//!   bucket files           key 0 … 15 by the name's hash   sort: name      a head: whose pieces, size, hash
//!   bucket files.attempts  key name                        sort: attempt   how many pieces there may be, since when
//!   bucket files.pieces    key attempt · number                            512 KiB, and a hash that knows its place
//! ```
//!
//! It uses [`Objects`] and nothing else of the store.
//!
//! - A file is there, whole, or it is not: the head is written when all pieces are acknowledged, in place of the head that
//!   was read. Of two that are put at once the later by their writers' clocks is shown, everywhere the same; whoever puts or
//!   deletes next clears the other away.
//! - Pieces without a head (a writer died, or lost against another) go when the same name is put or deleted a day later.
//!   A writer that has stood still for half a day begins again.
//! - A get of what is replaced meanwhile fails, and may be begun again; it never shows a mixture.

mod attempt;
mod get;
mod head;
mod piece;
mod put;
#[cfg(test)]
mod tests;

pub use get::Download;
pub use head::About;
pub use put::Upload;

use crate::error::{Error, Result};
use crate::id::Item;
use crate::quorum::QuorumRequest;
use crate::types::{Change, Object, Objects};
use bytes::Bytes;
use head::{Head, SHARDS};

/// How many bytes a piece has; the last may have fewer.
pub const PIECE_BYTES: usize = 512 << 10;
/// How long a name may be, in bytes.
pub const NAME_LIMIT: usize = 1_024;
/// How many pieces are on their way at once.
const AT_ONCE: usize = 8;

/// A handle to the files of a cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Files<O> {
    objects: O,
    clock: fn() -> u64,
}

impl<O: Objects> Files<O> {
    /// The files that are kept in this store. `clock`: the time in ms since 1970.
    pub fn new(objects: O, clock: fn() -> u64) -> Files<O> {
        Files { objects, clock }
    }

    /// What is known of a file; `None`: there is none of this name.
    ///
    /// # Errors
    /// What a read may end with; [`Error::Invalid`]: no name.
    pub async fn about(&self, name: &str) -> Result<Option<About>> {
        check(name)?;
        let (heads, _) = self.heads(name).await?;
        Ok(Head::shown(&heads).map(|head| head.about.clone()))
    }

    /// Begins to put a file, in the place of what is there when it [ends](Upload::finish).
    ///
    /// # Errors
    /// [`Error::Invalid`]: no name.
    pub fn upload(&self, name: &str) -> Result<Upload<O>> {
        check(name)?;
        Ok(Upload::new(self.clone(), name.to_owned()))
    }

    /// Begins to read a file.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is none of this name. What a read may end with.
    pub async fn download(&self, name: &str) -> Result<Download<O>> {
        check(name)?;
        let (heads, _) = self.heads(name).await?;
        match Head::shown(&heads) {
            Some(head) => Ok(Download::new(self.clone(), name.to_owned(), head.clone())),
            None => Err(Error::NotFound(format!("there is no file `{name}`"))),
        }
    }

    /// All files whose names begin so, by name.
    ///
    /// # Errors
    /// What a read may end with.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, About)>> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let key = Bytes::copy_from_slice(&[shard]);
            let mut from = Bytes::copy_from_slice(prefix.as_bytes());
            loop {
                let quorum = QuorumRequest::default();
                let (key, end) = (key.clone(), Bytes::new());
                let page = self.objects.range(head::BUCKET, key, from.clone(), end, quorum).await?;
                let mut is_past = false;
                for (name, object) in page.items {
                    is_past = !name.starts_with(prefix.as_bytes());
                    if is_past {
                        break;
                    }
                    let heads = Head::all(&object)?;
                    let name = String::from_utf8(name.to_vec());
                    if let (Ok(name), Some(head)) = (name, Head::shown(&heads)) {
                        all.push((name, head.about.clone()));
                    }
                }
                match page.next {
                    Some(next) if next > from && !is_past => from = next,
                    _ => break,
                }
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// Deletes a file, and then its pieces. Answers whether there was one.
    ///
    /// # Errors
    /// What a read and a write may end with. After [`Error::OutcomeUnknown`] do it again.
    pub async fn delete(&self, name: &str) -> Result<bool> {
        check(name)?;
        let (heads, context) = self.heads(name).await?;
        if !heads.is_empty() {
            self.write(head::item(name), None, context).await?;
        }
        self.clear(name, &heads).await;
        Ok(!heads.is_empty())
    }

    async fn heads(&self, name: &str) -> Result<(Vec<Head>, String)> {
        let object = self.read(head::item(name)).await?;
        Ok((Head::all(&object)?, object.context))
    }

    async fn read(&self, item: Item) -> Result<Object> {
        self.objects.read(item, QuorumRequest::default()).await
    }

    async fn write(&self, item: Item, value: Option<Bytes>, context: String) -> Result<String> {
        let operation = self.objects.operation();
        let change = Change { item, value, context, expires_at: None, operation };
        self.objects.write(change, QuorumRequest::default()).await
    }
}

fn check(name: &str) -> Result<()> {
    if (1..=NAME_LIMIT).contains(&name.len()) {
        return Ok(());
    }
    Err(Error::Invalid(format!("a file's name has 1 to {NAME_LIMIT} bytes, not {}", name.len())))
}
