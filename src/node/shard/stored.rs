//! A record as it lies in the store, and as it is worked with: each is made of the other once.

use crate::message::peer;
use crate::store::{Entry, StoreError};
use crate::version::{Record, RecordError};
use std::sync::Arc;

/// See the module. The values in `record` are slices of the encoded body, and of nothing else.
#[derive(Debug)]
pub(super) struct Stored {
    pub record: Arc<Record>,
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
        Stored { record: Arc::new(record), encoded: peer::Record { head, body }, digest }
    }

    /// What this node holds, if it does, and what another one does. Nothing: that is no more than this.
    pub fn joined(mine: Option<&Stored>, theirs: &Record) -> Option<Stored> {
        let joined = match mine {
            // Which actor the other one uses is its own affair.
            None => Record { local: None, ..theirs.clone() },
            Some(mine) => {
                let mut joined = Record::clone(&mine.record);
                if !joined.join(theirs).changed() {
                    return None;
                }
                joined
            }
        };
        Some(Stored::new(joined))
    }

    /// One that was read.
    ///
    /// # Errors
    /// What [`unreadable`] makes of it.
    pub fn read(entry: Entry) -> Result<Stored, StoreError> {
        let Entry { head, body } = entry;
        let record = Record::decode(&head, body.clone()).map_err(unreadable)?;
        let digest = record.siblings.digest();
        Ok(Stored { record: Arc::new(record), encoded: peer::Record { head, body }, digest })
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
