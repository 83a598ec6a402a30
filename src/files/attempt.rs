//! That somebody puts a file, and how many pieces of it there may be: so that what a writer leaves behind is found.

use super::head::Head;
use super::{AT_ONCE, Files, piece};
use crate::error::Result;
use crate::id::Item;
use crate::quorum::QuorumRequest;
use crate::types::Objects;
use crate::version::OperationId;
use bytes::{Buf, BufMut, Bytes};
use futures_util::stream::{StreamExt, iter};

const BUCKET: &str = "files.attempts";
const VERSION: u8 = 1;
const BYTES: usize = 1 + 8 + 8;
/// After so long without a sign of its writer what has no head is cleared away, in ms.
pub(super) const ABANDONED_MS: u64 = 24 * 60 * 60 * 1_000;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Pieces below this number may be there.
    pub pieces: u64,
    /// When its writer last said so, in ms since 1970.
    pub touched_at: u64,
}

impl Attempt {
    pub fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(BYTES);
        out.put_u8(VERSION);
        out.put_u64(self.pieces);
        out.put_u64(self.touched_at);
        out.into()
    }

    fn decode(mut from: &[u8]) -> Option<Attempt> {
        if from.len() != BYTES || from.get_u8() != VERSION {
            return None;
        }
        Some(Attempt { pieces: from.get_u64(), touched_at: from.get_u64() })
    }
}

pub(super) fn item(name: &str, attempt: OperationId) -> Item {
    let mut sort = Vec::with_capacity(16);
    sort.put_u64(attempt.session);
    sort.put_u64(attempt.sequence);
    let key = Bytes::copy_from_slice(name.as_bytes());
    Item { bucket: BUCKET.into(), key, sort: sort.into() }
}

fn attempt_of(mut sort: &[u8]) -> Option<OperationId> {
    (sort.len() == 16).then(|| OperationId { session: sort.get_u64(), sequence: sort.get_u64() })
}

impl<O: Objects> Files<O> {
    /// Clears away what these heads had, which are no more, and what others have left behind. What does not succeed does
    /// another time.
    pub(super) async fn clear(&self, name: &str, replaced: &[Head]) {
        for head in replaced {
            let _ = self.remove(name, head.attempt, head.pieces()).await;
        }
        let _ = self.clear_abandoned(name).await;
    }

    async fn clear_abandoned(&self, name: &str) -> Result<()> {
        let (key, none) = (Bytes::copy_from_slice(name.as_bytes()), Bytes::new());
        let quorum = QuorumRequest::default();
        let page = self.objects.range(BUCKET, key, none.clone(), none, quorum).await?;
        // Read after the attempts: who has a head by now is no remnant.
        let (heads, _) = self.heads(name).await?;
        let now = (self.clock)();
        for (sort, object) in page.items {
            let Some(attempt) = attempt_of(&sort) else { continue };
            let known: Vec<Attempt> =
                object.values.iter().filter_map(|value| Attempt::decode(value)).collect();
            let is_shown = heads.iter().any(|head| head.attempt == attempt);
            let touched_at = known.iter().map(|known| known.touched_at).max().unwrap_or(now);
            if !is_shown && now.saturating_sub(touched_at) > ABANDONED_MS {
                let pieces = known.iter().map(|known| known.pieces).max().unwrap_or(0);
                self.remove(name, attempt, pieces).await?;
            }
        }
        Ok(())
    }

    /// The pieces first: as long as there is one, the attempt tells of it.
    async fn remove(&self, name: &str, attempt: OperationId, pieces: u64) -> Result<()> {
        let each = iter((0..pieces).map(|number| self.erase(piece::item(attempt, number))));
        let mut each = each.buffer_unordered(AT_ONCE);
        while let Some(erased) = each.next().await {
            erased?;
        }
        self.erase(item(name, attempt)).await
    }

    async fn erase(&self, item: Item) -> Result<()> {
        let object = self.read(item.clone()).await?;
        if object.values.is_empty() {
            return Ok(());
        }
        self.write(item, None, object.context).await.map(drop)
    }
}
