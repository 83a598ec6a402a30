//! The sets of a bucket: a member is an item, its sort key the member itself.
//!
//! ```text
//!   add x     read x, write "it is there" with the context of that
//!   remove x  read x, delete with the context of that: an add that it has not seen stays
//! ```

use super::desk::of_all;
use super::tagged::{Joined, Present};
use super::typed::{Place, TypedObjects, handle};
use crate::error::{Error, Result};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt, iter, unfold};

/// How many members of one call are worked on at once.
pub(super) const AT_ONCE: usize = 16;

/// A bucket of sets; made by [`Typed::sets`](super::Typed::sets).
#[derive(Clone, Debug)]
pub struct Sets<O>(pub(super) Place<O>);

handle!(Sets);

impl<O: TypedObjects> Sets<O> {
    /// Adds members; one that is there is added again, so that a removal at the same time does not take it away.
    ///
    /// # Errors
    /// What a read and a write may end with. [`Error::OutcomeUnknown`]: some of them may be added; adding again does no
    /// harm. Any other: none is.
    pub async fn add<M: Into<Bytes>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<()> {
        self.0.ensure().await?;
        let members: Vec<Bytes> = members.into_iter().map(Into::into).collect();
        let key = Bytes::copy_from_slice(key.as_ref());
        let each = iter(members).map(|member| {
            let (place, item) = (self.0.clone(), self.0.item(&key, &member));
            async move {
                let (_, context) = place.read::<Present>(&item).await?;
                place.write(&item, Some(Present.to_bytes()), context).await
            }
        });
        of_all(each.buffer_unordered(AT_ONCE).collect().await).map(drop)
    }

    /// Removes members. Answers how many of them were there.
    ///
    /// # Errors
    /// As [`add`](Sets::add).
    pub async fn remove<M: Into<Bytes>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<usize> {
        self.0.check().await?;
        let members: Vec<Bytes> = members.into_iter().map(Into::into).collect();
        let key = Bytes::copy_from_slice(key.as_ref());
        let each = iter(members).map(|member| {
            let (place, item) = (self.0.clone(), self.0.item(&key, &member));
            async move { place.delete(&item).await }
        });
        let removed = of_all(each.buffer_unordered(AT_ONCE).collect().await)?;
        Ok(removed.into_iter().filter(|was_there| *was_there).count())
    }

    /// Removes members, then adds some. Answers how many of the first were there.
    ///
    /// # Errors
    /// As [`add`](Sets::add).
    pub async fn change(
        &self,
        key: impl AsRef<[u8]>,
        add: Vec<Bytes>,
        remove: Vec<Bytes>,
    ) -> Result<usize> {
        let removed = self.remove(key.as_ref(), remove).await?;
        match self.add(key, add).await {
            // Something may be removed already.
            Err(error) if removed > 0 => of_all(vec![Ok(()), Err(error)])?,
            added => vec![added?],
        };
        Ok(removed)
    }

    /// Whether a member is there.
    ///
    /// # Errors
    /// What a read may end with; [`Error::Invalid`]: no bucket of sets, or what lies there is no member.
    pub async fn contains(&self, key: impl AsRef<[u8]>, member: impl AsRef<[u8]>) -> Result<bool> {
        self.0.check().await?;
        let item = self.0.item(key.as_ref(), member.as_ref());
        Ok(self.0.read::<Present>(&item).await?.0.is_some())
    }

    /// How many members there are. It goes through all of them, page by page.
    ///
    /// # Errors
    /// As [`Members::next_page`].
    pub async fn size(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        let (mut members, mut size) = (self.members(key), 0);
        while let Some(page) = members.next_page().await? {
            size += page.len() as u64;
        }
        Ok(size)
    }

    /// The members, in order.
    pub fn members(&self, key: impl AsRef<[u8]>) -> Members<O> {
        Members {
            place: self.0.clone(),
            key: Bytes::copy_from_slice(key.as_ref()),
            from: Bytes::new(),
            to: Bytes::new(),
            ended: false,
        }
    }
}

/// The members of a set, page by page; made by [`Sets::members`]. No snapshot: what is added or removed meanwhile may be
/// there or not.
#[derive(Clone, Debug)]
pub struct Members<O> {
    place: Place<O>,
    key: Bytes,
    from: Bytes,
    to: Bytes,
    ended: bool,
}

impl<O: TypedObjects> Members<O> {
    /// The first that is wanted.
    pub fn from(mut self, member: impl AsRef<[u8]>) -> Self {
        self.from = Bytes::copy_from_slice(member.as_ref());
        self
    }

    /// The first that is not wanted any more; empty for none.
    pub fn to(mut self, member: impl AsRef<[u8]>) -> Self {
        self.to = Bytes::copy_from_slice(member.as_ref());
        self
    }

    /// The first that the next page may show; `None`: there is no next page.
    pub fn position(&self) -> Option<&Bytes> {
        (!self.ended).then_some(&self.from)
    }

    /// The next members, at least one; `None` when there are no more.
    ///
    /// # Errors
    /// What a read may end with: call again to go on. [`Error::Invalid`]: no bucket of sets, or what lies at a place is
    /// no member.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Bytes>>> {
        self.place.check().await?;
        while !self.ended {
            let page = self.place.page(&self.key, &self.from, &self.to).await?;
            let mut members = Vec::new();
            for (member, object) in page.items {
                if Present::of_siblings(object.values)?.is_some() {
                    members.push(member);
                }
            }
            match page.next {
                Some(next) => self.from = next,
                None => self.ended = true,
            }
            if !members.is_empty() {
                return Ok(Some(members));
            }
        }
        Ok(None)
    }

    /// All that are left, in memory at once.
    ///
    /// # Errors
    /// As [`next_page`](Members::next_page).
    pub async fn collect(mut self) -> Result<Vec<Bytes>> {
        let mut all = Vec::new();
        while let Some(mut members) = self.next_page().await? {
            all.append(&mut members);
        }
        Ok(all)
    }

    /// The members as a stream, which ends behind the first error.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        unfold(Some((self, Vec::<Bytes>::new().into_iter())), |state| async move {
            let (mut members, mut ready) = state?;
            if let Some(member) = ready.next() {
                return Some((Ok(member), Some((members, ready))));
            }
            match members.next_page().await.transpose()? {
                Ok(page) => {
                    let mut page = page.into_iter();
                    page.next().map(|member| (Ok(member), Some((members, page))))
                }
                Err(error) => Some((Err::<Bytes, Error>(error), None)),
            }
        })
    }
}
