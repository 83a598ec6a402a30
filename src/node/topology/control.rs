//! A control frame arrives: whose is it, may it speak, who deals with it?

use super::Topology;
use super::witness::Seen;
use crate::message::Header;
use crate::message::peer::Control;
use crate::node::Outbox;
use crate::store::Store;
use crate::time::Now;

impl Topology {
    /// Takes a control frame. Answers go to where the sender is known to listen; to a joiner, where it says.
    ///
    /// Frames of another cluster are counted and dropped; only what concerns joining passes between a node
    /// that has no cluster yet and one that has.
    pub fn handle_control(
        &mut self,
        now: Now,
        header: &Header,
        message: Control,
        _store: &dyn Store,
        outbox: &mut Outbox,
    ) {
        if self.aside.is_some() {
            return;
        }
        match message {
            Control::Join(joiner) => return self.handle_join(now, header, joiner, outbox),
            Control::JoinRefused(why) => return self.handle_join_refused(why),
            Control::Agreement(bytes) => return self.receive(now, &bytes, outbox),
            Control::Addresses(book) => return self.receive_addresses(header, book),
            _ => {}
        }
        if self
            .installed
            .as_ref()
            .is_none_or(|agreement| agreement.layout.cluster != header.cluster)
        {
            return self.reject("cluster");
        }
        let from = header.sender;
        match message {
            Control::Join(_)
            | Control::JoinRefused(_)
            | Control::Agreement(_)
            | Control::Addresses(_) => {}
            Control::FetchAgreement { have } => self.handle_fetch(from, have, outbox),
            Control::PushPull(state) | Control::PushPullReply(state) => {
                self.handle_push_pull(now, from, &state, outbox);
            }
            Control::AskWitness => self.handle_ask_witness(from, outbox),
            Control::Witness { seen, index, trials } => {
                let seen = seen.map(|(lineage, commit)| Seen {
                    lineage,
                    commit,
                    trials: trials.into_iter().collect(),
                });
                self.handle_witness(now, header, seen, index, outbox);
            }
            Control::Prepare { .. }
            | Control::Promise { .. }
            | Control::Accept { .. }
            | Control::Accepted { .. }
            | Control::Conflict { .. }
            | Control::NotReady { .. }
            | Control::Objection { .. } => self.handle_paxos(now, header, message, outbox),
        }
        self.flush_fetch(now, outbox);
    }
}
