//! The operations of what was collected: a write that is tried again when its value has been deleted and collected
//! does not bring it back.
//!
//! A record remembers the operations that it has covered; with the record that memory goes. So it is put down, in
//! the batch that erases the record, and kept for as long as the record would have kept it.

use super::super::{Shard, Turn};
use crate::guard::{self, Guard};
use crate::id::Conflict;
use crate::message::{decode, encode_into};
use crate::store::{Change, Store, StoreError, key};
use crate::time::{HybridTime, WallClock};
use crate::version::{COVERED_WINDOW, Head, OperationId, Record, Sibling};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Under which of the node's own keys they are: the date when they can go, and something random.
const PREFIX: &str = "gone/";

/// The most operations. What goes first is what was to go first: a late retry of it is a new write.
const OPERATIONS: usize = 1 << 19;

/// An operation on one key, by the key's hash.
type Name = (u64, OperationId);

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// When each was covered, and until when it is remembered.
    known: BTreeMap<Name, (HybridTime, u64)>,
    /// Which of them can be forgotten when, in milliseconds.
    until: BTreeMap<u64, Vec<Name>>,
}

impl Gone {
    /// What an earlier life has put down.
    pub fn open(store: &dyn Store) -> Result<Gone, StoreError> {
        let mut gone = Gone::default();
        let mut from = key::meta(PREFIX);
        let to = key::after_prefix(&from);
        loop {
            let page = store.scan(&from, &to, 1024)?;
            for (key, _) in &page {
                let Some(until) = date_of(key) else { continue };
                let entry = match store.get(key) {
                    // The other owners know it too; a node that does not start knows nothing.
                    Err(StoreError::Damaged(_)) => None,
                    entry => entry?,
                };
                let list =
                    entry.and_then(|e| decode::<Vec<(u64, OperationId, HybridTime)>>(&e.body).ok());
                for (hash, operation, stamp) in list.into_iter().flatten() {
                    gone.remember((hash, operation), stamp, until);
                }
                gone.limit(OPERATIONS);
            }
            match page.last() {
                Some((last, _)) if page.len() == 1024 => from = super::super::scan::after(last),
                _ => return Ok(gone),
            }
        }
    }

    fn remember(&mut self, name: Name, stamp: HybridTime, until: u64) {
        let (known, last) = self.known.entry(name).or_default();
        *known = stamp.max(*known);
        *last = until.max(*last);
        self.until.entry(until).or_default().push(name);
    }

    /// Forgets the oldest, if there are more than this. How many those were, and until when they were to be known.
    fn limit(&mut self, most: usize) -> Option<(usize, u64)> {
        let (before, mut last) = (self.known.len(), None);
        while self.known.len() > most
            && let Some((until, names)) = self.until.pop_first()
        {
            self.drop_names(&names, until);
            last = Some(until);
        }
        last.map(|until| (before - self.known.len(), until))
    }

    /// Forgets these, but not what was remembered again, for longer.
    fn drop_names(&mut self, names: &[Name], until: u64) {
        for name in names {
            if self.known.get(name).is_some_and(|(_, last)| *last <= until) {
                self.known.remove(name);
            }
        }
    }

    /// Forgets what is not needed any more at this date. True: there was something.
    fn forget(&mut self, date: WallClock) -> bool {
        let left = self.until.split_off(&date.0);
        let over = std::mem::replace(&mut self.until, left);
        over.iter().for_each(|(until, names)| self.drop_names(names, *until));
        !over.is_empty()
    }

    fn holds(&self, name: Name, stamp: HybridTime) -> bool {
        self.covered(name, stamp).is_some()
    }

    /// When an operation was covered of which a write with this stamp is a retry.
    fn covered(&self, name: Name, stamp: HybridTime) -> Option<HybridTime> {
        let (at, _) = self.known.get(&name)?;
        (stamp.wall().0 < at.wall().0.saturating_add(window())).then_some(*at)
    }
}

impl Shard {
    /// Puts down the operations of these records, in the batch of this turn.
    pub(super) fn remember_gone(&mut self, heads: &[(Bytes, Head)], turn: &mut Turn) {
        if !guard::holds(Guard::CollectedIsKnown) {
            return;
        }
        let date = self.date(turn);
        let mut list: Vec<(u64, OperationId, HybridTime)> = Vec::new();
        let mut until = 0;
        for (key, head) in heads {
            let hash = xxh3_64(key);
            let siblings = head.siblings.iter().map(|s| (s.operation, s.stamp));
            let covered = head.covered.iter().map(|c| (c.operation, c.stamp));
            for (operation, stamp) in siblings.chain(covered) {
                // A stamp from the future is not kept for longer.
                let over = stamp.wall().0.min(date.0).saturating_add(window());
                if over > date.0 {
                    list.push((hash, operation, stamp));
                    until = until.max(over);
                }
            }
        }
        if list.is_empty() {
            return;
        }
        for (hash, operation, stamp) in &list {
            self.collection.gone.remember((*hash, *operation), *stamp, until);
        }
        if let Some((count, until)) = self.collection.gone.limit(OPERATIONS) {
            self.counters.collected_forgotten += count as u64;
            self.erase_gone(until.saturating_add(1), turn);
        }
        let mut body = Vec::new();
        encode_into(&mut body, &list);
        let tail = [until.to_be_bytes(), self.rng.u64(..).to_be_bytes()].concat();
        let key = [&key::meta(PREFIX)[..], &tail].concat().into();
        turn.outbox.persist(Change::Put { key, head: Bytes::new(), body: body.into() });
    }

    /// Forgets what is older than the window.
    pub(super) fn forget_gone(&mut self, turn: &mut Turn) {
        let date = self.date(turn);
        if self.collection.gone.forget(date) {
            self.erase_gone(date.0, turn);
        }
    }

    /// Erases what was to be known until before this date.
    fn erase_gone(&self, date: u64, turn: &mut Turn) {
        let from = key::meta(PREFIX);
        let to = [&from[..], &date.to_be_bytes()].concat().into();
        turn.outbox.persist(Change::EraseRange { from, to });
    }

    /// Whether a write that comes now is a late retry of one whose value was deleted, and collected.
    pub(in super::super) fn was_collected(
        &self,
        key: &[u8],
        operation: OperationId,
        turn: &Turn,
    ) -> bool {
        let stamp = self.clock.last().max(HybridTime::from_wall(turn.now.wall));
        self.collection.gone.holds((xxh3_64(key), operation), stamp)
    }

    /// A record from elsewhere, without the values of such retries. Its vector stays as it was, so that whoever has
    /// taken one, not having heard of the collection, drops it at the next join, also where nothing else is left of
    /// the record: a vector without siblings, which every owner comes to have, and which is collected in its turn. In
    /// an `lww` bucket the vector decides nothing, and something has to stand: there a tombstone does the same.
    pub(in super::super) fn without_collected<'a>(
        &self,
        key: &[u8],
        record: &'a Record,
    ) -> Cow<'a, Record> {
        let gone = &self.collection.gone;
        if gone.known.is_empty() {
            return Cow::Borrowed(record);
        }
        let hash = xxh3_64(key);
        let conflict = record.kind.conflict();
        // A tombstone, too, may be such a retry, and hide what was written since.
        let hides = |s: &Sibling| s.value().is_some() || conflict == Conflict::Lww;
        let gone_at = |sibling: &Sibling| {
            let at = gone.covered((hash, sibling.operation), sibling.stamp);
            at.filter(|_| hides(sibling))
        };
        if record.siblings.iter().all(|sibling| gone_at(sibling).is_none()) {
            return Cow::Borrowed(record);
        }
        let siblings = match conflict {
            Conflict::Siblings => record.siblings.without(|sibling| gone_at(sibling).is_some()),
            Conflict::Lww => record.siblings.buried(gone_at),
        };
        Cow::Owned(Record { siblings, ..record.clone() })
    }
}

fn window() -> u64 {
    u64::try_from(COVERED_WINDOW.as_millis()).unwrap_or(u64::MAX)
}

fn date_of(key: &[u8]) -> Option<u64> {
    let tail = key.strip_prefix(&key::meta(PREFIX)[..])?;
    tail.first_chunk().map(|date| u64::from_be_bytes(*date))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Lone, agreement, item, record, view};
    use super::*;
    use crate::id::{NodeId, PartitionId};
    use crate::message::peer::{self, Data, RoundAsk, RoundStep};
    use crate::ring::BucketSettings;
    use crate::store::Source;
    use crate::version::{Actor, Content, Kind, Seen, Write};

    /// X has become an owner since, and took the retry; this node remembers.
    #[test]
    fn of_a_late_retry_that_another_owner_has_taken_the_vector_is_kept_and_collected_in_its_turn() {
        let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
        let key = item(0, "k");
        let retried = record(3);
        let [(operation, stamp)] =
            retried.siblings.iter().map(|s| (s.operation, s.stamp)).collect::<Vec<_>>()[..]
        else {
            panic!("one value")
        };
        lone.shard.collection.gone.remember((xxh3_64(&key), operation), stamp, u64::MAX);
        let (head, body) = retried.encode();
        let record = peer::Record { head, body };
        let message = Data::Replicate { key: key.clone(), record, hint_for: None };
        lone.hear(3, 7, message);
        lone.settle();
        let here = lone.latest(&key).expect("there");
        assert!(here.siblings.is_empty() && here.siblings.vector() == retried.siblings.vector());
        // So X drops it when they meet, and is what everybody is.
        let mut x = retried.clone();
        assert!(x.join(&here).changed() && x.siblings.is_same_version(&here.siblings));
        let items = vec![(key.clone(), x.siblings.digest())];
        let all = [
            RoundAsk::Open(2),
            RoundAsk::Drain(2),
            RoundAsk::Close(2),
            RoundAsk::Collect { round: 2, items },
        ];
        for ask in all {
            let step = RoundStep { partition: PartitionId(0), attempt: 1, ask };
            lone.hear(NodeId(2).0, 0, Data::Rounds(vec![step]));
            lone.settle();
        }
        assert_eq!(lone.disk.head(&key), Ok(None));
    }

    /// X has come back with an empty disk since, and took the retry, over a write of which it has not heard; this
    /// node remembers.
    #[test]
    fn of_such_a_retry_in_an_lww_bucket_a_tombstone_is_kept_which_wins_over_nothing_else() {
        let settings = BucketSettings { conflict: Conflict::Lww, ..BucketSettings::new(3) };
        // A delete that is tried again hides as little as a value shows.
        for (later, value) in [(false, Some("back")), (true, Some("back")), (true, None)] {
            let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, settings.clone())));
            let key = item(0, "k");
            let written = |sequence, millis, value: Option<&'static str>, tried_since| {
                let mut record = Record::new(Kind::Lww);
                let write = Write {
                    operation: OperationId { session: 7, sequence },
                    stamp: HybridTime::from_wall(WallClock(millis)),
                    expires_at: None,
                    tried_since,
                    content: value.map_or(Content::Tombstone, |v| Content::Value(v.into())),
                };
                let actor = Actor { incarnation: sequence, mint: 0 };
                record.siblings.write(&Seen::default(), actor, write, Conflict::Lww);
                record
            };
            let hear = |lone: &mut Lone, record: &Record| {
                let (head, body) = record.encode();
                let record = peer::Record { head, body };
                let message = Data::Replicate { key: key.clone(), record, hint_for: None };
                lone.hear(3, 7, message);
                lone.settle();
            };
            let retried = written(1, 9_000, value, Some(HybridTime::default()));
            let other = written(2, 5_000, Some("other"), None);
            let name = (xxh3_64(&key), OperationId { session: 7, sequence: 1 });
            lone.shard.collection.gone.remember(name, HybridTime(6_000 << 16), u64::MAX);
            let mut x = retried.clone();
            if later {
                hear(&mut lone, &other);
                x.join(&other);
            }
            hear(&mut lone, &x);
            let mut here = lone.latest(&key).expect("there");
            // When they meet, both hold the same: the other write, if there was one.
            assert!(x.join(&here).changed());
            here.join(&x);
            let values: Vec<_> =
                x.siblings.standing_values().map(|(_, value)| &value[..]).collect();
            assert_eq!(values, if later { vec![&b"other"[..]] } else { vec![] }, "{value:?}");
            assert!(x.siblings.is_same_version(&here.siblings));
            assert_eq!(x.siblings.digest(), here.siblings.digest());
        }
    }

    fn name(n: u64) -> Name {
        (n, OperationId { session: 1, sequence: n })
    }

    #[test]
    fn beyond_the_most_the_oldest_go_and_what_was_remembered_again_stays() {
        let mut gone = Gone::default();
        let stamp = HybridTime::from_wall(WallClock(1_000));
        (0..10).for_each(|n| gone.remember(name(n), stamp, 100 + n / 2));
        gone.remember(name(0), stamp, 900);
        assert_eq!(gone.limit(10), None);
        assert_eq!(gone.limit(8), Some((3, 101)), "0 is known for longer, and dates go as a whole");
        let left: Vec<u64> = gone.known.keys().map(|(n, _)| *n).collect();
        assert_eq!(left, [0, 4, 5, 6, 7, 8, 9]);
        assert!(gone.forget(WallClock(200)));
        assert!(gone.holds(name(0), stamp) && !gone.holds(name(9), stamp));
        assert!(gone.forget(WallClock(901)));
        assert!(gone.known.is_empty() && gone.until.is_empty());
    }
}
