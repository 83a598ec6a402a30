//! A part that this node does not play for a while: what happens then is to be seen, and nobody is to be hurt.
//!
//! ```text
//!   away        a replica that is not there   what is to be stored here is refused ─► hints
//!   forgetful   a disk that lies              what is to be stored here is confirmed, and is nowhere ─► comparisons
//! ```
//!
//! It is played in one bucket, [`REHEARSAL_BUCKET`], and nowhere else; it ends by itself after [`LONGEST`], and with the
//! process. This node mints no dots there meanwhile: others coordinate.

use super::sync::Task;
use super::{Shard, exchange};
use crate::error::Error;
use crate::id::{NodeId, PartitionId};
use crate::message::client::{REHEARSAL_BUCKET, Rehearsal};
use crate::store::key;
use crate::time::{Duration, Instant};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long a part is played that nobody ends.
const LONGEST: Duration = Duration::from_secs(60);

/// How this node plays its part in the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// As everywhere.
    #[default]
    Whole,
    Away,
    Forgetful,
}

/// What becomes of a record that is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is stored.
    Stored,
    /// It is refused.
    Refused,
    /// It is confirmed, and is nowhere.
    Forgotten,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stage {
    part: Part,
    /// The id of the bucket.
    bucket: u64,
    until: Instant,
    /// How many records were not stored since the part began.
    withheld: u64,
}

impl Stage {
    fn part(&self, bucket: u64, now: Instant) -> Part {
        match self.part != Part::Whole && self.bucket == bucket && now < self.until {
            true => self.part,
            false => Part::Whole,
        }
    }

    /// Whether this node keeps from coordinating writes to the bucket with this id.
    pub fn is_withheld(&self, bucket: u64, now: Instant) -> bool {
        self.part(bucket, now) != Part::Whole
    }

    /// What becomes of a record under this store key.
    pub fn fate(&mut self, key: &[u8], now: Instant) -> Fate {
        if self.part == Part::Whole {
            return Fate::Stored;
        }
        let Some(bucket) = key::bucket_of_item(key) else { return Fate::Stored };
        let fate = match self.part(bucket.0, now) {
            Part::Whole => return Fate::Stored,
            Part::Away => Fate::Refused,
            Part::Forgetful => Fate::Forgotten,
        };
        self.withheld += 1;
        fate
    }
}

impl Shard {
    /// Takes up a part, and says how it stands.
    ///
    /// # Errors
    /// [`Error::NotFound`]: this node does not know the bucket, and nothing has changed.
    pub fn rehearse(&mut self, what: Rehearsal, now: Instant) -> Result<Value, Error> {
        let part = match what {
            Rehearsal::Look => None,
            Rehearsal::Away => Some(Part::Away),
            Rehearsal::Forgetful => Some(Part::Forgetful),
            Rehearsal::Whole | Rehearsal::Compare => Some(Part::Whole),
        };
        if let Some(part) = part {
            let bucket = self.buckets.get(REHEARSAL_BUCKET).map(|bucket| bucket.id.0);
            let bucket = bucket.ok_or_else(|| {
                Error::NotFound(format!("this node knows no bucket `{REHEARSAL_BUCKET}` yet"))
            })?;
            self.stage = Stage { part, bucket, until: now + LONGEST, withheld: 0 };
        }
        if what == Rehearsal::Compare {
            self.compare_with_everybody();
        }
        Ok(json!({ "withheld": self.stage.withheld }))
    }

    /// Asks every other owner what differs, those too who would ask this node.
    fn compare_with_everybody(&mut self) {
        let layout = &self.view.agreement.layout;
        let mut roots: BTreeMap<NodeId, Vec<PartitionId>> = BTreeMap::new();
        for (partition, _) in self.slots.owned() {
            for other in self.owners(partition, layout.replicas) {
                if other != self.view.me {
                    roots.entry(other).or_default().push(partition);
                }
            }
        }
        for (with, partitions) in roots {
            for page in partitions.chunks(exchange::ROOTS_PER_PAGE) {
                self.sync.push(Task::Roots { with, partitions: page.to_vec() });
            }
        }
    }
}

#[cfg(test)]
#[path = "rehearsal_tests.rs"]
mod tests;
