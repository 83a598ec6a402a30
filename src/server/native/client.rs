//! What leaves on a connection that somebody else has opened: one write a turn, the rest when there is room.

use crate::Error;
use crate::message::client::Reply;
use crate::message::{HEADER_BYTES, Header, Kind, MAX_BODY_BYTES, encode_into};
use crate::seal::{Outgoing, Sealer};
use crate::server::shared::Shared;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How long a client may leave everything unread before it is given up.
const UNREAD_FOR: Duration = Duration::from_secs(30);

/// The sending side of a connection.
///
/// - While `flushing`, a task owns the order of writes and nobody else writes.
/// - Requests under way and unread bytes bound each other: a connection beyond either limit is not read,
///   so what can still be added is answers to what is under way.
pub(in crate::server) struct Client {
    shared: Rc<Shared>,
    write: OwnedWriteHalf,
    buffer: RefCell<Outgoing>,
    flushing: Cell<bool>,
    in_flight: Cell<usize>,
    room: Notify,
    reader: RefCell<Option<AbortHandle>>,
}

impl Client {
    pub(super) fn new(shared: Rc<Shared>, write: OwnedWriteHalf) -> Rc<Client> {
        Rc::new(Client {
            shared,
            write,
            buffer: RefCell::default(),
            flushing: Cell::new(false),
            in_flight: Cell::new(0),
            room: Notify::new(),
            reader: RefCell::default(),
        })
    }

    pub(super) fn set_reader(&self, reader: AbortHandle) {
        *self.reader.borrow_mut() = Some(reader);
    }

    /// From here on everything is sealed.
    pub(super) fn seal(&self, sealer: Sealer) {
        self.buffer.borrow_mut().seal(sealer);
    }

    /// Ends the connection.
    pub(in crate::server) fn close(&self) {
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.abort();
        }
    }

    /// Waits until the connection may be read again.
    pub(super) async fn wait_for_room(&self) {
        while self.is_full() {
            self.room.notified().await;
        }
    }

    fn is_full(&self) -> bool {
        let limits = &self.shared.limits;
        self.in_flight.get() >= limits.connection_in_flight
            || self.buffer.borrow().waiting() >= limits.connection_unread_bytes.bytes()
    }

    pub(super) fn begin_request(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// Queues the answer to a request. True when it is the first thing queued since everything was
    /// sent, so that the turn knows whom to flush.
    pub(in crate::server) fn queue_reply(&self, id: u64, reply: &Reply) -> bool {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        let mut buffer = self.buffer.borrow_mut();
        let was_empty = buffer.is_empty();
        let frames = buffer.frames();
        let start = frames.len();
        let epoch = self.shared.epoch.get();
        let header = Header { request: id, epoch, ..Header::new(Kind::Reply) };
        header.encode_into(frames, |out| encode_into(out, reply));
        let size = frames.len() - start - HEADER_BYTES;
        if size > MAX_BODY_BYTES {
            frames.truncate(start);
            let error = Error::TooLarge {
                what: "the answer".into(),
                size: size as u64,
                limit: MAX_BODY_BYTES as u64,
            };
            header.encode_into(frames, |out| encode_into(out, &Reply::Failed(error)));
        }
        was_empty
    }

    /// Sends bytes that stand outside of any turn.
    pub(super) fn send_raw(self: &Rc<Self>, bytes: &[u8]) {
        self.buffer.borrow_mut().frames().extend_from_slice(bytes);
        self.flush();
    }

    /// One write; what is left goes out when the socket has room.
    pub(in crate::server) fn flush(self: &Rc<Self>) {
        if self.flushing.get() {
            return;
        }
        if self.write_once() {
            self.flushing.set(true);
            tokio::task::spawn_local(self.clone().flush_rest());
        }
        self.tell_room();
    }

    /// True when something is left and the connection stands.
    fn write_once(&self) -> bool {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() {
            return false;
        }
        match self.write.try_write(buffer.unsent()) {
            Ok(count) => {
                self.shared.count_write(count);
                buffer.advance(count);
                !buffer.is_empty()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(_) => {
                self.close();
                false
            }
        }
    }

    async fn flush_rest(self: Rc<Self>) {
        while let Ok(Ok(())) = tokio::time::timeout(UNREAD_FOR, self.write.writable()).await {
            let more = self.write_once();
            self.tell_room();
            if !more {
                self.flushing.set(false);
                return;
            }
        }
        self.shared.reject("client", "unread");
        self.close();
    }

    fn tell_room(&self) {
        if !self.is_full() {
            self.room.notify_waiters();
        }
    }
}
