//! A read that tells its story: the same read, and notes beside it. Nobody is asked more than otherwise.

use super::get::dot_name;
use super::{Shard, Turn};
use crate::coordinator::{Get, Heard};
use crate::id::{Conflict, NodeId};
use crate::message::client::{Explained, HintsKept, ReplicaAsked, Said};
use crate::ring::Bucket;
use crate::time::{Duration, Instant};
use crate::version::Record;
use std::collections::BTreeMap;

/// When each replica was asked first, and after how long it answered last.
#[derive(Debug, Default)]
pub(super) struct Notes {
    asked: BTreeMap<NodeId, (Instant, Option<Duration>)>,
}

impl Notes {
    /// A replica is asked.
    pub fn asked(&mut self, node: NodeId, now: Instant) {
        self.asked.entry(node).or_insert((now, None));
    }

    /// It has answered.
    pub fn answered(&mut self, node: NodeId, now: Instant) {
        if let Some((at, took)) = self.asked.get_mut(&node) {
            *took = Some(now.since(*at));
        }
    }

    fn took_us(&self, node: NodeId) -> Option<u64> {
        self.asked.get(&node).and_then(|(_, took)| *took).map(micros)
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

impl Shard {
    /// The story of a read that has come to this record.
    pub(super) fn explained(
        &self,
        tally: &Get,
        notes: &Notes,
        bucket: &Bucket,
        record: Option<&Record>,
        begun: Instant,
        turn: &Turn,
    ) -> Explained {
        let digest = record.map(|record| record.siblings.digest());
        let is_owner = |node: NodeId| tally.owners().any(|owner| owner == node);
        let replicas: Vec<ReplicaAsked> = tally
            .heard()
            .map(|(ask, hedge, heard)| {
                let mut told = ReplicaAsked {
                    node: self.name_of(ask.to),
                    owner: is_owner(ask.to),
                    whole: ask.whole,
                    hedge,
                    took_us: notes.took_us(ask.to),
                    ..ReplicaAsked::default()
                };
                told.said = match heard {
                    Heard::Waiting => Said::Waiting,
                    Heard::Silent => Said::Silent,
                    Heard::Refused => Said::Refused,
                    Heard::Holds(holding) => {
                        told.rebuilding = holding.rebuilding;
                        let names = holding.stands_in_for.iter().map(|node| self.name_of(*node));
                        told.stands_in_for = names.collect();
                        told.dots = match (&holding.record, holding.digest) {
                            (Some(held), _) => Some(dots(held)),
                            (None, None) => Some(Vec::new()),
                            (None, held) if held == digest => record.map(dots),
                            (None, Some(_)) => None,
                        };
                        match holding.digest {
                            None => Said::Nothing,
                            held if held == digest => Said::Same,
                            Some(_) => Said::Other,
                        }
                    }
                };
                told
            })
            .collect();
        let held_less = |replica: &&ReplicaAsked| {
            let less = matches!(replica.said, Said::Nothing | Said::Other);
            replica.owner && less && record.is_some()
        };
        let repaired: Vec<String> =
            replicas.iter().filter(held_less).map(|replica| replica.node.clone()).collect();
        let hints = tally.owners().filter_map(|owner| {
            let pending = self.handoff.pending_for(owner);
            (pending > 0).then(|| HintsKept { owner: self.name_of(owner), pending })
        });
        Explained {
            required: u32::try_from(tally.required()).unwrap_or(u32::MAX),
            took_us: micros(turn.now.instant.since(begun)),
            verdict: self.verdict(bucket.settings.conflict, record, &repaired, turn),
            replicas,
            repaired,
            hints: hints.collect(),
        }
    }

    fn verdict(
        &self,
        conflict: Conflict,
        record: Option<&Record>,
        repaired: &[String],
        turn: &Turn,
    ) -> String {
        let shown = record.map_or(0, |record| self.values(record, turn).len());
        let gone = record.map_or(0, |record| record.siblings.len().saturating_sub(shown));
        let mut words = match (record, shown, conflict) {
            (None, _, _) => "nothing: nobody who was asked has a record of it".to_owned(),
            (Some(_), 0, _) => {
                format!("nothing: what was written is deleted or has expired ({gone} such)")
            }
            (Some(_), 1, Conflict::Lww) => "one value: the one with the latest stamp".to_owned(),
            (Some(_), 1, Conflict::Siblings) => {
                "one value: all others that are known were seen by whoever wrote it, or deleted"
                    .to_owned()
            }
            (Some(_), several, _) => {
                format!("{several} siblings: no one of these writes had seen another")
            }
        };
        if !repaired.is_empty() {
            words += "; the replicas differed, and what they hold was joined";
        }
        words
    }
}

fn dots(record: &Record) -> Vec<String> {
    record.siblings.iter().map(|sibling| dot_name(&sibling.dot)).collect()
}
