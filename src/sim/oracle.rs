//! The judge: what a key may hold, from who was shown what. It knows no dots, vectors or clocks.
//!
//! ```text
//!   sent ──► acked ──────────────► must be there …
//!               └─ unless a write was sent whose author had been shown it     (maybe replaced)
//!   shown to the author of an acknowledged write ──► must not come back       (replaced)
//! ```
//!
//! - Every value of a run is unique, so a value names the write that made it.
//! - A write of which nobody knows whether it happened may take effect at any later time, or never.
//! - One that was refused with "nothing changed" must not have happened.
//! - A strict read is regular: it shows what was strictly acknowledged before it began; and what was strictly read,
//!   while owners do not change.

use std::collections::{BTreeMap, BTreeSet};

/// The name of a value, and of the write that made it.
pub type Value = u32;
/// Values that somebody was shown.
pub type Shown = BTreeSet<Value>;

/// How concurrent writes of a key end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All of them stand.
    Siblings,
    /// One of them wins; which, this judge does not say.
    LastWriterWins,
}

/// What an acknowledgement promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// It outlives the loss of one disk.
    pub durable: bool,
    /// Every later strict read sees it.
    pub strict: bool,
}

/// A write, as its author knows it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What it stores; none: it deletes.
    pub value: Option<Value>,
    /// What its author had been shown.
    pub shown: Shown,
    /// How many disks had been lost when it was sent.
    pub losses: u32,
}

/// What a strict read owes when it is answered.
#[derive(Clone, Debug, Default)]
pub struct Debt {
    must_show: Shown,
    /// Owed as long as no owners change meanwhile.
    was_read: Shown,
    must_hide: Shown,
}

#[derive(Debug, Default)]
struct Book {
    lww: bool,
    /// Attempts to write a value that did not end in "nothing changed".
    attempts: BTreeMap<Value, u32>,
    acked: Shown,
    /// Acknowledged by one slot: the loss of a disk may take them.
    fragile: Shown,
    strict: Shown,
    /// Strictly read, acknowledged or not.
    read: Shown,
    maybe_replaced: Shown,
    replaced: Shown,
    replaced_fragile: Shown,
    replaced_strict: Shown,
    /// Somebody deleted it, or tried to.
    deleted: bool,
}

/// The books of all keys, and what was found wrong.
#[derive(Debug, Default)]
pub struct Oracle {
    books: BTreeMap<usize, Book>,
    losses: u32,
    moving: bool,
    violations: Vec<String>,
}

impl Oracle {
    /// Nothing is known of anybody.
    pub fn new(keys: impl IntoIterator<Item = (usize, Rule)>) -> Oracle {
        let book = |rule| Book { lww: rule == Rule::LastWriterWins, ..Book::default() };
        let books = keys.into_iter().map(|(key, rule)| (key, book(rule))).collect();
        Oracle { books, ..Oracle::default() }
    }

    /// What was found wrong so far, in words.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Something else is wrong.
    pub fn object(&mut self, what: String) {
        self.violations.push(what);
    }

    /// Whether anybody tried to delete it: then "nothing" may be a tombstone, which is something.
    pub fn was_deleted(&self, key: usize) -> bool {
        self.books.get(&key).is_some_and(|book| book.deleted)
    }

    /// How many disks were lost.
    pub fn losses(&self) -> u32 {
        self.losses
    }

    /// A disk is lost: what stood on one slot alone may be gone.
    pub fn lose_disk(&mut self) {
        self.losses += 1;
        for book in self.books.values_mut() {
            for value in std::mem::take(&mut book.fragile) {
                book.acked.remove(&value);
            }
            for value in std::mem::take(&mut book.replaced_fragile) {
                book.replaced.remove(&value);
            }
        }
    }

    /// A write is on its way; also when it is tried again.
    pub fn sends(&mut self, key: usize, write: &Sent) {
        let book = self.book(key);
        if let Some(value) = write.value {
            *book.attempts.entry(value).or_default() += 1;
        }
        book.deleted |= write.value.is_none();
        book.maybe_replaced.extend(&write.shown);
    }

    /// An attempt was refused, and nothing changed by it.
    pub fn refuses(&mut self, key: usize, write: &Sent) {
        if let Some(attempts) = write.value.and_then(|v| self.book(key).attempts.get_mut(&v)) {
            *attempts -= 1;
        }
    }

    /// A write is acknowledged.
    pub fn acks(&mut self, key: usize, write: &Sent, promise: Promise) {
        let lost_meanwhile = write.losses < self.losses;
        let book = self.book(key);
        if !promise.durable && lost_meanwhile {
            return;
        }
        let shown = write.shown.iter().copied().filter(|v| Some(*v) != write.value);
        if promise.durable {
            book.acked.extend(write.value);
            book.replaced.extend(shown.clone());
        } else {
            let new = write.value.filter(|value| book.acked.insert(*value));
            book.fragile.extend(new);
            let gone: Vec<Value> = shown.clone().filter(|v| book.replaced.insert(*v)).collect();
            book.replaced_fragile.extend(gone);
        }
        if promise.strict {
            book.strict.extend(write.value);
            book.replaced_strict.extend(shown);
        }
    }

    /// Owners change from now on, or no longer. What nobody acknowledged and a strict read has shown may be missed by
    /// one under other owners: monotonic reads are promised within one epoch.
    pub fn moves(&mut self, moving: bool) {
        self.moving = moving;
        self.books.values_mut().for_each(|book| book.read.clear());
    }

    /// A read begins. One that is not strict owes nothing.
    pub fn begins_read(&mut self, key: usize, strict: bool) -> Debt {
        let moving = self.moving;
        let book = self.book(key);
        if !strict || book.lww {
            return Debt::default();
        }
        let lasting = |shown: &Shown| shown.difference(&book.maybe_replaced).copied().collect();
        let was_read = if moving { Shown::new() } else { lasting(&book.read) };
        let must_show = lasting(&book.strict);
        Debt { must_show, was_read, must_hide: book.replaced_strict.clone() }
    }

    /// A read is answered with these values.
    pub fn ends_read(&mut self, key: usize, debt: &Debt, values: &[Value], strict: bool) {
        self.plausible(key, values);
        let moving = self.moving;
        let book = self.book(key);
        let was_read = if moving { None } else { Some(&debt.was_read) };
        let owed = debt.must_show.iter().chain(was_read.into_iter().flatten());
        let missing = owed
            .into_iter()
            .find(|value| !values.contains(value) && !book.maybe_replaced.contains(value));
        let back = values.iter().find(|value| debt.must_hide.contains(value));
        let (missing, back) = (missing.copied(), back.copied());
        if strict && !book.lww {
            // Once read under strict, never unread.
            book.read.extend(values);
        }
        if let Some(value) = missing {
            self.object(format!("a strict read of k{key} misses v{value}"));
        }
        if let Some(value) = back {
            self.object(format!("a strict read of k{key} shows v{value}, which was replaced"));
        }
    }

    /// Nobody sent it, it was refused, it is there twice, or two won.
    fn plausible(&mut self, key: usize, values: &[Value]) {
        let book = self.book(key);
        let unsent = values.iter().find(|v| book.attempts.get(v).is_none_or(|n| *n == 0)).copied();
        let lww = book.lww;
        if let Some(value) = unsent {
            self.object(format!("k{key} shows v{value}, which was never written there"));
        }
        let distinct: BTreeSet<Value> = values.iter().copied().collect();
        if distinct.len() < values.len() {
            self.object(format!("k{key} shows one write twice: {values:?}"));
        }
        if lww && values.len() > 1 {
            self.object(format!("k{key} has {} last writers: {values:?}", values.len()));
        }
    }

    /// Everything has healed, and this is what a key holds.
    pub fn settles(&mut self, key: usize, values: &[Value]) {
        self.plausible(key, values);
        let book = self.book(key);
        let mut wrong = Vec::new();
        if book.lww {
            let owed = book.acked.difference(&book.maybe_replaced).next().is_some();
            // A delete may be the last writer.
            if owed && values.is_empty() && !book.deleted {
                wrong.push(format!("k{key} lost every write"));
            }
        } else {
            let lost = book.acked.difference(&book.maybe_replaced);
            let lost = lost.filter(|value| !values.contains(value));
            wrong.extend(lost.map(|value| format!("k{key} lost v{value}: it holds {values:?}")));
        }
        let back = values.iter().filter(|value| book.replaced.contains(value));
        wrong.extend(back.map(|value| format!("k{key}: v{value} is back from the dead")));
        self.violations.extend(wrong);
    }

    fn book(&mut self, key: usize) -> &mut Book {
        self.books.entry(key).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURE: Promise = Promise { durable: true, strict: true };
    const WEAK: Promise = Promise { durable: false, strict: false };

    fn write(value: Value, shown: &[Value]) -> Sent {
        Sent { value: Some(value), shown: shown.iter().copied().collect(), losses: 0 }
    }

    fn written(acks: &[(Sent, Option<Promise>)]) -> Oracle {
        let mut oracle = Oracle::new([(1, Rule::Siblings)]);
        for (sent, promise) in acks {
            oracle.sends(1, sent);
            if let Some(promise) = promise {
                oracle.acks(1, sent, *promise);
            }
        }
        oracle
    }

    fn settled(mut oracle: Oracle, values: &[Value]) -> usize {
        oracle.settles(1, values);
        oracle.violations().len()
    }

    #[test]
    fn an_acknowledged_write_is_there_or_was_replaced_by_who_had_seen_it() {
        let one = || (write(1, &[]), Some(SURE));
        assert_eq!(settled(written(&[one()]), &[1]), 0);
        assert_eq!(settled(written(&[one()]), &[]), 1);
        assert_eq!(settled(written(&[one(), (write(2, &[]), Some(SURE))]), &[2]), 1);
        assert_eq!(settled(written(&[one(), (write(2, &[1]), Some(SURE))]), &[2]), 0);
        // Unknown: it may have happened, and it may not.
        assert_eq!(settled(written(&[one(), (write(2, &[1]), None)]), &[2]), 0);
        assert_eq!(settled(written(&[one(), (write(2, &[1]), None)]), &[1]), 0);
    }

    #[test]
    fn what_was_replaced_stays_away_and_nothing_comes_from_nowhere_or_twice() {
        let both = || written(&[(write(1, &[]), Some(SURE)), (write(2, &[1]), Some(SURE))]);
        assert_eq!(settled(both(), &[1, 2]), 1);
        assert_eq!(settled(both(), &[2, 3]), 1);
        assert_eq!(settled(both(), &[2, 2]), 1);
    }

    #[test]
    fn a_refused_write_must_not_appear_unless_another_attempt_may_have_worked() {
        let mut oracle = written(&[(write(1, &[]), None)]);
        oracle.refuses(1, &write(1, &[]));
        assert_eq!(settled(oracle, &[1]), 1);
        let mut oracle = written(&[(write(1, &[]), None), (write(1, &[]), None)]);
        oracle.refuses(1, &write(1, &[]));
        assert_eq!(settled(oracle, &[1]), 0);
    }

    #[test]
    fn a_lost_disk_takes_what_one_slot_promised_and_no_more() {
        let mut oracle = written(&[(write(1, &[]), Some(SURE)), (write(2, &[]), Some(WEAK))]);
        oracle.lose_disk();
        let late = write(3, &[]);
        oracle.sends(1, &late);
        oracle.acks(1, &late, WEAK);
        assert_eq!(settled(oracle, &[1]), 0);
        let weak = written(&[(write(1, &[]), Some(SURE)), (write(2, &[1]), Some(WEAK))]);
        assert_eq!(settled(weak, &[1, 2]), 1, "without a loss the weakest promise holds as well");
    }

    #[test]
    fn strict_reads_are_regular_and_never_go_back() {
        let mut oracle = written(&[(write(1, &[]), Some(SURE)), (write(2, &[]), None)]);
        let debt = oracle.begins_read(1, true);
        oracle.ends_read(1, &debt, &[1, 2], true);
        assert!(oracle.violations().is_empty());
        let debt = oracle.begins_read(1, true);
        oracle.ends_read(1, &debt, &[1], true);
        assert_eq!(oracle.violations().len(), 1, "2 was read before");
        let debt = oracle.begins_read(1, false);
        oracle.ends_read(1, &debt, &[], false);
        assert_eq!(oracle.violations().len(), 1, "who is not strict is owed nothing");
    }

    #[test]
    fn one_of_the_last_writers_wins() {
        let mut oracle = Oracle::new([(1, Rule::LastWriterWins)]);
        for value in [1, 2] {
            oracle.sends(1, &write(value, &[]));
            oracle.acks(1, &write(value, &[]), SURE);
        }
        oracle.settles(1, &[1]);
        assert!(oracle.violations().is_empty());
        oracle.settles(1, &[]);
        oracle.settles(1, &[1, 2]);
        assert_eq!(oracle.violations().len(), 2);
    }
}
