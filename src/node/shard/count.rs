//! This node's slots and how many items lie in each: counted a page a turn, for a node may hold millions.

use super::disk::disk_error;
use super::request::{Goes, Origin, Request, Sent, Work};
use super::{Shard, Turn};
use crate::id::PartitionId;
use crate::message::client::Reply;
use crate::node::ConnectionId;
use crate::store::{StoreError, key};
use crate::time::Duration;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// How many items are counted in a turn.
const PAGE: usize = 4096;
/// How long others have the node between two pages.
const PAUSE: Duration = Duration::from_millis(1);

/// One count under way.
#[derive(Debug)]
pub(super) struct CountWork {
    slots: VecDeque<PartitionId>,
    /// Where the slot that is being counted goes on, and how many items came before.
    at: Option<(Bytes, usize)>,
    counted: Vec<Value>,
}

impl Shard {
    /// Says what slots this node has.
    pub fn count_items(&mut self, connection: ConnectionId, id: u64, turn: &mut Turn) {
        let slots = self.slots.owned().map(|(partition, _)| partition).collect();
        let work = CountWork { slots, at: None, counted: Vec::new() };
        let work = Work::Count(Box::new(work));
        let origin = Origin::Client { connection, id };
        let request = self.begin(origin, None, self.timing.request, work, turn);
        let number = self.requests.number();
        self.go_on(number, request, turn);
    }

    pub(super) fn step_count(&mut self, request: &mut Request, turn: &mut Turn) -> Goes {
        let Work::Count(count) = &mut request.work else { return Goes::Away };
        match self.count_page(count, turn) {
            Err(error) => {
                self.fail(request, disk_error(error), turn);
                Goes::Away
            }
            Ok(()) if count.slots.is_empty() => {
                self.answer_count(request, turn);
                Goes::Away
            }
            Ok(()) => {
                let (to, at) = (self.view.me, turn.now.instant);
                request.sent = vec![Sent { to, at, again: Some(at + PAUSE) }];
                Goes::On
            }
        }
    }

    fn count_page(&self, count: &mut CountWork, turn: &Turn) -> Result<(), StoreError> {
        let mut left = PAGE;
        while let Some(partition) = count.slots.front().copied() {
            let (first, to) = key::partition_range(partition);
            let (from, before) = count.at.take().unwrap_or((first, 0));
            let page = turn.store.scan(&from, &to, left)?;
            let items = before + page.len();
            if page.len() == left
                && let Some((last, _)) = page.last()
            {
                count.at = Some((super::scan::after(last), items));
                return Ok(());
            }
            left -= page.len();
            count.slots.pop_front();
            count.counted.push(self.slot_json(partition, Some(items)));
        }
        Ok(())
    }

    fn slot_json(&self, partition: PartitionId, items: Option<usize>) -> Value {
        json!({
            "partition": partition.0,
            "owned": true,
            "rebuilding": self.slots.is_rebuilding(partition),
            "unreadable": self.doubts.count(partition),
            "items": items,
        })
    }

    /// There was no time to count all: what was not counted is null.
    pub(super) fn expire_count(&mut self, request: &mut Request, turn: &mut Turn) {
        let Work::Count(count) = &mut request.work else { return };
        let slots = std::mem::take(&mut count.slots);
        let uncounted: Vec<Value> = slots.iter().map(|slot| self.slot_json(*slot, None)).collect();
        count.counted.extend(uncounted);
        self.answer_count(request, turn);
    }

    fn answer_count(&mut self, request: &Request, turn: &mut Turn) {
        let Work::Count(count) = &request.work else { return };
        let json = json!({ "partitions": count.counted });
        self.finish(request, Reply::Json(json.to_string()), turn);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lone, agreement, item, view};
    use super::*;
    use crate::ring::BucketSettings;
    use crate::store::{Batch, Change, Store};

    #[test]
    fn items_are_counted_a_page_a_turn() {
        let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
        let put = |n: usize| Change::Put {
            key: item(if n.is_multiple_of(3) { 5 } else { 2 }, &format!("{n:06}")),
            head: Bytes::new(),
            body: Bytes::new(),
        };
        lone.disk.commit(Batch { changes: (0..3 * PAGE).map(put).collect() }).expect("room");
        lone.settle();
        lone.turn(|shard, turn| shard.count_items(ConnectionId(7), 8, turn));
        let mut turns = 1;
        while lone.replies.is_empty() {
            lone.pass(1);
            turns += 1;
            assert!(turns < 10, "it never ends");
        }
        assert!(turns >= 3, "{turns} turns for three pages");
        let Reply::Json(json) = &lone.replies[0] else { panic!("no JSON") };
        let json: Value = serde_json::from_str(json).expect("JSON");
        let counted: Vec<u64> = (0..8)
            .map(|slot| json["partitions"][slot]["items"].as_u64().expect("a number"))
            .collect();
        let page = PAGE as u64;
        assert_eq!(counted, [0, 0, 2 * page, 0, 0, page, 0, 0]);
    }
}
