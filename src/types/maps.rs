//! The maps of a bucket: a field is an item, its sort key the field's name.

use super::desk::of_all;
use super::field::{Field, FieldUpdate, FieldValue};
use super::sets::AT_ONCE;
use super::tagged::Joined;
use super::typed::{Place, TypedObjects, handle};
use crate::error::Result;
use crate::version::OperationId;
use bytes::Bytes;
use futures_util::stream::{StreamExt, iter};

/// A bucket of maps; made by [`Typed::maps`](super::Typed::maps).
#[derive(Clone, Debug)]
pub struct Maps<O>(pub(super) Place<O>);

handle!(Maps);

impl<O: TypedObjects> Maps<O> {
    /// Changes a field, which is there from then on. Answers with what it shows as this process sees it.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid): the field is of another type, or is full, or would leave the range; nothing changed.
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown): it may be changed, now or later. What else a read and a write may end with.
    pub async fn update(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
        update: FieldUpdate,
    ) -> Result<Option<FieldValue>> {
        self.change(key.as_ref(), field.as_ref(), update, None).await
    }

    /// As [`update`](Maps::update), under a name: an increment that comes again within 10 minutes counts once. The rest
    /// may be repeated anyway.
    ///
    /// # Errors
    /// As [`update`](Maps::update), and as [`Counters::add_once`](super::Counters::add_once).
    pub async fn update_once(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
        update: FieldUpdate,
        operation: OperationId,
    ) -> Result<Option<FieldValue>> {
        self.change(key.as_ref(), field.as_ref(), update, Some(operation)).await
    }

    async fn change(
        &self,
        key: &[u8],
        field: &[u8],
        update: FieldUpdate,
        operation: Option<OperationId>,
    ) -> Result<Option<FieldValue>> {
        let item = self.0.item(key, field);
        self.0.act::<Field>(item, (update, operation)).await
    }

    /// Removes fields, of whichever type; what is done to one at the same time survives, with all that it had read.
    /// Answers how many of them were there.
    ///
    /// # Errors
    /// What a read and a write may end with. [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown): some of them may be removed; doing it again does
    /// no harm.
    pub async fn remove<F: Into<Bytes>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<usize> {
        self.0.check().await?;
        let fields: Vec<Bytes> = fields.into_iter().map(Into::into).collect();
        let key = Bytes::copy_from_slice(key.as_ref());
        let each = iter(fields).map(|field| {
            let (place, item) = (self.0.clone(), self.0.item(&key, &field));
            async move { place.delete(&item).await }
        });
        let removed = of_all(each.buffer_unordered(AT_ONCE).collect().await)?;
        Ok(removed.into_iter().filter(|was_there| *was_there).count())
    }

    /// What a field shows; `None`: there is none.
    ///
    /// # Errors
    /// What a read may end with; [`Error::Invalid`](crate::Error::Invalid): no bucket of maps, or the field cannot be read.
    pub async fn get(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
    ) -> Result<Option<FieldValue>> {
        self.0.check().await?;
        let item = self.0.item(key.as_ref(), field.as_ref());
        match self.0.read::<Field>(&item).await?.0 {
            Some(field) => Ok(field.value()?),
            None => Ok(None),
        }
    }

    /// The fields, in order of their names.
    pub fn fields(&self, key: impl AsRef<[u8]>) -> Fields<O> {
        let key = Bytes::copy_from_slice(key.as_ref());
        Fields { place: self.0.clone(), key, from: Bytes::new(), ended: false }
    }
}

/// The fields of a map, page by page; made by [`Maps::fields`]. No snapshot.
#[derive(Clone, Debug)]
pub struct Fields<O> {
    place: Place<O>,
    key: Bytes,
    from: Bytes,
    ended: bool,
}

impl<O: TypedObjects> Fields<O> {
    /// The first that is wanted.
    pub fn from(mut self, field: impl AsRef<[u8]>) -> Self {
        self.from = Bytes::copy_from_slice(field.as_ref());
        self
    }

    /// The first that the next page may show; `None`: there is no next page.
    pub fn position(&self) -> Option<&Bytes> {
        (!self.ended).then_some(&self.from)
    }

    /// The next fields, at least one; `None` when there are no more.
    ///
    /// # Errors
    /// What a read may end with: call again to go on. [`Error::Invalid`](crate::Error::Invalid): no bucket of maps, or a field cannot be read.
    pub async fn next_page(&mut self) -> Result<Option<Vec<(Bytes, FieldValue)>>> {
        self.place.check().await?;
        while !self.ended {
            let page = self.place.page(&self.key, &self.from, &Bytes::new()).await?;
            let mut fields = Vec::new();
            for (name, object) in page.items {
                let field = Field::of_siblings(object.values)?;
                if let Some(value) = field.map(|field| field.value()).transpose()?.flatten() {
                    fields.push((name, value));
                }
            }
            match page.next {
                Some(next) => self.from = next,
                None => self.ended = true,
            }
            if !fields.is_empty() {
                return Ok(Some(fields));
            }
        }
        Ok(None)
    }

    /// All that are left, in memory at once.
    ///
    /// # Errors
    /// As [`next_page`](Fields::next_page).
    pub async fn collect(mut self) -> Result<Vec<(Bytes, FieldValue)>> {
        let mut all = Vec::new();
        while let Some(mut fields) = self.next_page().await? {
            all.append(&mut fields);
        }
        Ok(all)
    }
}
