//! The counters of a bucket: one item each.

use super::counter::Counter;
use super::typed::{Place, TypedObjects, handle};
use crate::error::Result;
use crate::version::OperationId;

/// A bucket of counters; made by [`Typed::counters`](super::Typed::counters).
#[derive(Clone, Debug)]
pub struct Counters<O>(pub(super) Place<O>);

handle!(Counters);

impl<O: TypedObjects> Counters<O> {
    /// Counts up, or with less than nothing down. Answers with the number as this process sees it: others may be
    /// counting. Those of one process take turns, and whoever waits for
    /// the same turn shares one write.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid): out of range, too many actors, or no bucket of counters; nothing changed.
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown): it may be counted, now or later; whoever may not do so twice names it
    /// ([`add_once`](Counters::add_once)). What else a read and a write may end with.
    pub async fn add(&self, key: impl AsRef<[u8]>, by: i64) -> Result<i64> {
        self.count(key.as_ref(), by, None).await
    }

    /// As [`add`](Counters::add), under a name: whoever does it again within 10 minutes, from whichever process,
    /// counts it once. It takes room until then.
    ///
    /// # Errors
    /// As [`add`](Counters::add); do it again under the same name after [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown). [`Error::Overloaded`](crate::Error::Overloaded):
    /// too many names are remembered. [`Error::Invalid`](crate::Error::Invalid): the name was used for another amount.
    pub async fn add_once(
        &self,
        key: impl AsRef<[u8]>,
        by: i64,
        operation: OperationId,
    ) -> Result<i64> {
        self.count(key.as_ref(), by, Some(operation)).await
    }

    async fn count(&self, key: &[u8], by: i64, operation: Option<OperationId>) -> Result<i64> {
        let item = self.0.item(key, &[]);
        self.0.act::<Counter>(item, (by, operation)).await
    }

    /// The number; 0 where nobody has counted.
    ///
    /// # Errors
    /// What a read may end with. [`Error::Invalid`](crate::Error::Invalid): no bucket of counters, or what was counted at once does not fit
    /// into 64 bits together: count down.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<i64> {
        self.0.check().await?;
        let (counter, _) = self.0.read::<Counter>(&self.0.item(key.as_ref(), &[])).await?;
        Ok(counter.unwrap_or_default().value()?)
    }

    /// Deletes it. What is counted at the same time brings back what it had read. Answers whether it was there.
    ///
    /// # Errors
    /// What a read and a write may end with.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.0.check().await?;
        self.0.delete(&self.0.item(key.as_ref(), &[])).await
    }
}
