//! What people and programs may know of the machine.

use super::Topology;
use crate::id::{ClusterId, Lineage, NodeId};
use crate::ring::Agreement;
use crate::swim::{self, State};
use crate::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// How many are named in words.
const NAMED: usize = 5;
/// What to do where nobody answers.
pub(super) const ELSEWHERE: &str = "start those that are down; if they listen elsewhere by now, start this node with \
                                    --join and the address of one of them";

/// What is known of one member of the layout, or of somebody that only gossip knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its failure domain.
    pub zone: String,
    /// Where it listens, as far as anybody told.
    pub address: Option<SocketAddr>,
    /// Where it serves HTTP, if it does.
    pub http: Option<SocketAddr>,
    /// What is believed of it; none: it has not been met in this run, and not been looked for in vain either.
    pub state: Option<State>,
    /// Its generation, as gossip has it; the agreed one where gossip is silent.
    pub lineage: Lineage,
    /// How often it contradicted.
    pub incarnation: u64,
    /// How long its direct acks take.
    pub round_trip: Option<Duration>,
    /// The newest agreement that it says it has installed.
    pub index: u64,
    /// What it says of itself: see [`flags`](super::flags).
    pub flags: u32,
    /// How many slots it still has to copy before it owns them.
    pub to_copy: u32,
    /// Its newest durable commit that anybody told.
    pub commit: u64,
    /// The layout names it with this lineage.
    pub agreed: bool,
    /// It is this node.
    pub me: bool,
}

impl Topology {
    /// This node's id: drawn when its directory was made, or taken over with a member's name.
    pub fn id(&self) -> NodeId {
        self.identity.id
    }

    /// The life of its data.
    pub fn lineage(&self) -> Lineage {
        self.identity.lineage
    }

    /// The cluster; zero while there is none.
    pub fn cluster(&self) -> ClusterId {
        self.installed.as_ref().map(|agreement| agreement.layout.cluster).unwrap_or_default()
    }

    /// The newest agreement that is durable here.
    pub fn agreement(&self) -> Option<&Arc<Agreement>> {
        self.installed.as_ref()
    }

    /// Whether this node is a member that others count on; else why not, for people.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn readiness(&self) -> Result<(), String> {
        match self.obstacle() {
            Some(why) => Err(why),
            None if self.witness.counts() => Ok(()),
            None => Err(self.awaited()),
        }
    }

    /// What stands in the way of this node being a member at all.
    pub(super) fn obstacle(&self) -> Option<String> {
        if let Some(why) = &self.aside {
            return Some(why.clone());
        }
        if self.is_dismissed() {
            return Some(
                "no member any more: it has left or was removed; stop it, and to let it in again start it with an \
                 empty data directory"
                    .into(),
            );
        }
        if self.overruled {
            return Some(
                "survivors have founded this cluster anew, without this node: stop it, and to let it in again start \
                 it with an empty data directory under another name"
                    .into(),
            );
        }
        (!self.is_admitted()).then(|| self.waiting_reason())
    }

    /// Whose word about this node is missing, and what to do: once everybody has had time to answer.
    fn awaited(&self) -> String {
        let what = "waiting for a majority of members to say how far they have seen this node";
        if !self.witness.is_late() {
            return what.into();
        }
        let silent = self.others.iter().filter(|node| !self.witness.has_answered(**node));
        let members = self.installed.iter().flat_map(|agreement| &agreement.layout.members);
        let name = |node: &NodeId| members.clone().find(|m| m.id == *node).map(|m| &*m.name);
        let mut names: Vec<&str> = silent.filter_map(name).collect();
        names.sort_unstable();
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names[..names.len().min(NAMED)].join(", ");
        format!("{what}; not heard from: {names}{more}; {ELSEWHERE}")
    }

    /// Everybody that the layout names or gossip knows, by name.
    pub fn members(&self) -> Vec<MemberStatus> {
        let mut all: BTreeMap<NodeId, MemberStatus> = BTreeMap::new();
        for life in self.swim.iter().flat_map(|swim| swim.members()) {
            all.insert(life.identity.id, self.heard_of(life));
        }
        for member in self.installed.iter().flat_map(|agreement| agreement.layout.members.iter()) {
            let status = all.entry(member.id).or_insert_with(|| MemberStatus {
                id: member.id,
                name: member.name.clone(),
                zone: member.zone.clone(),
                address: self.address(member.id),
                http: None,
                state: None,
                lineage: member.lineage,
                incarnation: 0,
                round_trip: None,
                index: 0,
                flags: 0,
                to_copy: 0,
                commit: 0,
                agreed: true,
                me: member.id == self.identity.id,
            });
            let seen = self.witness.seen(member.id).map_or(0, |seen| seen.commit);
            status.commit = status.commit.max(seen);
        }
        let mut all: Vec<MemberStatus> = all.into_values().collect();
        all.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        all
    }

    fn heard_of(&self, life: &swim::Member) -> MemberStatus {
        let identity = &life.identity;
        MemberStatus {
            id: identity.id,
            name: identity.name.clone(),
            zone: identity.zone.clone(),
            address: Some(identity.address),
            http: identity.http,
            state: Some(life.state).filter(|state| life.met || *state != State::Alive),
            lineage: identity.lineage,
            incarnation: life.incarnation.0,
            round_trip: life.round_trip,
            index: life.facts.agreement,
            flags: life.facts.flags,
            to_copy: life.facts.moving,
            commit: life.facts.durable,
            agreed: self.lineage_of(identity.id) == Some(identity.lineage),
            me: identity.id == self.identity.id,
        }
    }

    /// What was refused or dropped since the node opened, by reason.
    pub fn rejected(&self) -> &BTreeMap<&'static str, u64> {
        &self.rejected
    }

    /// The membership machine's own counts, once it runs.
    pub fn swim_counters(&self) -> Option<&swim::Counters> {
        self.swim.as_ref().map(|swim| swim.counters())
    }

    /// How far this node doubts itself, 0 to 8; `None` while it takes no part in gossip.
    pub fn local_health(&self) -> Option<u32> {
        self.swim.as_ref().map(|swim| swim.local_health())
    }

    /// A member acts under something that is not known here: it is asked for its agreement.
    pub fn fetch_from(&mut self, node: NodeId) {
        self.fetch.want(node);
    }

    /// This node has stood still: every other member is asked whether it knows of a newer agreement, and nobody has
    /// been dead for any time that was watched.
    pub fn stood_still(&mut self) {
        self.conduct.down = Default::default();
        self.ask_for_newer();
    }

    /// Every other member is asked whether it knows of a newer agreement.
    pub fn ask_for_newer(&mut self) {
        for node in &self.others {
            self.fetch.want(*node);
        }
    }
}
