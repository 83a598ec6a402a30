//! Commands to the lanes of their keys, and answers back in the order that each connection asked.
//!
//! ```text
//!   connection ─ words ─► submit ─┬─ lane of k1: [GET, INCR, INCR]   one run at a time
//!                                 ├─ lane of k2: [SADD]              beside it
//!                                 └─ Pending, in order ─► reply
//! ```

use super::actors::Actors;
use super::lane::{self, Call};
use super::pending::Pending;
use super::{Reply, Settings};
use crate::types::{Desk, Objects, Typed, TypedObjects};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// The most commands that run on one view of a key.
const TOGETHER: usize = 1_024;
/// The most commands of all connections that wait; more are `OVERLOADED`.
const WAITING: usize = 131_072;

/// See the module. A copy is the same one.
#[derive(Debug)]
pub struct Engine<O>(pub(super) Arc<Inner<O>>);

impl<O> Clone for Engine<O> {
    fn clone(&self) -> Self {
        Engine(self.0.clone())
    }
}

#[derive(Debug)]
pub(super) struct Inner<O> {
    pub(super) objects: O,
    pub(super) typed: Typed<O>,
    pub(super) settings: Settings,
    lanes: Mutex<BTreeMap<Bytes, VecDeque<Waiting>>>,
    actors: Arc<Mutex<Actors>>,
    random: Mutex<fastrand::Rng>,
    waiting: AtomicUsize,
    pub(super) connections: AtomicU64,
    pub(super) commands: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    call: Call,
    answer: oneshot::Sender<Reply>,
}

impl<O: TypedObjects> Engine<O> {
    /// An engine on a store. `seed` must differ from process to process and start to start: actors are drawn from it.
    /// `desk`: what the process remembers of values of buckets with a type.
    pub fn new(objects: O, settings: Settings, desk: Arc<Desk>, seed: u64) -> Engine<O> {
        let typed = Typed::new(objects.clone(), desk, settings.clock);
        Engine(Arc::new(Inner {
            objects,
            typed,
            settings,
            lanes: Mutex::default(),
            actors: Arc::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            waiting: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
            commands: AtomicU64::new(0),
        }))
    }
}

impl<O: Objects> Engine<O> {
    /// The time in ms since 1970.
    pub(super) fn now(&self) -> u64 {
        (self.0.settings.clock)()
    }

    pub(super) fn random(&self) -> fastrand::Rng {
        locked(&self.0.random).fork()
    }

    /// Hands a command to the lane of its key.
    pub(super) fn call(&self, call: Call) -> Pending {
        if self.0.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.0.waiting.fetch_sub(1, Ordering::Relaxed);
            let text = "OVERLOADED too many commands wait; nothing has changed: wait and try again";
            return Pending::Ready(Some(Reply::error(text)));
        }
        let (answer, receiver) = oneshot::channel();
        let key = call.key().clone();
        let mut lanes = locked(&self.0.lanes);
        let waiting = Waiting { call, answer };
        match lanes.get_mut(&key) {
            Some(lane) => lane.push_back(waiting),
            None => {
                lanes.insert(key.clone(), VecDeque::from([waiting]));
                let engine = self.clone();
                tokio::spawn(async move { engine.drain(key).await });
            }
        }
        Pending::One(receiver)
    }

    /// Runs what waits for a key until nothing does.
    async fn drain(self, key: Bytes) {
        let end = End { engine: &self, key: &key };
        loop {
            let mut batch: Vec<Waiting> = Vec::new();
            {
                let mut lanes = locked(&self.0.lanes);
                let Some(lane) = lanes.get_mut(&key) else { return std::mem::forget(end) };
                while batch.len() < TOGETHER
                    && let Some(next) = lane.front()
                    && batch.first().is_none_or(|first| first.call.goes_with(&next.call))
                {
                    batch.extend(lane.pop_front());
                }
                if batch.is_empty() {
                    // Still under the lock: who comes now begins a lane of its own, which is not ours to end.
                    lanes.remove(&key);
                    return std::mem::forget(end);
                }
            }
            let (calls, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.call, waiting.answer)).unzip();
            let inner = &self.0;
            let (now, limit) = (self.now(), inner.settings.value_bytes);
            let random = self.random();
            let replies =
                lane::run(&inner.objects, &inner.actors, &calls, now, limit, random).await;
            inner.waiting.fetch_sub(answers.len(), Ordering::Relaxed);
            for (answer, reply) in answers.into_iter().zip(replies) {
                // Nobody waits: the connection has gone.
                let _ = answer.send(reply);
            }
        }
    }
}

/// However a lane ends, also by a bug of ours: the next command begins a new one.
struct End<'a, O: Objects> {
    engine: &'a Engine<O>,
    key: &'a Bytes,
}

impl<O: Objects> Drop for End<'_, O> {
    fn drop(&mut self) {
        if let Some(left) = locked(&self.engine.0.lanes).remove(self.key) {
            self.engine.0.waiting.fetch_sub(left.len(), Ordering::Relaxed);
        }
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock still guards whole entries.
    lock.lock().unwrap_or_else(|e| e.into_inner())
}
