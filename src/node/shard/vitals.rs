//! What members say of themselves while somebody looks: how much they hold, how much room there is, how they feel.
//!
//! ```text
//!   members? ──► answered at once, with what was said lately
//!        └─────► each member that is alive: AskVitals ──► Vitals, for whoever looks next
//! ```
//!
//! Nobody is asked while nobody looks, and nothing that a node decides depends on it.

use super::{Shard, Turn};
use crate::id::NodeId;
use crate::message::peer::{Data, Vitals};
use crate::message::{Class, Header};
use crate::node::outbox::About;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// How often the others are asked, however often somebody looks.
const EVERY: Duration = Duration::from_secs(1);
/// What was said so long ago is not shown.
const STALE: Duration = Duration::from_secs(10);
/// The request number of a question whose answer no request waits for.
const NO_REQUEST: u64 = 0;

/// What was said, by whom, and when.
#[derive(Debug, Default)]
pub(super) struct Said {
    by: BTreeMap<NodeId, (Instant, Vitals)>,
    asked: Option<Instant>,
}

impl Said {
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.asked.is_none_or(|asked| asked + EVERY <= now);
        if due {
            self.asked = Some(now);
            self.by.retain(|_, (said, _)| *said + STALE > now);
        }
        due
    }
}

impl Shard {
    /// What a member said of itself within the last seconds; of this node, what is so.
    pub fn vitals_of(&self, node: NodeId, turn: &Turn) -> Option<Vitals> {
        let (said, vitals) = self.said.by.get(&node)?;
        (*said + STALE > turn.now.instant).then_some(*vitals)
    }

    /// What is so of this node.
    pub fn own_vitals(&self, local_health: Option<u32>, turn: &Turn) -> Vitals {
        let room = turn.store.room();
        Vitals {
            items: self.items(),
            used_bytes: room.map(|room| room.used),
            free_bytes: room.map(|room| room.free),
            local_health,
        }
    }

    /// Somebody looks: who is alive is asked, for the next look.
    pub fn ask_vitals(&mut self, turn: &mut Turn) {
        if !self.said.is_due(turn.now.instant) {
            return;
        }
        let alive = self.view.peers.values().filter(|peer| peer.alive);
        for to in alive.filter_map(|peer| peer.address) {
            let about = About { class: Class::Background, request: NO_REQUEST, ..About::default() };
            turn.outbox.send_data(to, about, &Data::AskVitals);
        }
    }

    /// A member asks.
    pub fn tell_vitals(&mut self, header: &Header, local_health: Option<u32>, turn: &mut Turn) {
        match self.admits(header) {
            Ok(()) => {
                let vitals = self.own_vitals(local_health, turn);
                self.answer_peer(header, &Data::Vitals(vitals), 0, turn);
            }
            Err(refusal) => self.refuse(header, refusal, turn),
        }
    }

    /// A member has told; only of itself, so that there are never more than there are members.
    pub(super) fn heard_vitals(&mut self, from: NodeId, vitals: Vitals, turn: &Turn) {
        self.said.by.insert(from, (turn.now.instant, vitals));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lone, ME, agreement, view, without};
    use super::*;
    use crate::ring::BucketSettings;

    const FULL: Vitals =
        Vitals { items: Some(7), used_bytes: Some(8), free_bytes: Some(9), local_health: Some(1) };

    fn three() -> Lone {
        let three = agreement(&[1, 2, 3], 3, BucketSettings::new(3));
        Lone::open(without(view(three), 3))
    }

    fn asked(lone: &mut Lone) -> Vec<NodeId> {
        let sent = std::mem::take(&mut lone.sent);
        let asked = sent.into_iter().filter(|(_, _, message)| *message == Data::AskVitals);
        asked.map(|(to, _, _)| to).collect()
    }

    #[test]
    fn who_is_alive_is_asked_once_a_second_while_somebody_looks_and_else_nobody() {
        let mut lone = three();
        lone.run_for(5_000);
        assert_eq!(asked(&mut lone), []);
        for _ in 0..9 {
            lone.turn(|shard, turn| shard.ask_vitals(turn));
        }
        assert_eq!(asked(&mut lone), [NodeId(2)]);
        lone.run_for(1_000);
        lone.turn(|shard, turn| shard.ask_vitals(turn));
        assert_eq!(asked(&mut lone), [NodeId(2)]);
    }

    #[test]
    fn what_a_member_says_is_shown_for_some_seconds() {
        let mut lone = three();
        let told = |lone: &mut Lone| lone.turn(|shard, turn| shard.vitals_of(NodeId(2), turn));
        assert_eq!(told(&mut lone), None);
        lone.hear(2, NO_REQUEST, Data::Vitals(FULL));
        assert_eq!(told(&mut lone), Some(FULL));
        lone.run_for(9_000);
        assert_eq!(told(&mut lone), Some(FULL));
        lone.run_for(1_000);
        assert_eq!(told(&mut lone), None);
    }

    #[test]
    fn a_member_that_asks_hears_what_is_so_here_and_one_that_was_replaced_does_not() {
        let mut lone = three();
        let layout = lone.shard.view.agreement.layout.clone();
        let member = layout.member(NodeId(2)).expect("a member");
        let mut header = Header {
            cluster: layout.cluster,
            epoch: layout.epoch,
            sender: NodeId(2),
            lineage: member.lineage,
            request: 5,
            ..Header::new(crate::message::Kind::Data)
        };
        lone.sent.clear();
        lone.turn(|shard, turn| shard.tell_vitals(&header, Some(3), turn));
        let (to, answer, message) = lone.sent.pop().expect("an answer");
        assert_eq!((to, answer.sender, answer.request), (NodeId(2), ME, 5));
        let Data::Vitals(vitals) = message else { panic!("{message:?}") };
        assert_eq!(vitals, lone.turn(|shard, turn| shard.own_vitals(Some(3), turn)));
        header.lineage.0 += 1;
        lone.turn(|shard, turn| shard.tell_vitals(&header, Some(3), turn));
        assert!(matches!(lone.sent.pop(), Some((_, _, Data::Refused(_)))));
    }
}
