//! How fast hints go to an owner: additive increase, multiplicative decrease, by what the replay itself feels.
//!
//! ```text
//!   window  1 ─┐confirmed in time: one more a window        ┌─ confirmed late, refused, or not at all: half
//!              └──► 8 ──► 20 ──► 41 ────────────────────────┴──► 20 ──► …
//! ```
//!
//! "In time" is against the shortest round trip that was seen: a queue anywhere on the way, in the owner's disk
//! or behind what its clients want, shows as a longer one. (Jacobson, "Congestion Avoidance and Control", 1988; the
//! measure is that of Vegas, Brakmo & Peterson 1995.) A ceiling per tick is above all that. And the owner
//! bounds what it takes from all of them together: `Intake`.

use super::after_flush::AfterFlush;
use crate::store::CommitNumber;
use crate::time::{Duration, Instant};

/// The most items on their way to one owner.
const WIDEST: u32 = 64;
/// The most bytes on their way to one owner, however large the window: what a foreground frame may find before
/// it in a connection.
const BYTES_AT_ONCE: usize = 1 << 20;
/// The most that one owner is sent in a tick.
const ITEMS_A_TICK: usize = 512;
const BYTES_A_TICK: usize = 1 << 20;
/// A round trip is late when it is so many times the shortest one, and this longer.
const LATE_FACTOR: u64 = 3;
const LATE_BY: Duration = Duration::from_millis(20);
/// How long nothing is sent to an owner that has refused.
const REST: Duration = Duration::from_millis(250);
/// The most that is taken from all other nodes between two ticks, and that waits for the disk at a time.
const INTAKE_ITEMS: usize = 1024;
const INTAKE_BYTES: usize = 4 << 20;
const INTAKE_WAITING: usize = 256;

/// See the module's picture.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    window: u32,
    /// Confirmations in time since the window grew.
    credit: u32,
    shortest: Option<Duration>,
    /// When it was last halved: once a round trip is enough.
    halved: Instant,
    rests_until: Instant,
    items: usize,
    bytes: usize,
    items_left: usize,
    bytes_left: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            window: 4,
            credit: 0,
            shortest: None,
            halved: Instant::default(),
            rests_until: Instant::default(),
            items: 0,
            bytes: 0,
            items_left: ITEMS_A_TICK,
            bytes_left: BYTES_A_TICK,
        }
    }
}

impl Pace {
    /// Another tick has begun.
    pub fn tick(&mut self) {
        (self.items_left, self.bytes_left) = (ITEMS_A_TICK, BYTES_A_TICK);
    }

    /// How many items may be sent now.
    pub fn room(&self, now: Instant) -> usize {
        if now < self.rests_until || self.bytes >= BYTES_AT_ONCE || self.bytes_left == 0 {
            return 0;
        }
        (self.window as usize).saturating_sub(self.items).min(self.items_left)
    }

    /// Whether enough has come back that more may follow before the next tick.
    pub fn is_half_empty(&self) -> bool {
        self.items <= self.window as usize / 2
    }

    /// An item of so many bytes is on its way.
    pub fn sent(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
        self.items_left = self.items_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
    }

    fn back(&mut self, bytes: usize) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// The owner has it durably.
    pub fn confirmed(&mut self, bytes: usize, sent: Instant, now: Instant) {
        self.back(bytes);
        let took = now.since(sent);
        let shortest = self.shortest.map_or(took, |shortest| shortest.min(took));
        self.shortest = Some(shortest);
        if took > Duration::from_micros(shortest.as_micros() as u64 * LATE_FACTOR) + LATE_BY {
            return self.halve(sent, now);
        }
        // What was sent while there was more says nothing of whether there may be more again.
        self.credit += u32::from(sent >= self.halved);
        if self.credit >= self.window {
            (self.credit, self.window) = (0, (self.window + 1).min(WIDEST));
        }
    }

    /// It was refused, or nobody knows.
    pub fn failed(&mut self, bytes: usize, sent: Instant, now: Instant) {
        self.back(bytes);
        self.halve(sent, now);
        self.rests_until = now + REST;
    }

    /// This node has enough to do itself.
    pub fn yield_now(&mut self, now: Instant) {
        self.halve(now, now);
    }

    fn halve(&mut self, sent: Instant, now: Instant) {
        // What was sent before the last time tells nothing new.
        if sent >= self.halved {
            (self.window, self.credit, self.halved) = ((self.window / 2).max(1), 0, now);
        }
    }
}

/// What this node takes of others' hints and repairs: bounded in all, however many they are.
#[derive(Debug, Default)]
pub(super) struct Intake {
    items: usize,
    bytes: usize,
    waiting: usize,
    unflushed: AfterFlush<()>,
}

impl Intake {
    /// Another tick has begun. `idle`: nothing is on its way to the disk, so nothing waits for it; what changed
    /// nothing here was in no batch.
    pub fn tick(&mut self, idle: bool) {
        (self.items, self.bytes) = (0, 0);
        if idle {
            (self.waiting, self.unflushed) = (0, AfterFlush::default());
        }
    }

    /// Whether an item may be taken; less when there are clients to serve.
    pub fn has_room(&self, busy: bool) -> bool {
        let share = if busy { 4 } else { 1 };
        self.items < INTAKE_ITEMS / share
            && self.bytes < INTAKE_BYTES / share
            && self.waiting < INTAKE_WAITING / share
    }

    /// One is taken, in the batch of this turn.
    pub fn take(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
        self.waiting += 1;
        self.unflushed.stage(());
    }

    /// See [`AfterFlush`].
    pub fn committed(&mut self, number: CommitNumber) {
        self.unflushed.committed(number);
    }

    /// See [`AfterFlush`].
    pub fn durable(&mut self, number: CommitNumber) {
        self.waiting -= self.unflushed.durable(number).len();
    }

    /// See [`AfterFlush`].
    pub fn forget_staged(&mut self) {
        self.waiting -= self.unflushed.refused().len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    fn at(us: u64) -> Instant {
        Instant::default() + Duration::from_micros(us)
    }

    /// Sends all there is room for, and hears of it after so long; the window then.
    fn round(pace: &mut Pace, now: &mut u64, took: u64) -> usize {
        pace.tick();
        let room = pace.room(at(*now));
        (0..room).for_each(|_| pace.sent(100));
        let sent = at(*now);
        *now += took;
        (0..room).for_each(|_| pace.confirmed(100, sent, at(*now)));
        room
    }

    #[test]
    fn the_window_grows_by_one_a_round_and_a_late_answer_halves_it_once() {
        let (mut pace, mut now) = (Pace::default(), MS);
        for expected in [4, 5, 6, 7, 8] {
            assert_eq!(round(&mut pace, &mut now, MS), expected);
        }
        assert_eq!(round(&mut pace, &mut now, 50 * MS), 9);
        assert_eq!(round(&mut pace, &mut now, MS), 4, "nine late ones are one sign");
        for _ in 0..100 {
            round(&mut pace, &mut now, MS);
        }
        assert_eq!(round(&mut pace, &mut now, MS), WIDEST as usize);
    }

    #[test]
    fn who_refuses_is_left_alone_for_a_while_and_then_asked_for_less() {
        let mut pace = Pace::default();
        (0..4).for_each(|_| pace.sent(100));
        pace.failed(100, at(0), at(MS));
        assert_eq!(pace.room(at(2 * MS)), 0);
        (0..3).for_each(|_| pace.confirmed(100, at(0), at(3 * MS)));
        assert_eq!(pace.room(at(MS) + REST), 2);
    }

    #[test]
    fn large_items_fill_the_window_by_their_bytes() {
        let mut pace = Pace::default();
        pace.sent(BYTES_AT_ONCE);
        assert_eq!(pace.room(at(0)), 0);
        pace.confirmed(BYTES_AT_ONCE, at(0), at(MS));
        assert_eq!(pace.room(at(MS)), 0, "that was all for this tick");
        pace.tick();
        assert_eq!(pace.room(at(MS)), 4);
    }

    #[test]
    fn many_stand_ins_together_are_bounded_at_the_owner() {
        let mut intake = Intake::default();
        for batch in 1..=4 {
            let mut taken = 0;
            while intake.has_room(false) && taken < 1_000 {
                intake.take(100);
                taken += 1;
            }
            assert_eq!(taken, INTAKE_WAITING, "until the disk has them");
            intake.committed(CommitNumber(batch));
            intake.durable(CommitNumber(batch));
        }
        assert!(!intake.has_room(false), "and so many in a tick");
        intake.tick(false);
        (0..INTAKE_WAITING / 4).for_each(|_| intake.take(100));
        assert!(!intake.has_room(true) && intake.has_room(false));
        intake.forget_staged();
        assert!(intake.has_room(true));
        // Nothing of these is ever committed: there was nothing new in them.
        (0..INTAKE_WAITING).for_each(|_| intake.take(1));
        assert!(!intake.has_room(false));
        intake.tick(true);
        assert!(intake.has_room(false));
    }
}
