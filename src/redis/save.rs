//! Writes what commands have changed: the root and the elements, then what is left of elements that are no more.

use super::load::{AT_ONCE, Loader};
use super::retry;
use super::value::{Kind, Root, Text};
use super::view::View;
use crate::Error;
use crate::error::Result;
use crate::quorum::QuorumRequest;
use crate::types::{Change, Objects};
use bytes::Bytes;
use tokio::task::JoinSet;

/// How much longer than its date a string that expires is kept: somebody may just be prolonging it elsewhere.
const GRACE_MS: u64 = 600_000;
/// For how long it is remembered that there were elements, when they have been erased: late ones must not be shown.
const MEMORY_MS: u64 = 86_400_000;

impl<O: Objects> Loader<O> {
    /// Writes all that has changed.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`]: some of it may be written. Any other: nothing is.
    pub(super) async fn save(
        &self,
        view: &mut View,
        context: String,
        w: QuorumRequest,
    ) -> Result<()> {
        let mut changes = Vec::new();
        if view.changed || view.swept {
            let root = (!view.root.is_empty()).then(|| view.root.encode());
            // Deleted, and nobody has ever seen it: there is nothing to delete.
            if root.is_some() || !context.is_empty() {
                changes.push(self.change(Bytes::new(), root, context, lasts(&view.root)));
            }
        }
        if let Some(of) = view.element() {
            for (member, slot) in view.elements.iter().filter(|(_, slot)| slot.changed) {
                if slot.value.is_none() && slot.context.is_empty() {
                    continue;
                }
                let value = slot.value.as_ref().map(|text| element(of.kind, text));
                changes.push(self.change(of.sort(member), value, slot.context.clone(), None));
            }
        }
        let written = self.write(changes, w).await?;
        let context = written.into_iter().find(|(sort, _)| sort.is_empty()).map(|(_, seen)| seen);
        let leftovers = std::mem::take(&mut view.leftovers);
        let only_gone = view.root.gone.filter(|_| {
            let Root { text, set, hash, .. } = &view.root;
            text.is_none() && set.is_none() && hash.is_none()
        });
        let erased = leftovers.into_iter().map(|(sort, seen)| self.change(sort, None, seen, None));
        // What was asked for is written: what fails from here on is left for whoever comes next.
        let erased = self.write(erased.collect(), w).await;
        if let (Ok(_), Some(mut gone), Some(context)) = (erased, only_gone, context) {
            gone.swept = true;
            let root = Root { gone: Some(gone), ..Root::default() };
            let until = Some(view.now + MEMORY_MS);
            let change = self.change(Bytes::new(), Some(root.encode()), context, until);
            let _ = self.write(vec![change], w).await;
        }
        Ok(())
    }

    fn change(
        &self,
        sort: Bytes,
        value: Option<Bytes>,
        context: String,
        expires_at: Option<u64>,
    ) -> Change {
        let operation = self.objects.operation();
        Change { item: self.item(sort), value, context, expires_at, operation }
    }

    async fn write(&self, changes: Vec<Change>, w: QuorumRequest) -> Result<Vec<(Bytes, String)>> {
        // The usual case: no task for one write.
        if changes.len() <= 1 {
            let Some(change) = changes.into_iter().next() else { return Ok(Vec::new()) };
            let sort = change.item.sort.clone();
            return Ok(vec![(sort, retry::write(&self.objects, change, w).await?)]);
        }
        let (mut writing, mut left) = (JoinSet::new(), changes.into_iter());
        let (mut written, mut failed) = (Vec::new(), None);
        loop {
            while writing.len() < AT_ONCE
                && failed.is_none()
                && let Some(change) = left.next()
            {
                let objects = self.objects.clone();
                writing.spawn(async move {
                    let sort = change.item.sort.clone();
                    retry::write(&objects, change, w).await.map(|context| (sort, context))
                });
            }
            match writing.join_next().await {
                None => break,
                Some(Ok(Ok(one))) => written.push(one),
                Some(Ok(Err(error @ Error::OutcomeUnknown { .. }))) => failed = Some(error),
                Some(Ok(Err(error))) => drop(failed.get_or_insert(error)),
                Some(Err(error)) => failed = Some(Error::Internal(error.to_string())),
            }
        }
        match failed {
            None => Ok(written),
            Some(error) if written.is_empty() => Err(error),
            // Some of it is there.
            Some(Error::OutcomeUnknown { required, received }) => {
                Err(Error::OutcomeUnknown { required, received })
            }
            Some(error) => {
                let (required, received) = error.counts().unwrap_or((1, 0));
                Err(Error::OutcomeUnknown { required, received })
            }
        }
    }
}

/// The value of an element.
fn element(kind: Kind, text: &Text) -> Bytes {
    match kind {
        Kind::Set => Bytes::from_static(&[1]),
        Kind::Hash => Root { text: Some(text.clone()), ..Root::default() }.encode(),
    }
}

/// When the store may forget a root by itself.
fn lasts(root: &Root) -> Option<u64> {
    let at = root.text.as_ref()?.expiry.at?;
    let more = if root.gone.is_some() { MEMORY_MS } else { GRACE_MS };
    Some(at.saturating_add(more))
}
