//! What is told on, piggybacked on packets that go out anyway, each rumor a bounded number of times.
//!
//! ```text
//!   rumor            sent      the next packet takes the least told first, newest first among equals,
//!   n3 is suspect    0  ◄──    as many as fit
//!   n5: new facts    2
//!   n1 is alive      3  ◄──    gone after λ·⌈log10(n+1)⌉
//! ```
//!
//! A newer rumor about a member takes the place of the older (Das et al., §4.1).

use crate::id::NodeId;
use std::collections::BTreeMap;

/// What a rumor is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// Where a member is and whether it lives.
    Life,
    /// What it says about itself.
    Facts,
}

#[derive(Clone, Debug)]
struct Rumor {
    claim: Vec<u8>,
    sent: u32,
    age: u64,
}

/// All that is still told.
#[derive(Clone, Debug, Default)]
pub(super) struct Rumors {
    rumors: BTreeMap<(NodeId, Topic), Rumor>,
    born: u64,
}

impl Rumors {
    /// Begins to tell an encoded claim. News of a life carries its facts, so older facts are silenced.
    pub(super) fn tell(&mut self, about: NodeId, topic: Topic, claim: Vec<u8>) {
        if topic == Topic::Life {
            self.rumors.remove(&(about, Topic::Facts));
        }
        self.born += 1;
        self.rumors.insert((about, topic), Rumor { claim, sent: 0, age: u64::MAX - self.born });
    }

    /// Stops telling anything about a member.
    pub(super) fn silence(&mut self, about: NodeId) {
        self.rumors.remove(&(about, Topic::Life));
        self.rumors.remove(&(about, Topic::Facts));
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.rumors.is_empty()
    }

    /// Whether a member's life is still told.
    pub(super) fn tells_life_of(&self, about: NodeId) -> bool {
        self.rumors.contains_key(&(about, Topic::Life))
    }

    /// Appends the claims for one packet that may grow to `max` bytes, and says how many they are. A
    /// rumor that was sent `limit` times is dropped.
    pub(super) fn fill(&mut self, packet: &mut Vec<u8>, max: usize, limit: u32) -> u64 {
        let mut order: Vec<_> = self.rumors.iter().map(|(key, r)| (r.sent, r.age, *key)).collect();
        order.sort_unstable();
        let mut taken = 0;
        for (_, _, key) in order {
            let Some(rumor) = self.rumors.get_mut(&key) else { continue };
            if packet.len() + rumor.claim.len() > max {
                continue;
            }
            packet.extend_from_slice(&rumor.claim);
            taken += 1;
            rumor.sent += 1;
            if rumor.sent >= limit {
                self.rumors.remove(&key);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(rumors: &mut Rumors, max: usize, limit: u32) -> Vec<u8> {
        let mut packet = Vec::new();
        rumors.fill(&mut packet, max, limit);
        packet
    }

    #[test]
    fn a_rumor_is_sent_as_often_as_the_limit_says() {
        let mut rumors = Rumors::default();
        rumors.tell(NodeId(1), Topic::Life, vec![1]);
        let sent: usize = (0..10).map(|_| fill(&mut rumors, 100, 4).len()).sum();
        assert_eq!(sent, 4);
        assert!(!rumors.tells_life_of(NodeId(1)));
    }

    #[test]
    fn the_least_told_goes_first_and_the_newest_among_equals() {
        let mut rumors = Rumors::default();
        rumors.tell(NodeId(1), Topic::Life, vec![1]);
        rumors.tell(NodeId(2), Topic::Life, vec![2]);
        assert_eq!(fill(&mut rumors, 1, 9), [2]);
        assert_eq!(fill(&mut rumors, 1, 9), [1]);
        rumors.tell(NodeId(3), Topic::Facts, vec![3]);
        assert_eq!(fill(&mut rumors, 2, 9), [3, 2]);
    }

    #[test]
    fn news_takes_the_place_of_older_news_and_a_life_that_of_its_facts() {
        let mut rumors = Rumors::default();
        rumors.tell(NodeId(1), Topic::Facts, vec![1]);
        rumors.tell(NodeId(1), Topic::Facts, vec![2]);
        assert_eq!(fill(&mut rumors, 9, 9), [2]);
        rumors.tell(NodeId(1), Topic::Life, vec![3]);
        assert_eq!(fill(&mut rumors, 9, 9), [3]);
    }
}
