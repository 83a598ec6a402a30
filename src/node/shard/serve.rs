//! What clients ask: checked, resolved to a bucket, and sent on its way.

use super::get::GetWork;
use super::put::PutRequest;
use super::request::{Labels, Origin, Work, value_bytes};
use super::scan::ScanWork;
use super::{Life, Shard, Turn};
use crate::coordinator::{Get, Scan};
use crate::error::Error;
use crate::id::{NodeId, PartitionId};
use crate::message::client::{Info, Inspect, Item, Reply, Request, SCAN_PAGE_LIMIT};
use crate::quorum::QuorumRequest;
use crate::ring::{Bucket, is_bucket_name, partition_of};
use crate::store::key::{self, PARTITION_KEY_LIMIT, SORT_KEY_LIMIT};
use crate::time::Duration;
use bytes::Bytes;

/// What the shard wants of the topology, before parked requests go on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::node) enum Want {
    /// A bucket of this name with default settings.
    Create(String),
    /// To be sure that nobody has created this bucket.
    HearOf(String),
}

impl Want {
    /// The bucket that it is about.
    pub fn bucket(&self) -> &str {
        let (Want::Create(name) | Want::HearOf(name)) = self;
        name
    }
}

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
            let request =
                self.begin(origin, labels, deadline, Work::Handoff(Default::default()), turn);
            self.fail(&request, error, turn);
            return;
        }
        let name = bucket_name(&request).to_owned();
        let Some(bucket) = self.view.agreement.buckets.buckets.get(&name).cloned() else {
            if matches!(request, Request::Get { .. } | Request::Scan { .. }) {
                self.call_owners(&name, key_of(&request), turn);
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
    fn serve_in(
        &mut self,
        origin: Origin,
        labels: Option<Labels>,
        deadline: Duration,
        request: Request,
        bucket: Bucket,
        forwarded: bool,
        turn: &mut Turn,
    ) {
        let now = turn.now.instant;
        let me = self.view.me;
        let partition = self.partition(bucket_name(&request), key_of(&request));
        let replicas = self.replicas(partition, bucket.settings.n, now);
        let begun = match request {
            Request::Put { ref item, quorum, .. } => {
                let resolved = match quorum.resolve(bucket.settings.n, bucket.settings.w) {
                    Ok(resolved) => resolved,
                    Err(error) => return self.refuse_client(origin, labels, error, turn),
                };
                if let Err(error) = replicas.check(resolved) {
                    return self.refuse_client(origin, labels, error, turn);
                }
                let listed =
                    replicas.is_owner(me) || replicas.fallbacks.iter().any(|(node, _)| *node == me);
                let mine = replicas.coordinator(me, resolved.strict) == Some(me);
                let able = self.life == Life::Running && self.disk.is_none();
                if (mine && able) || (forwarded && listed) {
                    let put = put_request(item.clone(), request);
                    return self.coordinate_put(
                        origin, deadline, put, &bucket, partition, resolved, &replicas, turn,
                    );
                }
                if forwarded {
                    let error = Error::Overloaded("the cluster's view is settling".into());
                    return self.refuse_client(origin, labels, error, turn);
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
            Request::Scan { key: partition_key, from, to, limit, quorum, .. } => {
                quorum.resolve(bucket.settings.n, bucket.settings.r).and_then(|quorum| {
                    replicas.check(quorum)?;
                    let tally = Scan::begin(quorum, &replicas, me);
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
            Request::CreateBucket(_) | Request::Inspect(_) => {
                Err(Error::Invalid("this request is not about one key".into()))
            }
        };
        match begun {
            Err(error) => self.refuse_client(origin, labels, error, turn),
            Ok(work) => {
                let id = self.requests.number();
                let request = self.begin(origin, labels, deadline, work, turn);
                self.go_on(id, request, turn);
            }
        }
    }

    fn refuse_client(
        &mut self,
        origin: Origin,
        labels: Option<Labels>,
        error: Error,
        turn: &mut Turn,
    ) {
        let work = Work::Handoff(Default::default());
        let request = self.begin(origin, labels, Duration::ZERO, work, turn);
        self.fail(&request, error, turn);
    }

    fn partition(&self, bucket: &str, key: &[u8]) -> PartitionId {
        partition_of(bucket, key, self.view.agreement.layout.partitions)
    }

    /// Where an item lives, if its bucket exists.
    pub(super) fn place(&self, item: &Item) -> Option<(Bucket, PartitionId, Bytes)> {
        let bucket = self.view.agreement.buckets.buckets.get(&item.bucket)?.clone();
        let partition = self.partition(&item.bucket, &item.key);
        let key = key::item(partition, bucket.id, &item.key, &item.sort);
        Some((bucket, partition, key))
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let (key, sort, longest) = match request {
            Request::Get { item, .. } | Request::Put { item, .. } => {
                (&item.key, &item.sort, SORT_KEY_LIMIT)
            }
            Request::Scan { key, from, to, .. } => {
                check_length("sort key", to.len(), SORT_KEY_LIMIT)?;
                // A page that ended with the longest of sort keys goes on right behind it.
                (key, from, SORT_KEY_LIMIT + 1)
            }
            Request::CreateBucket(_) | Request::Inspect(_) => return Ok(()),
        };
        if key.is_empty() {
            return Err(Error::Invalid("an empty key: use 1 to 1024 bytes".into()));
        }
        check_length("key", key.len(), PARTITION_KEY_LIMIT)?;
        check_length("sort key", sort.len(), longest)?;
        let name = bucket_name(request);
        if !is_bucket_name(name) {
            let why = format!("bucket name {name:?}: use 1 to 64 of a-z 0-9 . _ -");
            return Err(Error::Invalid(why));
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

    /// What parked requests wait for: one entry a bucket.
    pub fn wants(&self) -> Vec<Want> {
        let wants = self.requests.parked().map(|(request, bucket)| match request {
            Request::Put { .. } => Want::Create(bucket.to_owned()),
            _ => Want::HearOf(bucket.to_owned()),
        });
        let mut wants: Vec<Want> = wants.collect();
        wants.sort();
        wants.dedup();
        wants
    }

    /// Lets the would-be owners of a key speak up, so that it shows whether they are there.
    fn call_owners(&self, bucket: &str, key: &[u8], turn: &mut Turn) {
        let agreement = &self.view.agreement;
        let partition = self.partition(bucket, key);
        for owner in agreement.layout.preference_list(partition, agreement.largest_n()).owners() {
            self.call(owner, turn);
        }
    }

    /// Whether as many owners as the read asks for have spoken since it came. Had one of them heard of the
    /// bucket, this node would have by now.
    fn is_unheard_of(&self, entry: &super::request::Request) -> Result<(), Error> {
        let Work::Parked { request, bucket, .. } = &entry.work else { return Ok(()) };
        let (Request::Get { quorum, .. } | Request::Scan { quorum, .. }) = &**request else {
            return Ok(());
        };
        let (agreement, me) = (&self.view.agreement, self.view.me);
        let n = agreement.largest_n();
        let required = quorum.resolve(n, None)?.required;
        let list = agreement.layout.preference_list(self.partition(bucket, key_of(request)), n);
        let spoke = |owner: &NodeId| match *owner == me {
            true => self.view.counts,
            false => self.peers.heard_since(*owner, entry.begun),
        };
        match list.owners().filter(spoke).count() {
            received if received < required => Err(Error::QuorumNotMet { required, received }),
            _ => Ok(()),
        }
    }

    /// The topology has done what was wanted, or could not. Requests whose bucket is there go on.
    pub fn unpark(&mut self, want: &Want, outcome: &Result<(), Error>, turn: &mut Turn) {
        let (Want::Create(name) | Want::HearOf(name)) = want;
        let bucket = self.view.agreement.buckets.buckets.get(name).cloned();
        for id in self.requests.numbers() {
            let fits = self.requests.get(id).is_some_and(|entry| match &entry.work {
                Work::Parked { request, bucket, .. } => {
                    bucket == name
                        && matches!(**request, Request::Put { .. })
                            == matches!(want, Want::Create(_))
                }
                _ => false,
            });
            if !fits {
                continue;
            }
            let Some(mut entry) = self.requests.take(id) else { continue };
            match (&bucket, outcome) {
                (None, Ok(())) if matches!(want, Want::Create(_)) => {
                    // Chosen, and not installed here yet: the view that comes will wake it.
                    self.requests.put(id, entry);
                    continue;
                }
                (None, Err(error)) => {
                    self.drop_request(id);
                    self.fail(&entry, error.clone(), turn);
                }
                (None, Ok(())) => {
                    self.drop_request(id);
                    let reply = match self.is_unheard_of(&entry) {
                        Ok(()) => nothing(&entry.work, self.info(std::iter::empty())),
                        Err(error) => Reply::Failed(error),
                    };
                    self.finish(&entry, reply, turn);
                }
                (Some(bucket), _) => {
                    self.drop_request(id);
                    let left = entry.deadline.since(turn.now.instant);
                    let done = Work::Handoff(Default::default());
                    let work = std::mem::replace(&mut entry.work, done);
                    let Work::Parked { request, forwarded, .. } = work else { continue };
                    let (origin, labels) = (entry.origin, entry.labels);
                    let bucket = bucket.clone();
                    self.serve_in(origin, labels, left, *request, bucket, forwarded, turn);
                }
            }
        }
    }
}

/// The answer to a read of a bucket that does not exist.
fn nothing(work: &Work, info: Info) -> Reply {
    match work {
        Work::Parked { request, .. } if matches!(**request, Request::Scan { .. }) => {
            Reply::Page { items: Vec::new(), next: None }
        }
        Work::Parked { request, bucket, .. } if matches!(**request, Request::Inspect(_)) => {
            let what = format!("bucket {bucket}; create it or write to it");
            Reply::Failed(Error::NotFound(what))
        }
        _ => Reply::Got { values: Vec::new(), context: String::new(), info },
    }
}

fn put_request(item: Item, request: Request) -> PutRequest {
    match request {
        Request::Put { quorum, value, context, operation, expires_at, .. } => {
            PutRequest { item, quorum, value, context, operation, expires_at }
        }
        _ => unreachable!("only puts are made into put requests"),
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
        Request::Get { item, .. } | Request::Put { item, .. } => &item.bucket,
        Request::Inspect(Inspect::Locate(item)) => &item.bucket,
        Request::Scan { bucket, .. } => bucket,
        Request::CreateBucket(spec) => &spec.name,
        Request::Inspect(_) => "",
    }
}

fn key_of(request: &Request) -> &[u8] {
    match request {
        Request::Get { item, .. } | Request::Put { item, .. } => &item.key,
        Request::Inspect(Inspect::Locate(item)) => &item.key,
        Request::Scan { key, .. } => key,
        Request::CreateBucket(_) | Request::Inspect(_) => &[],
    }
}

fn labels(request: &Request) -> Labels {
    match request {
        Request::Get { quorum, .. } => Labels::new("get", *quorum),
        Request::Put { quorum, value: Some(_), .. } => Labels::new("put", *quorum),
        Request::Put { quorum, value: None, .. } => Labels::new("delete", *quorum),
        Request::Scan { quorum, .. } => Labels::new("scan", *quorum),
        _ => Labels::new("other", QuorumRequest::default()),
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
