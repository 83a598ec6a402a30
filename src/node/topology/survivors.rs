//! A majority is gone for ever, and an operator decides who goes on. See `ring/survivors.rs`.
//!
//! ```text
//!   operator ─ n1, n2 go on from value 7 ─► n1: that is what I have, n1 and n2 are less than half, nobody else lives
//!            ─ n1, n2 go on from value 7 ─► n2: the same, so the same new value, durable, lived by
//!   n3 comes back ─ under the old id ─► n1: an agreement that does without you ─► n3 takes no part any more
//! ```
//!
//! Nothing but the operator's word makes a node take this step; what another node sends never does.

use super::{Ticket, Topology};
use crate::error::Error;
use crate::id::{ClusterId, NodeId};
use crate::message::peer::Control;
use crate::node::Outbox;
use crate::ring::Agreement;
use crate::time::Now;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Topology {
    /// Goes on with these survivors from the value that the operator saw.
    pub(super) fn survive(
        &mut self,
        now: Now,
        ticket: Ticket,
        (names, cluster, index): (&[String], &str, u64),
        outbox: &mut Outbox,
    ) {
        match self.survived(names, cluster, index) {
            Ok(Some(next)) => {
                self.surviving.push(ticket);
                self.learn(now, Arc::new(next), outbox);
            }
            Ok(None) => self.outcomes.push_back((ticket, Ok(()))),
            Err(error) => self.outcomes.push_back((ticket, Err(error))),
        }
    }

    /// The value that they go on with; `None`: this node has gone on already.
    fn survived(
        &self,
        names: &[String],
        cluster: &str,
        index: u64,
    ) -> Result<Option<Agreement>, Error> {
        let invalid = |why: String| Err(Error::Invalid(why));
        let Some(agreement) = self.installed.as_ref().filter(|_| self.is_admitted()) else {
            return invalid("this node is no member, and survives nothing".into());
        };
        let layout = &agreement.layout;
        if layout.former.last().is_some_and(|former| former.to_string() == cluster) {
            return Ok(None);
        }
        if layout.cluster.to_string() != cluster
            || agreement.index != index
            || self.learned.is_some()
        {
            return invalid(format!(
                "this node is at value {} of cluster {}, the decision is about value {index} of {cluster}: ask again",
                agreement.index, layout.cluster
            ));
        }
        let id = |name: &String| match layout.member_named(name) {
            Some(member) => Ok(member.id),
            None => Err(Error::NotFound(format!("no member is named {name}"))),
        };
        let survivors = names.iter().map(id).collect::<Result<BTreeSet<NodeId>, Error>>()?;
        if !survivors.contains(&self.identity.id) {
            return invalid("this node is not one of the survivors that were named".into());
        }
        let alive = |id: &NodeId| !survivors.contains(id) && self.is_live(*id);
        if let Some(member) = layout.members.iter().find(|member| alive(&member.id)) {
            return invalid(format!("{} is alive: name it, too, or stop it first", member.name));
        }
        Ok(Some(agreement.survived(&survivors)?))
    }

    /// Somebody who goes on with a former id of this cluster hears that it is over: once most of the survivors have
    /// gone on. Until then those others may still be the cluster, and one survivor alone must not stop them.
    pub fn tell_former(&mut self, cluster: ClusterId, sender: NodeId, outbox: &mut Outbox) {
        let Some(agreement) = &self.installed else { return };
        let has_gone_on =
            |id: &NodeId| self.facts(*id).is_some_and(|facts| facts.agreement >= agreement.index);
        if agreement.layout.former.contains(&cluster)
            && agreement.voters().iter().filter(|id| has_gone_on(id)).count()
                >= agreement.majority()
            && let Some(to) = self.address(sender)
        {
            outbox.send_control(to, 0, &Control::Agreement(agreement.encode().into()));
        }
    }

    /// An agreement of another cluster: that which this one has become, without this node?
    pub fn hear_of_successor(&mut self, bytes: &[u8]) {
        if let Ok(agreement) = Agreement::decode(bytes) {
            self.judge_successor(&agreement);
        }
    }

    pub(super) fn judge_successor(&mut self, other: &Agreement) {
        let Some(installed) = &self.installed else { return };
        let came_of_this = other.layout.former.contains(&installed.layout.cluster);
        let counts = other.voters().contains(&self.identity.id);
        if came_of_this && !counts && other.secret == installed.secret {
            self.overruled = true;
            self.view_changed = true;
        }
    }
}
