//! The registers of a bucket, and its counts of different elements: one item each.

use super::hll::Hll;
use super::register::Register;
use super::tagged::Joined;
use super::typed::{Place, TypedObjects, handle};
use crate::error::Result;
use bytes::Bytes;

/// A bucket of registers; made by [`Typed::registers`](super::Typed::registers).
#[derive(Clone, Debug)]
pub struct Registers<O>(pub(super) Place<O>);

handle!(Registers);

impl<O: TypedObjects> Registers<O> {
    /// Assigns a value, later than everything that was read. Of what is assigned at once, the later clock's is shown.
    ///
    /// # Errors
    /// What a read and a write may end with; doing it again is another assignment, of the same value.
    pub async fn assign(&self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Result<()> {
        self.0.ensure().await?;
        let item = self.0.item(key.as_ref(), &[]);
        let (read, context) = self.0.read::<Register>(&item).await?;
        let next = Register::assign(read.as_ref(), value.into(), self.0.now())?;
        self.0.write(&item, Some(next.to_bytes()), context).await
    }

    /// The value; `None`: nothing was assigned.
    ///
    /// # Errors
    /// What a read may end with; [`Error::Invalid`](crate::Error::Invalid): no bucket of registers.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.0.check().await?;
        let (read, _) = self.0.read::<Register>(&self.0.item(key.as_ref(), &[])).await?;
        Ok(read.map(|register| register.value().clone()))
    }

    /// Deletes it; what is assigned at the same time stays. Answers whether it was there.
    ///
    /// # Errors
    /// What a read and a write may end with.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.0.check().await?;
        self.0.delete(&self.0.item(key.as_ref(), &[])).await
    }
}

/// A bucket of counts of different elements; made by [`Typed::hlls`](super::Typed::hlls).
#[derive(Clone, Debug)]
pub struct Hlls<O>(pub(super) Place<O>);

handle!(Hlls);

impl<O: TypedObjects> Hlls<O> {
    /// Counts elements, each once however often it is added. Also what changes nothing is written: what was read may lie on
    /// one replica alone.
    ///
    /// # Errors
    /// What a read and a write may end with; doing it again does no harm.
    pub async fn add<E: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<()> {
        self.0.ensure().await?;
        let item = self.0.item(key.as_ref(), &[]);
        let (read, context) = self.0.read::<Hll>(&item).await?;
        let mut hll = read.unwrap_or_default();
        for element in elements {
            hll.add(element.as_ref());
        }
        self.0.write(&item, Some(hll.to_bytes()), context).await
    }

    /// How many different elements were added, about: the standard error is [`HLL_ERROR`](super::HLL_ERROR), 0.8 %.
    ///
    /// # Errors
    /// What a read may end with; [`Error::Invalid`](crate::Error::Invalid): no bucket of type `hll`.
    pub async fn count(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        self.0.check().await?;
        let (read, _) = self.0.read::<Hll>(&self.0.item(key.as_ref(), &[])).await?;
        Ok(read.map_or(0, |hll| hll.count()))
    }

    /// Deletes it; an add at the same time brings back what it had read. Answers whether it was there.
    ///
    /// # Errors
    /// What a read and a write may end with.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.0.check().await?;
        self.0.delete(&self.0.item(key.as_ref(), &[])).await
    }
}
