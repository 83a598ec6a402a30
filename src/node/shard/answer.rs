//! Answers of other nodes, each brought to the request that waits for it.
//!
//! An answer counts only from a node that was asked, under the epoch of the tally. Everything else is
//! late, repeated or strange, and is dropped.

use super::request::{Request, Work};
use super::{Shard, Turn};
use crate::coordinator::{HeldKey, Holding, KeyPage, Page};
use crate::message::Header;
use crate::message::peer::{self, Data, Refusal};
use crate::version::{Head, Record};
use std::sync::Arc;

impl Shard {
    pub(super) fn handle_answer(&mut self, header: &Header, answer: Data, turn: &mut Turn) {
        if matches!(answer, Data::Holding { .. }) {
            self.laggards.answered(header.sender, header.request, turn.now.instant);
        }
        let Some(mut request) = self.requests.take(header.request) else { return };
        let (id, from) = (header.request, header.sender);
        if !self.counts(header, &request, &answer) {
            self.requests.put(id, request);
            return;
        }
        match answer {
            Data::Refused(refusal) => return self.answered_no(id, request, from, refusal, turn),
            Data::Forwarded(reply) if matches!(request.work, Work::Forward(_)) => {
                return self.forwarded(id, request, from, reply, turn);
            }
            Data::Replicated if matches!(request.work, Work::Handoff(_)) => {
                self.drop_request(id);
                return self.handed_over(request, turn);
            }
            Data::Replicated => self.put_stored(&mut request, from),
            Data::Holding { digest, record, rebuilding, stands_in_for } => {
                request.sent.retain(|sent| sent.to != from);
                let Ok(record) = record.map(|record| decode(record).map(Arc::new)).transpose()
                else {
                    self.counters.reject("peer", "unreadable");
                    self.was_refused(id, &mut request, from, turn);
                    return self.go_on(id, request, turn);
                };
                let round = header.round;
                let holding = Holding { digest, record, rebuilding, stands_in_for, round };
                match &mut request.work {
                    Work::Get(get) => get.holds(from, holding, turn.now.instant),
                    Work::Locate(locate) => locate.holds(from, holding),
                    Work::Compare(_) => self.fetched(&mut request, holding, turn),
                    _ => {}
                }
            }
            Data::Range { items, end, rebuilding } => {
                request.sent.retain(|sent| sent.to != from);
                let items: Result<Vec<_>, _> =
                    items.into_iter().map(|(key, record)| Ok((key, decode(record)?))).collect();
                match (&mut request.work, items) {
                    (Work::Scan(scan), Ok(_)) if header.round == 0 => scan.tally.refused(from),
                    (Work::Scan(scan), Ok(items)) => {
                        scan.tally.shows(from, Page { items, end, rebuilding });
                    }
                    (_, Ok(_)) => {}
                    (_, Err(())) => self.was_refused(id, &mut request, from, turn),
                }
            }
            Data::KeysHeld { items, end, rebuilding } => {
                request.sent.retain(|sent| sent.to != from);
                let items: Result<Vec<_>, _> = items.into_iter().map(held_key).collect();
                match (&mut request.work, items) {
                    (Work::Keys(keys), Ok(_)) if header.round == 0 => keys.tally.refused(from),
                    (Work::Keys(keys), Ok(items)) => {
                        keys.tally.shows(from, KeyPage { items, end, rebuilding });
                    }
                    (_, Ok(_)) => {}
                    (_, Err(())) => self.was_refused(id, &mut request, from, turn),
                }
            }
            Data::RootsCompared { differ, unknown, rebuilding } => {
                request.sent.retain(|sent| sent.to != from);
                self.roots_compared(&request, &differ, &unknown, &rebuilding, turn);
            }
            Data::LeafSums { branches, sums } => {
                request.sent.retain(|sent| sent.to != from);
                self.compare_leaves(&mut request, &branches, sums.as_ref());
            }
            Data::DigestPage { items, next, rebuilding } => {
                request.sent.retain(|sent| sent.to != from);
                self.compare_page(&mut request, items, next, rebuilding, turn);
            }
            Data::CollectedPage { items, next, rebuilding } => {
                request.sent.retain(|sent| sent.to != from);
                self.compare_collected(&mut request, &items, next, rebuilding, turn);
            }
            Data::HintCount(count) => {
                request.sent.retain(|sent| sent.to != from);
                if let Work::Compare(compare) = &mut request.work {
                    compare.counted(count);
                }
            }
            _ => {}
        }
        self.go_on(id, request, turn);
    }

    /// Whether an answer may be believed by this request at all.
    fn counts(&self, header: &Header, request: &Request, answer: &Data) -> bool {
        let layout = &self.view.agreement.layout;
        let current = layout.member(header.sender).is_some_and(|m| m.lineage == header.lineage);
        // What a slow one says of a partition that is done with is no answer about the next one.
        if matches!(&request.work, Work::Keys(keys) if keys.partition != header.partition) {
            return false;
        }
        if matches!(answer, Data::Refused(_)) {
            // A refusal comes from whoever is behind or ahead, so its epoch differs by nature.
            return request.sent.iter().any(|sent| sent.to == header.sender);
        }
        // A slow replica's answer still counts after its attempt; the tally knows whom it asked. What has no
        // tally counts from whoever is being asked.
        let asked = match &request.work {
            Work::Forward(forward) => forward.was_asked(header.sender),
            Work::Handoff(_) | Work::Roots(_) | Work::Compare(_) | Work::Locate(_) => {
                request.sent.iter().any(|sent| sent.to == header.sender)
            }
            Work::Put(_) | Work::Get(_) | Work::Scan(_) | Work::Keys(_) | Work::Parked { .. } => {
                true
            }
        };
        let timely = header.epoch == request.epoch || matches!(answer, Data::Forwarded(_));
        current && asked && timely
    }

    fn answered_no(
        &mut self,
        id: u64,
        mut request: Request,
        from: crate::id::NodeId,
        refusal: Refusal,
        turn: &mut Turn,
    ) {
        if matches!(request.work, Work::Forward(_)) {
            return self.forward_refused(id, request, from, refusal, turn);
        }
        match refusal {
            Refusal::Unreadable if matches!(request.work, Work::Compare(_)) => {
                self.cannot_fetch(&mut request, from, turn);
            }
            Refusal::Overloaded if is_passed_over(&mut request) => {
                request.sent.retain(|sent| sent.to != from);
            }
            Refusal::StaleRound => match &request.work {
                Work::Put(_) => self.put_is_stale(id, &mut request, from, turn),
                Work::Get(get) if get.write_back.is_some() => {
                    self.write_back_is_stale(&mut request, turn);
                }
                _ => self.was_refused(id, &mut request, from, turn),
            },
            Refusal::StaleEpoch | Refusal::Behind | Refusal::UnknownBucket => {
                Shard::ask_later(&mut request, from, turn.now.instant);
            }
            Refusal::Fenced
            | Refusal::Stranger
            | Refusal::Overloaded
            | Refusal::Disk
            | Refusal::Unreadable => self.was_refused(id, &mut request, from, turn),
        }
        self.go_on(id, request, turn);
    }
}

fn is_passed_over(request: &mut Request) -> bool {
    let Work::Compare(compare) = &mut request.work else { return false };
    compare.passes_over()
}

/// An item of a list of keys from the wire.
fn held_key(item: peer::KeyItem) -> Result<HeldKey, ()> {
    let head = Head::decode(&item.head).map_err(|_| ())?;
    let record = Record { local: None, ..head.without_values() };
    Ok(HeldKey { key: item.key, record, passed_over: item.passed_over })
}

/// A record from the wire. The sender's local actor is its own affair.
fn decode(record: peer::Record) -> Result<Record, ()> {
    let decoded = Record::decode(&record.head, record.body).map_err(|_| ())?;
    Ok(Record { local: None, ..decoded })
}
