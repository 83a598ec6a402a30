//! What a test asks of the network, and waits for.

use super::network::Network;
use crate::error::Error;
use crate::id::{Lineage, NodeId};
use crate::message::client::BucketSpec;
use crate::message::peer::Control;
use crate::message::{Header, Kind};
use crate::node::topology::{Ticket, Topology};
use crate::ring::Agreement;
use crate::store::{Change, key};
use crate::swim::State;
use crate::time::Duration;
use bytes::Bytes;
use std::sync::Arc;

impl Network {
    /// Runs until it is so; fails after a minute.
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&Network) -> bool) {
        for _ in 0..6_000 {
            if is_so(self) {
                return;
            }
            self.run(Duration::from_millis(10));
        }
        let lines: Vec<String> = (0..self.machines.len()).map(|n| self.describe(n)).collect();
        panic!("never: {what}\n{}", lines.join("\n"));
    }

    /// Runs until all that are up are ready under one agreement of `members`.
    pub fn settle(&mut self, members: usize) {
        self.until(&format!("one agreement of {members}"), |net| {
            let up: Vec<&Topology> =
                net.machines.iter().filter_map(|m| m.topology.as_ref()).collect();
            let first = up.first().and_then(|t| t.agreement());
            first.is_some_and(|a| a.layout.members.len() == members)
                && up.iter().all(|t| t.readiness().is_ok() && t.agreement() == first)
        });
    }

    pub fn describe(&self, node: usize) -> String {
        let Some(topology) = &self.machines[node].topology else {
            return format!("n{} is down", node + 1);
        };
        format!(
            "n{} {:?} {:?} index {} members {:?} rejected {:?} ready {:?} asides {:?}",
            node + 1,
            topology.id(),
            topology.lineage(),
            topology.index(),
            self.names(node),
            topology.rejected(),
            topology.readiness(),
            self.machines[node].asides,
        )
    }

    pub fn topology(&self, node: usize) -> &Topology {
        self.machines[node].topology.as_ref().expect("it is up")
    }

    pub fn agreement(&self, node: usize) -> Option<Arc<Agreement>> {
        self.topology(node).agreement().cloned()
    }

    pub fn index(&self, node: usize) -> u64 {
        self.topology(node).index()
    }

    pub fn names(&self, node: usize) -> Vec<String> {
        let agreement = self.topology(node).agreement();
        let mut names: Vec<String> =
            agreement.iter().flat_map(|a| &a.layout.members).map(|m| m.name.clone()).collect();
        names.sort();
        names
    }

    pub fn life(&self, node: usize) -> (NodeId, Lineage) {
        (self.topology(node).id(), self.topology(node).lineage())
    }

    pub fn create_bucket(&mut self, node: usize, name: &str) -> Ticket {
        let spec = BucketSpec { name: name.into(), ..BucketSpec::default() };
        self.turn(node, |topology, now, _, outbox| topology.create_bucket(now, &spec, outbox))
            .expect("it is up")
    }

    pub fn outcome(&self, node: usize, ticket: Ticket) -> Option<Result<(), Error>> {
        let outcomes = &self.machines[node].outcomes;
        outcomes.iter().find(|(t, _)| *t == ticket).map(|(_, outcome)| outcome.clone())
    }

    /// What `node` believes of `of`.
    pub fn state(&self, node: usize, of: usize) -> Option<State> {
        let name = &self.machines[of].config.name;
        self.topology(node).members().into_iter().find(|m| m.name == *name)?.state
    }

    /// Commits that have nothing to do with the topology, durable at once: the node was busy.
    pub fn busy(&mut self, node: usize, commits: u64) {
        for _ in 0..commits {
            let change = Change::Put {
                key: key::meta("busy"),
                head: Bytes::new(),
                body: Bytes::from_static(b"x"),
            };
            self.turn(node, |_, _, _, outbox| outbox.persist(change));
            self.run(Duration::from_millis(2));
        }
    }
}

impl Network {
    /// Runs until these are ready under one agreement of `members`.
    pub fn settle_some(&mut self, nodes: &[usize], members: usize) {
        self.until("some agree", |net| {
            nodes.iter().all(|n| {
                net.topology(*n).readiness().is_ok()
                    && net.names(*n).len() == members
                    && net.agreement(*n) == net.agreement(nodes[0])
            })
        });
    }

    /// Runs until this one is a cluster of its own.
    pub fn settle_one(&mut self, node: usize) {
        self.settle_some(&[node], 1);
    }
}

impl Network {
    /// A control frame that seems to come from this life of a node, handed to `to`.
    pub fn forge(&mut self, to: usize, from: (NodeId, Lineage), message: Control) {
        let header = Header {
            cluster: self.topology(to).cluster(),
            sender: from.0,
            lineage: from.1,
            ..Header::new(Kind::Control)
        };
        self.turn(to, |topology, now, disk, outbox| {
            topology.handle_control(now, &header, message, disk, outbox);
        });
    }

    pub fn rejected(&self, node: usize, reason: &str) -> u64 {
        self.topology(node).rejected().get(reason).copied().unwrap_or_default()
    }
}
