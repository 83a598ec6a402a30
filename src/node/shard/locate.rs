//! Where one item lives: every position of its preference list is asked what it holds.

use super::get::dot_name;
use super::request::{Goes, Labels, Origin, Request, Work};
use super::{Shard, Turn};
use crate::coordinator::Holding;
use crate::id::{NodeId, PartitionId};
use crate::message::client::{Inspect, Item, Reply, Request as ClientRequest};
use crate::message::peer::Data;
use crate::node::ConnectionId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;
use std::collections::BTreeMap;

/// One question under way.
#[derive(Debug)]
pub(super) struct LocateWork {
    item: Item,
    partition: PartitionId,
    key: Bytes,
    owners: Vec<NodeId>,
    fallbacks: Vec<NodeId>,
    held: BTreeMap<NodeId, Holding>,
    begun: bool,
}

impl LocateWork {
    /// A replica says what it holds.
    pub fn holds(&mut self, from: NodeId, holding: Holding) {
        self.held.insert(from, holding);
    }
}

impl Shard {
    /// Asks every position of the list, this node included.
    pub fn locate(&mut self, connection: ConnectionId, id: u64, item: Item, turn: &mut Turn) {
        let asked = ClientRequest::Inspect(Inspect::Locate(item.clone()));
        if let Err(error) = self.check(&asked) {
            // No item can be there, so nobody is asked for it.
            return turn.outbox.reply(connection, id, Reply::Failed(error));
        }
        let Some((bucket, partition, key)) = self.place(&item) else {
            // Perhaps this node has not heard of it yet.
            let (origin, bucket) = (Origin::Client { connection, id }, item.bucket.clone());
            let request = Box::new(asked);
            let work = Work::Parked { request, bucket, forwarded: false };
            let request = self.begin(origin, None, self.timing.request, work, turn);
            let number = self.requests.number();
            self.keep(number, request);
            return;
        };
        let view = self.view.clone();
        let list = view.agreement.layout.preference_list(partition, bucket.settings.n);
        let (owners, fallbacks) = (list.owners().collect(), list.fallbacks().collect());
        let mut held = BTreeMap::new();
        if let Ok(here) = self.held(&key, partition, bucket.settings.n, true, turn) {
            held.insert(self.view.me, here.into());
        }
        let work = LocateWork { item, partition, key, owners, fallbacks, held, begun: false };
        let origin = Origin::Client { connection, id };
        let work = Work::Locate(Box::new(work));
        let labels: Option<Labels> = None;
        let deadline = self.timing.attempt;
        let request = self.begin(origin, labels, deadline, work, turn);
        let number = self.requests.number();
        self.go_on(number, request, turn);
    }

    pub(super) fn step_locate(&mut self, id: u64, request: &mut Request, turn: &mut Turn) -> Goes {
        let me = self.view.me;
        let Work::Locate(locate) = &mut request.work else { return Goes::Away };
        if !locate.begun {
            locate.begun = true;
            let (partition, key) = (locate.partition, locate.key.clone());
            let others = locate.owners.iter().chain(&locate.fallbacks).filter(|node| **node != me);
            for node in others.copied().collect::<Vec<_>>() {
                let message = Data::Read { key: key.clone(), whole: true };
                self.ask(id, request, node, partition, &message, turn);
            }
        }
        if !request.sent.is_empty() {
            return Goes::On;
        }
        self.expire_locate(request, turn);
        Goes::Away
    }

    pub(super) fn expire_locate(&mut self, request: &mut Request, turn: &mut Turn) {
        let Work::Locate(locate) = &request.work else { return };
        let name = |node: &NodeId| self.name_of(*node);
        let positions = locate.owners.iter().map(|node| (node, "owner"));
        let positions = positions.chain(locate.fallbacks.iter().map(|node| (node, "fallback")));
        let replicas: Vec<_> = positions
            .map(|(node, role)| {
                let held = locate.held.get(node);
                let record = held.and_then(|holding| holding.record.as_ref());
                let dots = record.map_or_else(Vec::new, |record| {
                    record.siblings.iter().map(|s| dot_name(&s.dot)).collect()
                });
                json!({
                    "node": name(node),
                    "role": role,
                    "answered": held.is_some(),
                    "present": record.is_some(),
                    "rebuilding": held.is_some_and(|holding| holding.rebuilding),
                    "dots": dots,
                    "stands_in_for": held.map_or_else(Vec::new, |holding| {
                        holding.stands_in_for.iter().map(name).collect()
                    }),
                })
            })
            .collect();
        let json = json!({
            "bucket": locate.item.bucket,
            "key": STANDARD.encode(&locate.item.key),
            "sort": STANDARD.encode(&locate.item.sort),
            "partition": locate.partition.0,
            "owners": locate.owners.iter().map(name).collect::<Vec<_>>(),
            "fallbacks": locate.fallbacks.iter().map(name).collect::<Vec<_>>(),
            "replicas": replicas,
        });
        self.finish(request, Reply::Json(json.to_string()), turn);
    }
}
