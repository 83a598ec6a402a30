//! A record as it lies in the store, and as it is worked with: each is made of the other once.

use crate::message::peer;
use crate::store::{Entry, StoreError};
use crate::version::{Record, RecordError};

/// See the module. The values in `record` are slices of the encoded body, and of nothing else.
#[derive(Debug)]
pub(super) struct Stored {
    pub record: Record,
    pub encoded: peer::Record,
    pub digest: u128,
}

impl Stored {
    /// One that is to be written.
    pub fn new(mut record: Record) -> Stored {
        let (head, body) = record.encode();
        // What it came with, a frame perhaps, is not kept for it.
        record.siblings.take_values_from(&body);
        let digest = record.siblings.digest();
        Stored { record, encoded: peer::Record { head, body }, digest }
    }

    /// One that was read.
    ///
    /// # Errors
    /// What [`unreadable`] makes of it.
    pub fn read(entry: Entry) -> Result<Stored, StoreError> {
        let Entry { head, body } = entry;
        let record = Record::decode(&head, body.clone()).map_err(unreadable)?;
        let digest = record.siblings.digest();
        Ok(Stored { record, encoded: peer::Record { head, body }, digest })
    }
}

/// A record of a build that knows more is no damage, and must not be written over.
pub(super) fn unreadable(error: RecordError) -> StoreError {
    match error {
        RecordError::UnknownKind(_) | RecordError::UnknownVersion(_) => {
            StoreError::Failed(error.to_string())
        }
        damaged => StoreError::Damaged(damaged.to_string()),
    }
}
