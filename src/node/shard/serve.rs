//! What clients ask: checked, resolved to a bucket, and sent on its way.

use super::cursor::CURSOR_LIMIT;
use super::explain::Notes;
use super::get::{Expected, GetWork};
use super::put::PutRequest;
use super::request::{Labels, Origin, Work, value_bytes};
use super::scan::ScanWork;
use super::{Life, Shard, Turn};
use crate::coordinator::{Direction, Get, Scan};
use crate::error::Error;
use crate::id::PartitionId;
use crate::message::client::{Expiry, Inspect, Item, Request, SCAN_PAGE_LIMIT};
use crate::quorum::QuorumRequest;
use crate::ring::{Bucket, is_bucket_name, partition_of};
use crate::store::key::{self, PARTITION_KEY_LIMIT, SORT_KEY_LIMIT};
use crate::time::Duration;
use crate::types::tagged;
use bytes::Bytes;
use std::sync::Arc;

impl Shard {
    /// A request of a client of this node.
    pub fn serve_client(
        &mut self,
        connection: crate::node::ConnectionId,
        id: u64,
        deadline_ms: u32,
        request: Request,
        turn: &mut Turn,
    ) {
        let origin = Origin::Client { connection, id };
        let deadline = self.deadline(deadline_ms);
        self.serve(origin, deadline, request, false, turn);
    }

    /// A request of a client, of this node or forwarded by another.
    pub(super) fn serve(
        &mut self,
        origin: Origin,
        deadline: Duration,
        request: Request,
        forwarded: bool,
        turn: &mut Turn,
    ) {
        let labels = matches!(origin, Origin::Client { .. }).then(|| labels(&request));
        let checked = self.check(&request).and_then(|()| self.check_room(&request, turn));
        if let Err(error) = checked {
            return self.turn_away(origin, labels, error, turn);
        }
        let name = bucket_name(&request).to_owned();
        let Some(bucket) = self.buckets.get(&name).cloned() else {
            match request {
                Request::Get { .. }
                | Request::Check { .. }
                | Request::Explain { .. }
                | Request::Scan { .. } => {
                    self.call_owners(&name, key_of(&request), turn);
                }
                Request::Keys { .. } => self.call_members(turn),
                _ => {}
            }
            let work = Work::Parked { request: Box::new(request), bucket: name, forwarded };
            let id = self.requests.number();
            let request = self.begin(origin, labels, deadline, work, turn);
            self.keep(id, request);
            return;
        };
        self.serve_in(origin, labels, deadline, request, bucket, forwarded, turn);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each of them is known to the caller, and none goes with another"
    )]
    pub(super) fn serve_in(
        &mut self,
        origin: Origin,
        labels: Option<Labels>,
        deadline: Duration,
        request: Request,
        bucket: Arc<Bucket>,
        forwarded: bool,
        turn: &mut Turn,
    ) {
        let me = self.view.me;
        let partition = self.partition(bucket_name(&request), key_of(&request));
        let replicas = self.replicas(partition, bucket.settings.n);
        let begun = match request {
            Request::Put { ref item, quorum, ref value, .. } => {
                // Also where it is only sent on: whoever asks hears it from the first node that knows the bucket.
                if let (Some(kind), Some(value)) = (bucket.settings.data_type(), value)
                    && let Err(error) = tagged::check(kind, &item.bucket, &item.sort, value)
                {
                    return self.turn_away(origin, labels, error, turn);
                }
                let resolved = match quorum.resolve(bucket.settings.n, bucket.settings.w) {
                    Ok(resolved) => resolved,
                    Err(error) => return self.turn_away(origin, labels, error, turn),
                };
                if let Err(error) = replicas.check_write(resolved) {
                    return self.turn_away(origin, labels, error, turn);
                }
                let listed =
                    replicas.is_owner(me) || replicas.fallbacks().any(|(node, _)| node == me);
                let mine = replicas.coordinator(me, resolved.strict) == Some(me);
                let able = self.life == Life::Running && self.disk.is_none();
                let plays = !self.stage.is_withheld(bucket.id.0, turn.now.instant);
                if plays && ((mine && able) || (forwarded && listed)) {
                    let put = put_request(item.clone(), request);
                    return self.coordinate_put(
                        origin, deadline, put, &bucket, partition, resolved, &replicas, turn,
                    );
                }
                if forwarded {
                    let error = Error::Overloaded("the cluster's view is settling".into());
                    return self.turn_away(origin, labels, error, turn);
                }
                self.forward(
                    origin, labels, deadline, request, partition, resolved, &replicas, turn,
                );
                return;
            }
            Request::Get { item, quorum } => {
                quorum.resolve(bucket.settings.n, bucket.settings.r).and_then(|quorum| {
                    replicas.check(quorum)?;
                    let tally = Get::begin(quorum, &replicas, me);
                    Ok(Work::Get(Box::new(GetWork::new(tally, item, bucket, quorum, partition))))
                })
            }
            Request::Explain { item, quorum } => {
                quorum.resolve(bucket.settings.n, bucket.settings.r).and_then(|quorum| {
                    replicas.check(quorum)?;
                    let tally = Get::begin(quorum, &replicas, me);
                    let mut get = GetWork::new(tally, item, bucket, quorum, partition);
                    get.notes = Some(Notes::default());
                    Ok(Work::Get(Box::new(get)))
                })
            }
            Request::Check { item, quorum, context, operation } => {
                quorum.resolve(bucket.settings.n, bucket.settings.r).and_then(|quorum| {
                    replicas.check(quorum)?;
                    let scope = self.scope(&bucket, &item.key, &item.sort);
                    let seen = self.open_context(&scope, &context)?;
                    let tally = Get::begin(quorum, &replicas, me);
                    let mut get = GetWork::new(tally, item, bucket, quorum, partition);
                    get.expected = Some(Expected { seen, own: operation });
                    Ok(Work::Get(Box::new(get)))
                })
            }
            Request::Keys { after, prefix, limit, quorum, .. } => self
                .begin_keys(bucket, &after, prefix, limit, quorum, turn)
                .map(|keys| Work::Keys(Box::new(keys))),
            Request::Scan { key: partition_key, from, to, limit, quorum, reverse, .. } => {
                quorum.resolve(bucket.settings.n, bucket.settings.r).and_then(|quorum| {
                    replicas.check(quorum)?;
                    let direction = if reverse { Direction::Reverse } else { Direction::Forward };
                    let tally = Scan::begin(quorum, &replicas, me, direction);
                    let end = (!to.is_empty()).then_some(&to[..]);
                    let range = key::sort_range(partition, bucket.id, &partition_key, &from, end);
                    if range.0 > range.1 {
                        return Err(Error::Invalid("the scan ends before it begins".into()));
                    }
                    let limit = limit.clamp(1, SCAN_PAGE_LIMIT);
                    let (from, to) = range;
                    Ok(Work::Scan(Box::new(ScanWork {
                        tally,
                        bucket,
                        partition,
                        partition_key,
                        quorum,
                        from,
                        to,
                        limit,
                    })))
                })
            }
            Request::Inspect(Inspect::Locate(item)) => {
                let Origin::Client { connection, id } = origin else { return };
                return self.locate(connection, id, item, turn);
            }
            Request::CreateBucket(_)
            | Request::SetBucket(_)
            | Request::DropBucket { .. }
            | Request::ChangeRing(_)
            | Request::Inspect(_)
            | Request::Placement => Err(Error::Invalid("this request is not about one key".into())),
        };
        match begun {
            Err(error) => self.turn_away(origin, labels, error, turn),
            Ok(work) => {
                let id = self.requests.number();
                let request = self.begin(origin, labels, deadline, work, turn);
                self.go_on(id, request, turn);
            }
        }
    }

    pub(super) fn partition(&self, bucket: &str, key: &[u8]) -> PartitionId {
        partition_of(bucket, key, self.view.agreement.layout.partitions)
    }

    /// Where an item lives, if its bucket exists.
    pub(super) fn place(&self, item: &Item) -> Option<(Arc<Bucket>, PartitionId, Bytes)> {
        let bucket = self.buckets.get(&item.bucket)?.clone();
        let partition = self.partition(&item.bucket, &item.key);
        let key = key::item(partition, bucket.id, &item.key, &item.sort);
        Some((bucket, partition, key))
    }

    /// Whether a request makes sense as it stands.
    pub(super) fn check(&self, request: &Request) -> Result<(), Error> {
        let (key, sort, longest) = match request {
            Request::Get { item, .. }
            | Request::Check { item, .. }
            | Request::Explain { item, .. }
            | Request::Inspect(Inspect::Locate(item))
            | Request::Put { item, .. } => (&item.key, &item.sort, SORT_KEY_LIMIT),
            Request::Scan { key, from, to, .. } => {
                check_length("sort key", to.len(), SORT_KEY_LIMIT)?;
                // A page that ended with the longest of sort keys goes on right behind it.
                (key, from, SORT_KEY_LIMIT + 1)
            }
            Request::Keys { bucket, after, prefix, .. } => {
                check_length("key prefix", prefix.len(), PARTITION_KEY_LIMIT)?;
                check_length("position", after.len(), CURSOR_LIMIT)?;
                return check_name(bucket);
            }
            Request::CreateBucket(_)
            | Request::SetBucket(_)
            | Request::DropBucket { .. }
            | Request::ChangeRing(_)
            | Request::Inspect(_)
            | Request::Placement => {
                return Ok(());
            }
        };
        if key.is_empty() {
            return Err(Error::Invalid("an empty key: use 1 to 1024 bytes".into()));
        }
        check_length("key", key.len(), PARTITION_KEY_LIMIT)?;
        check_length("sort key", sort.len(), longest)?;
        check_name(bucket_name(request))?;
        if let Request::Put { expires_at: Some(Expiry::After(0)), .. } = request {
            return Err(Error::Invalid("a time to live of nothing: use 1ms or more".into()));
        }
        if let Request::Put { value: Some(value), .. } = request {
            check_length("value", value.len(), self.limits.value_bytes)?;
        }
        Ok(())
    }

    fn check_room(&self, request: &Request, turn: &Turn) -> Result<(), Error> {
        if matches!(request, Request::Put { .. }) && turn.store.congested() {
            return Err(Error::Overloaded("the disk is behind".into()));
        }
        if self.requests.clients() >= self.limits.requests_in_flight {
            let why = format!("{} requests are under way", self.requests.clients());
            return Err(Error::Overloaded(why));
        }
        let (held, more) = (self.requests.bytes(), value_bytes(request));
        // One always has room, however large it may be.
        if held > 0 && held + more > self.limits.bytes_in_flight() {
            return Err(Error::Overloaded(format!("{held} bytes of values are under way")));
        }
        if !self.view.admitted {
            return Err(Error::Unavailable { required: 1, alive: 0 });
        }
        Ok(())
    }
}

fn put_request(item: Item, request: Request) -> PutRequest {
    match request {
        Request::Put { quorum, value, context, operation, expires_at, tried_since, .. } => {
            PutRequest { item, quorum, value, context, operation, expires_at, tried_since }
        }
        _ => unreachable!("only puts are made into put requests"),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    match is_bucket_name(name) {
        true => Ok(()),
        false => Err(Error::Invalid(format!("bucket name {name:?}: use 1 to 64 of a-z 0-9 . _ -"))),
    }
}

fn check_length(what: &str, size: usize, limit: usize) -> Result<(), Error> {
    match size > limit {
        true => Err(Error::TooLarge { what: what.into(), size: size as u64, limit: limit as u64 }),
        false => Ok(()),
    }
}

fn bucket_name(request: &Request) -> &str {
    match request {
        Request::Get { item, .. }
        | Request::Check { item, .. }
        | Request::Explain { item, .. }
        | Request::Put { item, .. } => &item.bucket,
        Request::Inspect(Inspect::Locate(item)) => &item.bucket,
        Request::Scan { bucket, .. } | Request::Keys { bucket, .. } => bucket,
        Request::CreateBucket(spec) => &spec.name,
        Request::SetBucket(change) => &change.name,
        Request::DropBucket { name, .. } => name,
        Request::ChangeRing(_) | Request::Inspect(_) | Request::Placement => "",
    }
}

pub(super) fn key_of(request: &Request) -> &[u8] {
    match request {
        Request::Get { item, .. }
        | Request::Check { item, .. }
        | Request::Explain { item, .. }
        | Request::Put { item, .. } => &item.key,
        Request::Inspect(Inspect::Locate(item)) => &item.key,
        Request::Scan { key, .. } => key,
        Request::Keys { .. }
        | Request::CreateBucket(_)
        | Request::SetBucket(_)
        | Request::DropBucket { .. }
        | Request::ChangeRing(_)
        | Request::Inspect(_)
        | Request::Placement => &[],
    }
}

fn labels(request: &Request) -> Labels {
    match request {
        Request::Get { quorum, .. }
        | Request::Check { quorum, .. }
        | Request::Explain { quorum, .. } => Labels::new("get", *quorum),
        Request::Put { quorum, value: Some(_), .. } => Labels::new("put", *quorum),
        Request::Put { quorum, value: None, .. } => Labels::new("delete", *quorum),
        Request::Scan { quorum, .. } => Labels::new("scan", *quorum),
        Request::Keys { quorum, .. } => Labels::new("keys", *quorum),
        _ => Labels::new("other", QuorumRequest::default()),
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
