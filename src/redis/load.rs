//! Reads a key into a view, and more of it when a command needs more.

use super::BUCKET;
use super::retry;
use super::value::{Element, Gone, Malformed, Root, Shown, Text, partition_key};
use super::view::{Need, Slot, View};
use crate::Error;
use crate::client::Item;
use crate::error::Result;
use crate::quorum::QuorumRequest;
use crate::types::{Object, Objects};
use bytes::Bytes;
use tokio::task::JoinSet;

/// How many elements are read or written at once.
pub(super) const AT_ONCE: usize = 64;

/// Where a key is read, and how.
#[derive(Clone, Debug)]
pub(super) struct Loader<O> {
    pub(super) objects: O,
    pub(super) key: Bytes,
    pub(super) quorum: QuorumRequest,
}

impl<O: Objects> Loader<O> {
    pub(super) fn new(objects: O, key: &Bytes, quorum: QuorumRequest) -> Loader<O> {
        Loader { objects, key: partition_key(key), quorum }
    }

    pub(super) fn item(&self, sort: Bytes) -> Item {
        Item { bucket: BUCKET.into(), key: self.key.clone(), sort }
    }

    async fn read(&self, sort: Bytes) -> Result<Object> {
        retry::read(|| self.objects.read(self.item(sort.clone()), self.quorum)).await
    }

    /// The root, and the context of it.
    pub(super) async fn root(&self) -> Result<(Root, String)> {
        let object = self.read(Bytes::new()).await?;
        Ok((Root::of(object.values).map_err(malformed)?, object.context))
    }

    /// Reads what a command needs of the group that is shown.
    pub(super) async fn fetch(&self, view: &mut View, need: Need) -> Result<()> {
        let Some(element) = view.element() else { return Ok(()) };
        match need {
            Need::Members(members) => self.members(view, element, members).await,
            Need::Any => self.range(view, element, true).await,
            Need::All => self.range(view, element, false).await,
        }
    }

    async fn members(&self, view: &mut View, of: Element, members: Vec<Bytes>) -> Result<()> {
        let mut reading = JoinSet::new();
        let mut left = members.into_iter();
        loop {
            while reading.len() < AT_ONCE
                && let Some(member) = left.next()
            {
                let loader = self.clone();
                reading.spawn(async move {
                    let object = loader.read(of.sort(&member)).await;
                    (member, object)
                });
            }
            let Some(done) = reading.join_next().await else { return Ok(()) };
            let (member, object) = done.map_err(|e| Error::Internal(e.to_string()))?;
            insert(view, of, member, object?)?;
        }
    }

    /// Reads all, or until there is one.
    async fn range(&self, view: &mut View, of: Element, one_is_enough: bool) -> Result<()> {
        let mut from = of.sort(&[]);
        loop {
            let page = retry::read(|| {
                let (from, to) = (from.clone(), of.end());
                self.objects.range(BUCKET, self.key.clone(), from, to, self.quorum)
            });
            let page = page.await?;
            for (sort, object) in page.items {
                let Some((_, member)) = Element::of(&sort) else { continue };
                insert(view, of, member, object)?;
            }
            match page.next {
                Some(next) if next > from => from = next,
                _ => break,
            }
            if one_is_enough && view.elements.values().any(|slot| slot.value.is_some()) {
                return Ok(());
            }
        }
        view.complete = true;
        Ok(())
    }

    /// What is left of groups that have expired, or whose end nobody saw through, goes.
    pub(super) async fn sweep(&self, view: &mut View) -> Result<()> {
        let generation = view.root.generation();
        let swept = view.root.gone.is_some_and(|g| g.swept && g.generation == generation);
        if generation == 0 || swept || view.root.shown(view.now) != Shown::Nothing {
            return Ok(());
        }
        let (mut from, to) = (Bytes::from_static(&[1]), Bytes::from_static(&[3]));
        let mut leftovers = Vec::new();
        loop {
            let page = retry::read(|| {
                let (from, to) = (from.clone(), to.clone());
                self.objects.range(BUCKET, self.key.clone(), from, to, self.quorum)
            });
            let page = page.await?;
            for (sort, object) in page.items {
                if Element::of(&sort).is_some_and(|(of, _)| of.generation <= generation) {
                    leftovers.push((sort, object.context));
                }
            }
            match page.next {
                Some(next) if next > from => from = next,
                _ => break,
            }
        }
        let gone = Gone { generation, stamp: view.stamp(), swept: false };
        view.root = Root { gone: Some(gone), text: view.root.text.take(), ..Root::default() };
        (view.leftovers, view.swept) = (leftovers, true);
        Ok(())
    }
}

/// An element as it was read; what commands have changed since stays.
fn insert(view: &mut View, of: Element, member: Bytes, object: Object) -> Result<()> {
    if view.elements.contains_key(&member) {
        return Ok(());
    }
    let value = match of.kind {
        super::value::Kind::Set => (!object.values.is_empty()).then(Text::default),
        super::value::Kind::Hash => Root::of(object.values).map_err(malformed)?.text,
    };
    view.elements.insert(member, Slot { value, context: object.context, changed: false });
    Ok(())
}

fn malformed(Malformed: Malformed) -> Error {
    Error::Invalid(format!(
        "bucket `{BUCKET}` holds what no Redis command has written here; delete it with QUORATE.DEL"
    ))
}
