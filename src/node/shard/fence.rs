//! Frames of other nodes: who may ask, and under which epoch.

use super::{Shard, Turn};
use crate::message::Header;
use crate::message::peer::{Data, Refusal};

impl Shard {
    /// A frame of the data path.
    pub fn handle_data(&mut self, header: &Header, message: Data, turn: &mut Turn) {
        if self.view.peers.contains_key(&header.sender) {
            self.peers.heard(header.sender, turn.now.instant);
        }
        let message = match message {
            Data::RoundsTold(told) if self.admits(header).is_ok() => {
                return self.rounds_told(header.sender, told, turn);
            }
            Data::Vitals(vitals) if self.admits(header).is_ok() => {
                return self.heard_vitals(header.sender, vitals, turn);
            }
            message => message,
        };
        if !message.is_question() {
            return self.handle_answer(header, message, turn);
        }
        match self.admits(header) {
            Ok(()) => self.serve_peer(header, message, turn),
            Err(refusal) => self.refuse(header, refusal, turn),
        }
    }

    /// Fencing: whether a question of this sender under this epoch may be answered here.
    pub(super) fn admits(&self, header: &Header) -> Result<(), Refusal> {
        let layout = &self.view.agreement.layout;
        if header.epoch > layout.epoch || !self.view.admitted {
            return Err(Refusal::Behind);
        }
        let member = layout.member(header.sender);
        if member.is_none_or(|member| member.lineage != header.lineage) {
            return Err(Refusal::Fenced);
        }
        if header.epoch < layout.epoch {
            return Err(Refusal::StaleEpoch);
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, header: &Header, refusal: Refusal, turn: &mut Turn) {
        let reason = match refusal {
            Refusal::StaleEpoch => "stale_epoch",
            Refusal::Behind => "behind",
            Refusal::Fenced => "fenced",
            Refusal::Stranger => "stranger",
            Refusal::Overloaded => "overloaded",
            Refusal::Disk => "disk",
            Refusal::Unreadable => "unreadable",
            Refusal::UnknownBucket => "unknown_bucket",
            Refusal::StaleRound => "stale_round",
        };
        self.counters.reject("peer", reason);
        self.answer_peer(header, &Data::Refused(refusal), 0, turn);
    }
}
