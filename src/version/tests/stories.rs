//! The schedules in which a store of this kind loses or resurrects data, as far as they are about
//! versions: `story_NN` is the schedule's number.

use super::kit::{actor, dot, operation, operations, started, write_at};
use crate::id::{BucketId, ClusterId};
use crate::time::{HybridClock, WallClock};
use crate::version::{
    Conflict, ContextError, ContextScope, Incarnations, Kind, Record, Seen, Siblings, Written,
};

/// A node with one key: its record and its lives.
#[derive(Clone)]
struct Node {
    record: Record,
    lives: Incarnations,
    witnessed: bool,
}

impl Node {
    fn started(incarnation: u64) -> Node {
        Node { record: Record::new(Kind::Siblings), lives: started(incarnation), witnessed: true }
    }

    fn put(&mut self, seen: &Seen, sequence: u64) -> Written {
        let write = write_at(sequence, 1_000 + sequence);
        self.record.write(seen, write, &mut self.lives, self.witnessed).unwrap()
    }

    /// A write that must be new; its dot is (incarnation, mint, counter).
    fn put_new(&mut self, seen: &Seen, sequence: u64) -> (u64, u32, u64) {
        match self.put(seen, sequence) {
            Written::New(dot) => (dot.actor.incarnation, dot.actor.mint, dot.counter),
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, other: &Node) {
        self.record.join(&other.record);
    }

    fn holds(&self) -> Vec<u64> {
        operations(&self.record.siblings)
    }

    fn seen(&self) -> Seen {
        self.record.context()
    }
}

fn nothing() -> Seen {
    Seen::default()
}

#[test]
fn story_01_two_stale_writes_through_one_coordinator_stay_siblings_everywhere() {
    let mut a = Node::started(1);
    a.put_new(&nothing(), 0);
    let v0 = a.seen();
    a.put_new(&v0, 1);
    let first = a.clone();
    a.put_new(&v0, 2);
    assert_eq!(a.holds(), [1, 2]);
    for order in [[&first, &a], [&a, &first]] {
        let mut b = Node::started(2);
        order.into_iter().for_each(|sender| b.join(sender));
        assert_eq!(b.holds(), [1, 2]);
    }
}

#[test]
fn story_02_a_stand_in_that_forgot_mints_a_fresh_actor() {
    let (mut a, mut d) = (Node::started(1), Node::started(4));
    let v1 = d.put_new(&nothing(), 1);
    a.join(&d);
    d.record = Record::new(Kind::Siblings);
    let v2 = d.put_new(&nothing(), 2);
    assert_eq!((v1, v2), ((4, 0, 1), (4, 1, 1)));
    a.join(&d);
    assert_eq!(a.holds(), [1, 2]);
}

#[test]
fn story_03_two_unflushed_dots_on_two_replicas_survive_the_restart_of_their_maker() {
    let (mut a, mut b, mut c) = (Node::started(1), Node::started(2), Node::started(3));
    a.put_new(&nothing(), 11);
    let durable = a.record.clone();
    a.put_new(&nothing(), 12);
    b.join(&a);
    let mut only_13 = Node { record: Record::new(Kind::Siblings), ..a.clone() };
    a.put_new(&nothing(), 13);
    only_13.join(&a);
    c.join(&only_13);
    a.record = durable;
    a.lives.begin(9);
    a.join(&b);
    let seen = a.seen();
    let fresh = a.put_new(&seen, 14);
    assert_eq!(fresh, (9, 0, 1));
    c.join(&a);
    assert_eq!(c.holds(), [13, 14], "what B brought was seen and replaced, C's was not");
}

#[test]
fn story_04_a_wiped_node_under_its_old_name_covers_nothing_of_its_old_life() {
    let mut a = Node::started(1);
    for sequence in 1..10 {
        let seen = a.seen();
        a.put_new(&seen, sequence);
    }
    let mut b = Node::started(2);
    b.join(&a);
    let mut a = Node::started(9);
    a.put_new(&nothing(), 10);
    b.join(&a);
    assert_eq!(b.holds(), [9, 10]);
}

/// A writes on to (A,9) after its directory was copied at (A,5); the copy comes back.
fn old_copy(cleanly: bool) -> (Node, Node) {
    let mut a = Node::started(1);
    for sequence in 1..=5 {
        let seen = a.seen();
        a.put_new(&seen, sequence);
    }
    let mut copy = a.clone();
    if cleanly {
        copy.lives.end_cleanly();
        a = copy.clone();
        a.lives.begin(2);
    }
    for sequence in 6..=9 {
        assert_eq!(a.put_new(&nothing(), sequence), (1, 0, sequence), "the old actor goes on");
    }
    let mut b = Node::started(20);
    b.join(&a);
    copy.witnessed = false;
    copy.lives.begin(3);
    (copy, b)
}

fn nothing_of_the_lost_life_is_covered(a: Node, mut b: Node) {
    // It writes before the witnesses have answered, and it writes after they said that it is behind.
    let (mut early, mut late) = (a.clone(), a);
    assert_eq!(early.put_new(&nothing(), 30), (3, 0, 1));
    late.lives.begin_lineage(4);
    late.witnessed = true;
    assert_eq!(late.put_new(&nothing(), 31), (4, 0, 1));
    b.join(&early);
    b.join(&late);
    assert_eq!(b.holds(), [5, 6, 7, 8, 9, 30, 31]);
}

#[test]
fn story_05_an_old_backup_covers_nothing_of_what_it_lost() {
    let (a, b) = old_copy(false);
    nothing_of_the_lost_life_is_covered(a, b);
}

#[test]
fn story_06_an_old_copy_that_says_it_stopped_cleanly_covers_nothing_of_what_it_lost() {
    let (a, b) = old_copy(true);
    assert!(a.lives.may_go_on(actor(1)), "the copy believes in itself");
    nothing_of_the_lost_life_is_covered(a, b);
}

#[test]
fn story_07_a_dot_hidden_by_rot_is_never_minted_again() {
    let mut a = Node::started(1);
    for sequence in 1..=6 {
        a.put_new(&nothing(), sequence);
    }
    let fallen_back = a.record.clone();
    a.put_new(&nothing(), 7);
    let mut b = Node::started(2);
    b.join(&a);
    // Damage begins a new lineage.
    a.record = fallen_back.clone();
    a.lives.end_cleanly();
    a.lives.begin_lineage(3);
    assert_eq!(a.put_new(&nothing(), 8), (3, 0, 1));
    // And where the replica has brought the dot back before anybody noticed: it was not minted here.
    let mut unnoticed = Node { record: fallen_back, ..Node::started(1) };
    unnoticed.lives.continue_or_mint(None, [&Default::default(); 2], true).unwrap();
    unnoticed.join(&b);
    assert_eq!(unnoticed.put_new(&nothing(), 9), (1, 1, 1));
}

#[test]
fn story_08_a_put_retried_through_another_coordinator_is_one_sibling() {
    let (mut a, mut b) = (Node::started(1), Node::started(2));
    a.put_new(&nothing(), 1);
    let mut c = Node::started(3);
    c.join(&a);
    // B had not heard of it: a second dot of the same write. C had.
    b.put_new(&nothing(), 1);
    assert_eq!(c.put(&nothing(), 1), Written::Repeated(dot(1, 1)));
    for (mut here, there) in [(b.clone(), &c), (c.clone(), &b)] {
        here.join(there);
        assert_eq!(here.holds(), [1]);
        let seen = here.seen();
        here.put_new(&seen, 2);
        here.join(&a);
        here.join(&b);
        assert_eq!(here.holds(), [2]);
    }
}

#[test]
fn story_09_a_late_retry_does_not_bring_an_overwritten_value_back() {
    for kind in [Kind::Siblings, Kind::Lww] {
        let (mut a, mut b) = (Node::started(1), Node::started(2));
        (a.record.kind, b.record.kind) = (kind, kind);
        a.put_new(&nothing(), 12);
        let seen = a.seen();
        a.put_new(&seen, 13);
        let mut lagging = Node::started(3);
        lagging.record.kind = kind;
        // B has heard of both; the lagging node of neither, and takes the retry for new.
        b.join(&a);
        assert_eq!(b.put(&nothing(), 12), Written::Replaced(dot(1, 1)));
        lagging.put_new(&nothing(), 12);
        for (mut here, there) in [(b.clone(), &lagging), (lagging.clone(), &b)] {
            here.join(there);
            assert_eq!(here.holds(), [13], "{kind:?}");
        }
    }
}

fn scope(key: &str) -> ContextScope {
    ContextScope::new(ClusterId(1), BucketId(2), key.as_bytes(), b"", &[7; 32])
}

#[test]
fn story_10_a_borrowed_token_is_refused() {
    let mut x = Node::started(1);
    x.put_new(&nothing(), 1);
    let token = scope("x").seal(&x.seen());
    assert_eq!(scope("y").open(&token, &[]), Err(ContextError::OtherKey));
    assert_eq!(scope("x").open(&token, &[]), Ok(x.seen()));
}

#[test]
fn story_11_a_claim_of_two_to_the_sixty_swallows_no_later_write() {
    let mut a = Node::started(1);
    a.put_new(&nothing(), 1);
    let claim =
        Seen::from([dot(1, 1 << 60)].into_iter().collect::<crate::version::VersionVector>());
    let stranger = ContextScope::new(ClusterId(1), BucketId(2), b"x", b"", &[8; 32]);
    assert_eq!(scope("x").open(&stranger.seal(&claim), &[]), Err(ContextError::Forged));
    // Even if one got through: the claimed actor is left, and what it was told to cover stays as it is.
    let mut b = Node::started(2);
    a.put_new(&nothing(), 2);
    b.join(&a);
    assert_eq!(a.put_new(&claim, 3), (1, 1, 1));
    assert_eq!(a.put_new(&nothing(), 4), (1, 1, 2));
    b.join(&a);
    assert_eq!(b.holds(), [3, 4]);
}

#[test]
fn story_12_a_stamp_from_the_year_2100_wins_its_key_and_moves_the_clock_half_a_second() {
    let now = WallClock(1_700_000_000_000);
    let year_2100 = WallClock(4_102_444_800_000);
    let mut clock = HybridClock::default();
    let mut a = Node::started(1);
    a.record.kind = Kind::Lww;
    let future = write_at(1, year_2100.0);
    a.record.write(&nothing(), future, &mut a.lives, true).unwrap();
    clock.observe(now, a.record.clock);
    // The same key can still be written by whoever comes later; another key is stamped near the present.
    let mut next = write_at(2, 0);
    next.stamp = clock.tick(now, a.record.stamp_after(&nothing()));
    a.record.write(&nothing(), next, &mut a.lives, true).unwrap();
    assert_eq!(a.holds(), [2]);
    assert!(clock.tick(now, Record::new(Kind::Lww).clock).wall().0 <= now.0 + 500);
}

#[test]
fn a_write_in_an_lww_bucket_lies_above_what_is_stored_whatever_the_caller_stamps() {
    let mut a = Node::started(1);
    a.record.kind = Kind::Lww;
    for (sequence, millis) in [(1, 500), (2, 10)] {
        a.record.write(&nothing(), write_at(sequence, millis), &mut a.lives, true).unwrap();
    }
    assert_eq!(a.holds(), [2]);
    assert_eq!(a.record.kind.conflict(), Conflict::Lww);
    let retry = a.record.write(&nothing(), write_at(1, 900), &mut a.lives, true).unwrap();
    assert_eq!(retry, Written::Replaced(dot(1, 1)), "a lost stamp is remembered against retries");
    assert!(a.record.siblings.find(operation(2)).is_some());
}

/// Seed 1132892: 1 and 2, which had seen it, were known to one disk alone, and that is gone. 3 had seen 2, and what its
/// context says of 1 is a dot.
#[test]
fn what_a_replaced_write_had_seen_does_not_come_back_when_both_are_tried_again() {
    let (mut lost, mut b) = (Node::started(1), Node::started(2));
    lost.put_new(&nothing(), 1);
    let shown_1 = lost.seen();
    lost.put_new(&shown_1, 2);
    let shown_2 = lost.seen();
    b.put_new(&shown_2, 3);
    let mut early = b.clone();
    assert!(matches!(b.put(&shown_1, 2), Written::Replaced(_)));
    assert!(
        matches!(b.put(&nothing(), 1), Written::Replaced(_)),
        "2 was acknowledged, and had seen it"
    );
    assert_eq!(b.holds(), [3]);
    // The other way round.
    early.put_new(&nothing(), 1);
    assert!(matches!(early.put(&shown_1, 2), Written::Replaced(_)));
    assert_eq!(early.holds(), [3]);
    b.join(&early);
    assert_eq!(b.holds(), [3]);
}

/// Found by the simulator. A write is tried through two nodes and has two dots; who saw it under the one deletes it,
/// through a node that has heard of neither.
#[test]
fn who_saw_a_write_under_one_dot_removes_it_under_the_other_also_where_nobody_knew_it() {
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        let [mut first, mut second, mut stranger] =
            [const { None }; 3].map(|_: Option<()>| Siblings::new());
        first.write(&Seen::default(), actor(1), write_at(1, 100), conflict);
        second.write(&Seen::default(), actor(2), write_at(1, 200), conflict);
        stranger.write(&first.context(), actor(3), write_at(2, 300), conflict);
        let mut read = stranger.clone();
        read.join(&second, conflict);
        assert_eq!(operations(&read), [2], "{conflict:?}");
        // And the other way round: the twin is what is known.
        second.write(&first.context(), actor(2), write_at(3, 400), conflict);
        assert_eq!(operations(&second), [3], "{conflict:?}");
    }
}
