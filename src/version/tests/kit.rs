//! Short words for versions in tests.

use crate::time::{HybridTime, WallClock};
use crate::version::{
    Actor, Conflict, Content, Dot, Incarnations, OperationId, Seen, Siblings, Write, Written,
};
use bytes::Bytes;

/// The first actor of an incarnation.
pub fn actor(incarnation: u64) -> Actor {
    Actor { incarnation, mint: 0 }
}

pub fn dot(incarnation: u64, counter: u64) -> Dot {
    Dot::new(actor(incarnation), counter)
}

pub fn operation(sequence: u64) -> OperationId {
    OperationId { session: 1, sequence }
}

/// A write at that millisecond.
pub fn write_at(sequence: u64, millis: u64) -> Write {
    Write {
        operation: operation(sequence),
        stamp: HybridTime::from_wall(WallClock(millis)),
        expires_at: None,
        content: Content::Value(Bytes::from(sequence.to_be_bytes().to_vec())),
        tried_since: None,
    }
}

/// Puts operation `sequence` through the actor `at`, in a `siblings` bucket.
pub fn put(replica: &mut Siblings, at: u64, seen: &Seen, sequence: u64) -> Written {
    replica.write(seen, actor(at), write_at(sequence, 1_000 + sequence), Conflict::Siblings)
}

pub fn operations(replica: &Siblings) -> Vec<u64> {
    let mut found: Vec<_> = replica.iter().map(|s| s.operation.sequence).collect();
    found.sort_unstable();
    found
}

/// The lives of a node that runs as this incarnation, its first.
pub fn started(incarnation: u64) -> Incarnations {
    let mut lives = Incarnations::new();
    lives.begin(incarnation);
    lives
}
