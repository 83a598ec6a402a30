//! Who owns what, as far as this client knows: whom to ask first.
//!
//! ```text
//!   reply: epoch 7 ── we know 5 ──► the next request of any link takes a question along ──► placement of epoch 7
//!   put "carts" "alice" ── token ──► partition ──► owners n2 n4 n5 ──► the least busy of the links to them
//! ```
//!
//! It saves a hop, and nothing depends on it: any node may be asked, and a stale table costs the hop again. Nodes go by
//! the names with which they greet, for they may be reached at other addresses than they know of.

use crate::id::Epoch;
use crate::message::Placement;
use crate::message::client::Request;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// How often the placement is asked for at most, over all links.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The place of a node that is no member, or that has not greeted.
const NOBODY: u32 = u32::MAX;

/// See the module's picture. One table, one name for each node of the builder's list.
#[derive(Debug)]
pub(super) struct Routing {
    known: RwLock<Known>,
    /// The place among the members, node by node of the builder's list.
    places: Vec<AtomicU32>,
    /// The epoch of the table; 0: there is none.
    epoch: AtomicU64,
    /// The highest epoch that a reply has told of.
    heard: AtomicU64,
    asked: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Known {
    names: Vec<String>,
    table: Option<Arc<Placement>>,
}

/// The owners of what a request is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners(Vec<u16>);

impl Owners {
    /// Whether the member at this place is one of them.
    fn contain(&self, place: u32) -> bool {
        self.0.iter().any(|owner| u32::from(*owner) == place)
    }

    /// Whether nothing is known of them.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Routing {
    pub(super) fn new(nodes: usize) -> Routing {
        Routing {
            known: RwLock::new(Known { names: vec![String::new(); nodes], table: None }),
            places: (0..nodes).map(|_| AtomicU32::new(NOBODY)).collect(),
            epoch: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            asked: Mutex::new(None),
        }
    }

    /// A reply came from a node that lives in this epoch; 0: it does not say.
    pub(super) fn heard(&self, Epoch(epoch): Epoch) {
        if epoch > self.heard.load(Ordering::Relaxed) {
            self.heard.fetch_max(epoch, Ordering::Relaxed);
        }
    }

    /// The table is to be asked for again although no epoch has moved.
    pub(super) fn distrust(&self) {
        self.epoch.store(0, Ordering::Relaxed);
    }

    /// Whether the placement should be asked for, by whoever calls this first.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let behind = self.heard.load(Ordering::Relaxed) > self.epoch.load(Ordering::Relaxed);
        // With one node to talk to there is nothing to choose.
        if !behind || self.places.len() < 2 {
            return false;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_some_and(|at| now.saturating_duration_since(at) < ASK_EVERY) {
            return false;
        }
        *asked = Some(now);
        true
    }

    /// A node has greeted by this name.
    pub(super) fn greeted(&self, node: usize, name: &str) {
        let known = &mut *self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = known.names.get_mut(node)
            && *before != name
        {
            name.clone_into(before);
            self.find(known);
        }
    }

    /// A node has told who owns what. What makes no sense is as if it had not.
    pub(super) fn install(&self, placement: Placement) {
        let known = &mut *self.known.write().unwrap_or_else(PoisonError::into_inner);
        let newer = known.table.as_ref().is_none_or(|table| placement.epoch >= table.epoch);
        if !newer || placement.check().is_err() {
            return;
        }
        self.epoch.store(placement.epoch.0, Ordering::Relaxed);
        known.table = Some(Arc::new(placement));
        self.find(known);
    }

    fn find(&self, known: &Known) {
        let Some(table) = &known.table else { return };
        for (place, name) in self.places.iter().zip(&known.names) {
            let found = table.members.iter().position(|member| member == name);
            let found = found.and_then(|at| u32::try_from(at).ok()).unwrap_or(NOBODY);
            place.store(found, Ordering::Relaxed);
        }
    }

    /// Who owns what this is about; nobody, if it is about no key, or nothing is known.
    pub(super) fn owners(&self, request: &Request) -> Owners {
        let (bucket, key) = match request {
            Request::Get { item, .. }
            | Request::Check { item, .. }
            | Request::Explain { item, .. }
            | Request::Put { item, .. } => (&item.bucket, &item.key),
            Request::Scan { bucket, key, .. } => (bucket, key),
            _ => return Owners::default(),
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let owners = known.table.as_ref().map(|table| table.owners_of(bucket, key).to_vec());
        Owners(owners.unwrap_or_default())
    }

    /// Whether this node of the builder's list is one of them.
    pub(super) fn is_one_of(&self, node: usize, owners: &Owners) -> bool {
        self.places.get(node).is_some_and(|place| owners.contain(place.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::client::Item;
    use crate::quorum::QuorumRequest;
    use crate::ring::Partitions;

    fn placement(epoch: u64, owner: u16) -> Placement {
        Placement {
            epoch: Epoch(epoch),
            partitions: Partitions::new(1).expect("a power of two"),
            members: vec!["a".into(), "b".into(), "c".into()],
            replicas: 1,
            owners: vec![owner],
            smaller: Vec::new(),
        }
    }

    fn get() -> Request {
        let item = Item { bucket: "b".into(), key: "k".into(), sort: Default::default() };
        Request::Get { item, quorum: QuorumRequest::default() }
    }

    /// Which of the nodes are owners.
    fn chosen(routing: &Routing) -> Vec<usize> {
        let owners = routing.owners(&get());
        (0..3).filter(|node| routing.is_one_of(*node, &owners)).collect()
    }

    #[test]
    fn owners_are_found_by_the_names_with_which_nodes_greet() {
        let routing = Routing::new(3);
        routing.greeted(0, "c");
        assert!(routing.owners(&get()).is_empty());
        routing.install(placement(4, 2));
        assert_eq!(chosen(&routing), [0]);
        routing.greeted(2, "b");
        routing.install(placement(5, 1));
        assert_eq!(chosen(&routing), [2]);
        routing.install(placement(4, 2));
        assert_eq!(chosen(&routing), [2], "that was older");
        routing.greeted(2, "somebody else");
        assert_eq!(chosen(&routing), [0_usize; 0]);
        routing.install(Placement { owners: vec![9], ..placement(9, 0) });
        assert_eq!(routing.epoch.load(Ordering::Relaxed), 5, "that made no sense");
    }

    #[tokio::test]
    async fn the_placement_is_asked_for_when_an_epoch_has_moved_and_once_a_second_at_most() {
        let (routing, now) = (Routing::new(3), Instant::now());
        assert!(!routing.is_due(now), "nobody has said anything");
        routing.heard(Epoch(0));
        assert!(!routing.is_due(now), "a node that does not say is not asked");
        routing.heard(Epoch(4));
        assert!(routing.is_due(now));
        assert!(!routing.is_due(now + ASK_EVERY / 2));
        assert!(routing.is_due(now + ASK_EVERY), "no answer came");
        routing.install(placement(3, 0));
        assert!(routing.is_due(now + ASK_EVERY * 2), "that one was behind");
        routing.install(placement(4, 0));
        assert!(!routing.is_due(now + ASK_EVERY * 3));
        routing.distrust();
        assert!(routing.is_due(now + ASK_EVERY * 3));
        let lone = Routing::new(1);
        lone.heard(Epoch(4));
        assert!(!lone.is_due(now), "there is nothing to choose");
    }
}
