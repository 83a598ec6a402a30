//! What the tasks of the node thread share. One thread, so cells instead of locks.

use super::counters::DriverCounters;
use super::inbox::Inbox;
use super::native::Client;
use crate::config::{LimitsSection, TimingSection};
use crate::id::Epoch;
use crate::message::client::Reply;
use crate::node::{ConnectionId, Event};
use crate::seal::Keyring;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// Where a reply goes.
pub(super) enum Sink {
    /// A native connection.
    Client(Rc<Client>),
    /// One HTTP request.
    Http(oneshot::Sender<Reply>),
}

/// See the module.
pub(super) struct Shared {
    pub(super) inbox: RefCell<Inbox>,
    pub(super) counters: RefCell<DriverCounters>,
    pub(super) sinks: RefCell<HashMap<ConnectionId, Sink>>,
    /// Wakes the turn, from any thread.
    pub(super) wake: Arc<Notify>,
    /// Wakes readers that found the inbox full.
    pub(super) room: Notify,
    pub(super) limits: LimitsSection,
    pub(super) timing: TimingSection,
    /// This node's name, for the Hello.
    pub(super) name: String,
    /// Without one of these nobody is listened to; `None`: everybody is.
    pub(super) keys: Option<Keyring>,
    /// The newest layout that the node knows: every reply says so, for clients that know an older one.
    pub(super) epoch: Cell<Epoch>,
    next_connection: Cell<u64>,
}

impl Shared {
    pub(super) fn new(
        name: &str,
        limits: LimitsSection,
        timing: TimingSection,
        keys: Option<Keyring>,
        wake: Arc<Notify>,
    ) -> Rc<Shared> {
        Rc::new(Shared {
            inbox: RefCell::default(),
            counters: RefCell::default(),
            sinks: RefCell::default(),
            wake,
            room: Notify::new(),
            limits,
            timing,
            name: name.to_owned(),
            keys,
            epoch: Cell::default(),
            next_connection: Cell::new(1),
        })
    }

    /// An id that was never given out in this process.
    pub(super) fn connection_id(&self) -> ConnectionId {
        let id = self.next_connection.get();
        self.next_connection.set(id + 1);
        ConnectionId(id)
    }

    /// Hands an event of about so many bytes to the next turn.
    pub(super) fn push(&self, event: Event, bytes: usize) {
        if self.inbox.borrow_mut().push(event, bytes) {
            self.wake.notify_one();
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.inbox.borrow().is_full()
    }

    pub(super) fn reject(&self, port: &'static str, reason: &'static str) {
        self.counters.borrow_mut().reject(port, reason);
    }

    /// Counts a write to a native connection.
    pub(super) fn count_write(&self, bytes: usize) {
        let mut counters = self.counters.borrow_mut();
        counters.writes += 1;
        counters.written_bytes += bytes as u64;
    }
}
