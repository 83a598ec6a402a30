//! A machine that does what the name of the bucket says.

use crate::Error;
use crate::message::client::{
    BackupRequest, Info, Inspect, Item, PageItem, Reply, Request, Version,
};
use crate::node::{ConnectionId, Counters, DurationLabels, Effect, Event, RequestLabels};
use crate::server::{Birth, Machine, Opener, StartError};
use crate::store::StoreError;
use crate::time::{Instant, Now};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What tests look at from outside.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) requests: AtomicUsize,
    pub(super) frames: AtomicUsize,
    pub(super) stops: AtomicUsize,
    pub(super) closed: AtomicUsize,
    pub(super) opened: Mutex<Vec<Vec<SocketAddr>>>,
    pub(super) last: Mutex<Option<(Request, u32)>>,
}

pub(super) struct FakeOpener {
    seen: Arc<Seen>,
    pub(super) refuse: Option<String>,
}

impl FakeOpener {
    pub(super) fn new() -> (FakeOpener, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        (FakeOpener { seen: seen.clone(), refuse: None }, seen)
    }
}

impl Opener for FakeOpener {
    type Machine = Fake;

    fn open(&mut self, birth: Birth) -> Result<Fake, StartError> {
        if let Some(why) = &self.refuse {
            return Err(StartError::Data(why.clone()));
        }
        self.seen.opened.lock().expect("unpoisoned").push(birth.config.join);
        Ok(Fake {
            seen: self.seen.clone(),
            waker: birth.waker,
            effects: VecDeque::new(),
            counters: Counters::default(),
            ready: false,
            stopping: false,
            late: Arc::default(),
        })
    }

    fn set_aside(&mut self) -> Result<PathBuf, StartError> {
        assert_eq!(self.seen.closed.load(Ordering::Relaxed), 1, "closed before it is renamed");
        Ok("data.set-aside-1".into())
    }
}

/// See [`request`](Fake::request).
pub(super) struct Fake {
    seen: Arc<Seen>,
    waker: crate::server::Waker,
    effects: VecDeque<Effect>,
    counters: Counters,
    ready: bool,
    stopping: bool,
    /// Replies that another thread completes, as a disk would.
    late: Arc<Mutex<Vec<Effect>>>,
}

fn version(value: impl Into<Bytes>, dot: &str) -> Version {
    Version { value: value.into(), dot: dot.into() }
}

fn got(values: Vec<Version>) -> Reply {
    let info = Info { coordinator: "n1".into(), replied: vec!["n1".into()], ..Info::default() };
    Reply::Got { values, context: "token".into(), info }
}

impl Fake {
    fn request(&mut self, connection: ConnectionId, id: u64, request: Request) {
        let reply = match &request {
            Request::Get { item, .. } | Request::Explain { item, .. } => match item.bucket.as_str()
            {
                "hang" => return,
                "missing" => got(vec![]),
                "never" => {
                    Reply::Got { values: vec![], context: String::new(), info: Info::default() }
                }
                "siblings" => got(vec![version("a", "1:1"), version("b", "2:1")]),
                "large" => got(vec![version(vec![7; 1 << 20], "1:1")]),
                "huge" => got(vec![version(vec![7; 21 << 20], "1:1")]),
                bucket => match failure(bucket) {
                    Some(error) => Reply::Failed(error),
                    None => got(vec![version(item.key.clone(), "1:1")]),
                },
            },
            Request::Put { item, value, .. } => match item.bucket.as_str() {
                "peer" => {
                    let to = std::str::from_utf8(&item.key).expect("an address");
                    let to = to.parse().expect("an address");
                    let bytes = value.as_deref().unwrap_or_default().to_vec();
                    self.effects.push_back(Effect::Send { to, bytes });
                    written()
                }
                "gossip" => {
                    let to = std::str::from_utf8(&item.key).expect("an address");
                    let to = to.parse().expect("an address");
                    self.effects.push_back(Effect::Datagram { to, bytes: b"hello".to_vec() });
                    written()
                }
                "aside" => {
                    let join = vec![([127, 0, 0, 1], 9).into()];
                    self.effects.push_back(Effect::SetAside { why: "a test".into(), join });
                    return;
                }
                "disk" => {
                    let reply = Effect::Reply { connection, id, reply: written() };
                    let (late, waker) = (self.late.clone(), self.waker.clone());
                    std::thread::spawn(move || {
                        late.lock().expect("unpoisoned").push(reply);
                        waker();
                    });
                    return;
                }
                bucket => failure(bucket).map_or_else(written, Reply::Failed),
            },
            Request::Placement => Reply::Failed(Error::Unavailable { required: 1, alive: 0 }),
            Request::Scan { from, to, .. } => Reply::Page {
                items: vec![PageItem {
                    sort: from.clone(),
                    values: vec![version("v", "1:1")],
                    context: "token".into(),
                }],
                next: Some(to.clone()),
            },
            Request::Check { item, .. } => match failure(&item.bucket) {
                Some(error) => Reply::Failed(error),
                None => Reply::Got {
                    values: Vec::new(),
                    context: "token".into(),
                    info: Info::default(),
                },
            },
            Request::Keys { prefix, .. } => {
                Reply::Keys { keys: vec![prefix.clone()], next: Some(Bytes::from_static(b"next")) }
            }
            Request::CreateBucket(_)
            | Request::SetBucket(_)
            | Request::DropBucket { .. }
            | Request::ChangeRing(_) => Reply::Agreed,
            Request::Inspect(Inspect::Local(Item { bucket, .. })) if bucket == "missing" => {
                Reply::Failed(Error::NotFound("no such record".into()))
            }
            Request::Inspect(Inspect::Backup(ask)) => {
                let ask = ask.clone();
                return self.effects.push_back(Effect::Backup { connection, id, ask });
            }
            Request::Inspect(what) => {
                let name = format!("{what:?}");
                let name = name.split('(').next().unwrap_or_default();
                Reply::Json(format!("{{\"what\":\"{name}\"}}"))
            }
        };
        self.effects.push_back(Effect::Reply { connection, id, reply });
        *self.seen.last.lock().expect("unpoisoned") = Some((request, 0));
    }
}

fn written() -> Reply {
    Reply::Written { context: "token".into(), info: Info::default() }
}

/// The error that a bucket stands for.
fn failure(bucket: &str) -> Option<Error> {
    Some(match bucket {
        "invalid" => Error::Invalid("x".into()),
        "too_many_siblings" => Error::TooManySiblings { count: 100 },
        "unavailable" => Error::Unavailable { required: 2, alive: 1 },
        "quorum_not_met" => Error::QuorumNotMet { required: 2, received: 1 },
        "outcome_unknown" => Error::OutcomeUnknown { required: 2, received: 1 },
        "timeout" => Error::Timeout { required: 2, received: 1 },
        "overloaded" => Error::Overloaded("x".into()),
        "disk_full" => Error::DiskFull("x".into()),
        "changed" => Error::ContextMismatch,
        "forbidden" => Error::Forbidden("x".into()),
        "internal" => Error::Internal("x".into()),
        _ => return None,
    })
}

impl Machine for Fake {
    fn handle(&mut self, _: Now, event: Event) {
        self.counters.events += 1;
        match event {
            Event::Frame(_) => {
                self.seen.frames.fetch_add(1, Ordering::Relaxed);
            }
            Event::Datagram { from, bytes } => {
                self.ready = true;
                self.effects.push_back(Effect::Datagram { to: from, bytes: bytes.to_vec() });
            }
            Event::Request { connection, id, deadline_ms, request } => {
                self.seen.requests.fetch_add(1, Ordering::Relaxed);
                let labels = RequestLabels { op: "put", consistency: "quorum", outcome: "ok" };
                *self.counters.requests.entry(labels).or_default() += 1;
                let labels = DurationLabels { op: "put", consistency: "quorum" };
                let durations = self.counters.durations.entry(labels).or_default();
                durations.observe(90);
                durations.observe(20_000_000);
                self.request(connection, id, request);
                if let Some(last) = &mut *self.seen.last.lock().expect("unpoisoned") {
                    last.1 = deadline_ms;
                }
            }
        }
    }

    fn end_turn(&mut self, _: Now) {
        self.effects.extend(self.late.lock().expect("unpoisoned").drain(..));
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn counters(&self) -> Counters {
        let mut counters = self.counters.clone();
        counters.members.insert("alive", 1);
        counters
    }

    fn epoch(&self) -> crate::id::Epoch {
        crate::id::Epoch(0)
    }

    fn readiness(&self) -> Result<(), String> {
        if self.ready { Ok(()) } else { Err("not joined yet".into()) }
    }

    fn backup(&mut self, ask: BackupRequest) -> Reply {
        Reply::Json(format!("{ask:?}"))
    }

    fn begin_stop(&mut self, _: Now) {
        self.seen.stops.fetch_add(1, Ordering::Relaxed);
        self.stopping = true;
    }

    fn is_stopped(&self) -> bool {
        self.stopping
    }

    fn close(self) -> Result<(), StoreError> {
        self.seen.closed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
