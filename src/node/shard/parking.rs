//! Requests that wait for their bucket: to be created by their first write, or to be heard of.

use super::request::{Request as Entry, Work};
use super::serve::key_of;
use super::{Shard, Turn};
use crate::error::Error;
use crate::id::NodeId;
use crate::message::client::{Info, Reply, Request};

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
    pub(super) fn call_owners(&self, bucket: &str, key: &[u8], turn: &mut Turn) {
        let agreement = &self.view.agreement;
        let partition = self.partition(bucket, key);
        for owner in agreement.layout.preference_list(partition, agreement.largest_n()).owners() {
            self.call(owner, turn);
        }
    }

    /// The same of everybody, for a list of all keys.
    pub(super) fn call_members(&self, turn: &mut Turn) {
        let members = &self.view.agreement.layout.members;
        for member in members.iter().filter(|member| member.id != self.view.me) {
            self.call(member.id, turn);
        }
    }

    /// Whether as many owners as the read asks for have spoken since it came. Had one of them heard of the
    /// bucket, this node would have by now.
    fn is_unheard_of(&self, entry: &Entry) -> Result<(), Error> {
        let Work::Parked { request, bucket, .. } = &entry.work else { return Ok(()) };
        let quorum = match &**request {
            Request::Get { quorum, .. }
            | Request::Check { quorum, .. }
            | Request::Explain { quorum, .. }
            | Request::Scan { quorum, .. }
            | Request::Keys { quorum, .. } => quorum,
            _ => return Ok(()),
        };
        let (agreement, me) = (&self.view.agreement, self.view.me);
        let n = agreement.largest_n();
        let required = quorum.resolve(n, None)?.required;
        let spoke = |owner: &NodeId| match *owner == me {
            true => self.view.counts,
            false => self.peers.heard_since(*owner, entry.asker.begun),
        };
        let layout = &agreement.layout;
        let heard = |partition| layout.preference_list(partition, n).owners().filter(spoke).count();
        let received = match **request {
            // Whatever partition its first write was for.
            Request::Keys { .. } => layout.partitions.iter().map(heard).min().unwrap_or(0),
            _ => heard(self.partition(bucket, key_of(request))),
        };
        match received < required {
            true => Err(Error::QuorumNotMet { required, received }),
            false => Ok(()),
        }
    }

    /// The topology has done what was wanted, or could not. Requests whose bucket is there go on.
    pub fn unpark(&mut self, want: &Want, outcome: &Result<(), Error>, turn: &mut Turn) {
        let (Want::Create(name) | Want::HearOf(name)) = want;
        let bucket = self.buckets.get(name).cloned();
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
            let Some(entry) = self.requests.take(id) else { continue };
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
                    let Work::Parked { request, forwarded, .. } = entry.work else { continue };
                    let (origin, labels) = (entry.asker.origin, entry.asker.labels);
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
        Work::Parked { request, .. } if matches!(**request, Request::Keys { .. }) => {
            Reply::Keys { keys: Vec::new(), next: None }
        }
        // Something was seen of it: then it was another bucket of this name.
        Work::Parked { request, .. } if matches!(&**request, Request::Check { context, .. } if !context.is_empty()) => {
            Reply::Failed(Error::ContextMismatch)
        }
        Work::Parked { request, bucket, .. } if matches!(**request, Request::Inspect(_)) => {
            let what = format!("bucket {bucket}; create it or write to it");
            Reply::Failed(Error::NotFound(what))
        }
        _ => Reply::Got { values: Vec::new(), context: String::new(), info },
    }
}
