//! Reading a file, piece by piece, in order.

use super::head::{About, Head};
use super::{AT_ONCE, Files, piece};
use crate::error::{Error, Result};
use crate::types::Objects;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};

/// A file that is being read; made by [`Files::download`].
pub struct Download<O> {
    files: Files<O>,
    name: String,
    head: Head,
    /// The next piece to be asked for.
    asked: u64,
    hash: blake3::Hasher,
    under_way: FuturesOrdered<BoxFuture<'static, Result<Bytes>>>,
}

impl<O> std::fmt::Debug for Download<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("name", &self.name).field("head", &self.head).finish()
    }
}

impl<O: Objects> Download<O> {
    pub(super) fn new(files: Files<O>, name: String, head: Head) -> Download<O> {
        let under_way = FuturesOrdered::new();
        Download { files, name, head, asked: 0, hash: blake3::Hasher::new(), under_way }
    }

    /// What is known of it.
    pub fn about(&self) -> &About {
        &self.head.about
    }

    /// More of it, checked; `None`: that was all, and the whole is as it was put.
    ///
    /// # Errors
    /// [`Error::NotFound`]: a piece is not there: the file was replaced or deleted meanwhile (begin again), or it is lost.
    /// [`Error::Internal`]: a piece, or the whole, is not what was put. What a read may end with. What came before is
    /// to be thrown away.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.asked < self.head.pieces() && self.under_way.len() < AT_ONCE {
            let number = self.asked;
            self.asked += 1;
            let (files, name, head) = (self.files.clone(), self.name.clone(), self.head.clone());
            self.under_way
                .push_back(Box::pin(async move { files.piece(&name, &head, number).await }));
        }
        match self.under_way.next().await {
            Some(piece) => {
                let piece = piece?;
                self.hash.update(&piece);
                Ok(Some(piece))
            }
            None if *self.hash.finalize().as_bytes() == self.head.about.hash => Ok(None),
            None => Err(Error::Internal(format!("file `{}` is not what was put", self.name))),
        }
    }
}

impl<O: Objects> Files<O> {
    async fn piece(&self, name: &str, head: &Head, number: u64) -> Result<Bytes> {
        let stored = self.read(piece::item(head.attempt, number)).await?;
        let total = head.pieces();
        if stored.values.is_empty() {
            return Err(Error::NotFound(format!(
                "piece {number} of {total} of file `{name}` is not there: was it replaced or deleted meanwhile?"
            )));
        }
        // Each was written once; whatever else lies there, the right one is right.
        let opened =
            stored.values.iter().find_map(|value| piece::open(head.attempt, number, value));
        let whole = |data: &Bytes| data.len() as u64 == head.bytes_of(number);
        opened.filter(whole).ok_or_else(|| {
            Error::Internal(format!("piece {number} of {total} of file `{name}` is damaged"))
        })
    }
}
