//! Connections to other nodes: dialled when there is something to say, one write a turn, and nothing lost
//! but a buffer when a peer hangs.
//!
//! ```text
//!   send ──► connected, nothing waits: try_write ──► done
//!        └─► else: queue (bounded) ──► one task a peer: [backoff] dial, Hello, flush, end
//! ```
//!
//! A frame that cannot leave soon is worth nothing: whoever sent it asks somebody else after a short
//! timeout. So a failed dial and a peer that takes nothing for a while drop what waits, and count it.

use crate::message::{Header, Hello, Kind, Role};
use crate::seal::{ANSWER_BYTES, Keyring, Knock, Outgoing};
use crate::server::bind;
use crate::server::shared::Shared;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// The most peers that are remembered; a cluster is far smaller.
const PEER_LIMIT: usize = 1024;
/// How long a peer may take nothing before its connection is given up.
const PEER_UNANSWERED: Duration = Duration::from_secs(5);
/// A connection that was not used for so long is closed.
const PEER_IDLE: Duration = Duration::from_secs(90);
/// The pause after the first failure; it doubles up to the longest.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// How many buffers one system call takes.
const SLICES: usize = 32;
/// How many bytes are sealed before the socket has taken them.
const SEALED_AHEAD: usize = 256 << 10;

/// All peers.
pub(in crate::server) struct Peers {
    shared: Rc<Shared>,
    links: RefCell<HashMap<SocketAddr, Rc<Link>>>,
    random: RefCell<fastrand::Rng>,
}

impl Peers {
    pub(in crate::server) fn new(shared: Rc<Shared>, seed: u64) -> Peers {
        let random = RefCell::new(fastrand::Rng::with_seed(seed));
        Peers { shared, links: RefCell::default(), random }
    }

    /// Sends whole frames to the node that listens there, or drops them.
    pub(in crate::server) fn send(&self, to: SocketAddr, bytes: Vec<u8>) {
        let mut links = self.links.borrow_mut();
        if !links.contains_key(&to) && links.len() >= PEER_LIMIT {
            self.shared.counters.borrow_mut().peer_buffers_dropped += 1;
            return;
        }
        let link = links.entry(to).or_insert_with(|| {
            Rc::new(Link {
                shared: self.shared.clone(),
                to,
                wire: RefCell::default(),
                queue: RefCell::default(),
                busy: Cell::new(false),
                failures: Cell::new(0),
                used: Cell::new(Instant::now()),
                jitter: self.random.borrow_mut().f64(),
                warned: Cell::new(false),
            })
        });
        link.send(bytes);
    }

    /// Closes what nobody uses. To be called now and then.
    pub(in crate::server) fn sweep(&self) {
        let now = Instant::now();
        self.links
            .borrow_mut()
            .retain(|_, link| link.busy.get() || now - link.used.get() < PEER_IDLE);
    }

    /// Whether everything has left for those who take it.
    pub(in crate::server) fn is_flushed(&self) -> bool {
        self.links.borrow().values().all(|link| link.is_flushed())
    }
}

/// One peer.
///
/// - While `busy`, a task owns the order of writes and nobody else writes.
struct Link {
    shared: Rc<Shared>,
    to: SocketAddr,
    wire: RefCell<Option<Rc<Wire>>>,
    queue: RefCell<Queue>,
    busy: Cell<bool>,
    /// Dials and connections that failed since the peer last said something.
    failures: Cell<u32>,
    used: Cell<Instant>,
    /// 0..1, so that peers which failed together are not dialled together.
    jitter: f64,
    /// That it has not our key was said.
    warned: Cell<bool>,
}

/// A connection; closed when dropped.
struct Wire {
    write: OwnedWriteHalf,
    /// Where there is a key: what is sealed for this connection and no other.
    sealed: Option<RefCell<Outgoing>>,
    reader: RefCell<Option<AbortHandle>>,
}

impl Wire {
    fn is_flushed(&self) -> bool {
        self.sealed.as_ref().is_none_or(|sealed| sealed.borrow().is_empty())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.abort();
        }
    }
}

#[derive(Default)]
struct Queue {
    buffers: VecDeque<Vec<u8>>,
    /// How much of the first one has left.
    sent: usize,
    bytes: usize,
}

impl Queue {
    fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.buffers.front() {
            let left = first.len() - self.sent;
            if count < left {
                self.sent += count;
                return;
            }
            count -= left;
            self.bytes -= first.len();
            self.sent = 0;
            self.buffers.pop_front();
        }
    }

    /// What waits, up to about so many bytes, moved there.
    fn pour(&mut self, out: &mut Outgoing, limit: usize) {
        while out.waiting() < limit
            && let Some(first) = self.buffers.pop_front()
        {
            self.bytes -= first.len();
            out.frames().extend_from_slice(&first);
        }
    }

    /// The connection broke: half a frame cannot go on in another one.
    fn drop_partial(&mut self) -> u64 {
        if self.sent == 0 {
            return 0;
        }
        self.sent = 0;
        self.buffers.pop_front().map_or(0, |first| {
            self.bytes -= first.len();
            1
        })
    }

    fn clear(&mut self) -> u64 {
        let count = self.buffers.len() as u64;
        *self = Queue::default();
        count
    }
}

impl Link {
    fn send(self: &Rc<Self>, bytes: Vec<u8>) {
        self.used.set(Instant::now());
        let mut queue = self.queue.borrow_mut();
        if queue.bytes + bytes.len() > self.shared.limits.peer_buffer_bytes.bytes() {
            drop(queue);
            self.count_dropped(1);
            return;
        }
        queue.bytes += bytes.len();
        queue.buffers.push_back(bytes);
        drop(queue);
        if self.busy.get() {
            return;
        }
        let wire = self.wire.borrow().clone();
        if let Some(wire) = wire
            && self.write_once(&wire).is_ok()
            && self.is_flushed()
        {
            return;
        }
        self.busy.set(true);
        tokio::task::spawn_local(self.clone().drive());
    }

    /// Whether nothing waits.
    fn is_flushed(&self) -> bool {
        self.queue.borrow().buffers.is_empty()
            && self.wire.borrow().as_ref().is_none_or(|wire| wire.is_flushed())
    }

    fn count_dropped(&self, buffers: u64) {
        self.shared.counters.borrow_mut().peer_buffers_dropped += buffers;
    }

    /// One system call. An error means that the connection is gone.
    fn write_once(&self, wire: &Wire) -> io::Result<()> {
        let mut queue = self.queue.borrow_mut();
        if let Some(sealed) = &wire.sealed {
            let mut sealed = sealed.borrow_mut();
            queue.pour(&mut sealed, SEALED_AHEAD);
            if sealed.is_empty() {
                return Ok(());
            }
            let written = wire.write.try_write(sealed.unsent());
            if let Ok(count) = written {
                sealed.advance(count);
            }
            drop((queue, sealed));
            return self.wrote(written);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (slice, buffer) in slices.iter_mut().zip(&queue.buffers) {
            let from = if used == 0 { queue.sent } else { 0 };
            *slice = IoSlice::new(&buffer[from..]);
            used += 1;
        }
        if used == 0 {
            return Ok(());
        }
        let written = wire.write.try_write_vectored(&slices[..used]);
        if let Ok(count) = written {
            queue.advance(count);
        }
        drop(queue);
        self.wrote(written)
    }

    fn wrote(&self, written: io::Result<usize>) -> io::Result<()> {
        match written {
            Ok(count) => {
                self.shared.count_write(count);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => {
                self.hang_up();
                Err(error)
            }
        }
    }

    fn hang_up(&self) {
        let wire = self.wire.borrow_mut().take();
        // What was sealed for this connection is of no use on another one.
        let sealed = u64::from(wire.is_some_and(|wire| !wire.is_flushed()));
        let dropped = self.queue.borrow_mut().drop_partial();
        self.count_dropped(dropped + sealed);
    }

    /// Dials if need be and writes until nothing waits, or all hope is gone.
    async fn drive(self: Rc<Self>) {
        while !self.is_flushed() {
            let wire = self.wire.borrow().clone();
            let wire = match wire {
                Some(wire) => wire,
                None => match self.dial().await {
                    Ok(wire) => wire,
                    Err(error) => {
                        if error.kind() == io::ErrorKind::InvalidData && !self.warned.replace(true)
                        {
                            tracing::warn!(peer = %self.to, "closes before it answers: has it another cluster key than this node, or none?");
                        }
                        tracing::debug!(peer = %self.to, %error, "cannot be reached");
                        self.give_up();
                        break;
                    }
                },
            };
            match timeout(PEER_UNANSWERED, wire.write.writable()).await {
                // Hung up while we waited: what is queued belongs to the next connection.
                Ok(_) if !self.is_wire(&wire) => {}
                Ok(Ok(())) => {
                    // On an error the loop dials again, after a pause.
                    if self.write_once(&wire).is_err() {
                        self.failures.set(self.failures.get() + 1);
                    }
                }
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!(peer = %self.to, "takes nothing; its connection is closed");
                    self.hang_up();
                    self.give_up();
                }
            }
        }
        self.busy.set(false);
    }

    fn is_wire(&self, wire: &Rc<Wire>) -> bool {
        self.wire.borrow().as_ref().is_some_and(|current| Rc::ptr_eq(current, wire))
    }

    fn give_up(&self) {
        self.failures.set(self.failures.get() + 1);
        let dropped = self.queue.borrow_mut().clear();
        self.count_dropped(dropped);
    }

    async fn dial(self: &Rc<Self>) -> io::Result<Rc<Wire>> {
        if let Some(before) = self.failures.get().checked_sub(1) {
            let pause = SHORTEST_BACKOFF.saturating_mul(1 << before.min(8)).min(LONGEST_BACKOFF);
            tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * self.jitter)).await;
        }
        let connected = timeout(self.shared.timing.connect, connect(self.to, &self.shared.keys));
        let (stream, sealed) =
            connected.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.warned.set(false);
        let (read, write) = stream.into_split();
        let wire = Rc::new(Wire { write, sealed, reader: RefCell::default() });
        let hello = Header::new(Kind::Hello).frame(&Hello::new(Role::Node, &self.shared.name));
        {
            let mut queue = self.queue.borrow_mut();
            queue.bytes += hello.len();
            queue.buffers.push_front(hello);
        }
        let watch = tokio::task::spawn_local(watch(Rc::downgrade(self), read));
        *wire.reader.borrow_mut() = Some(watch.abort_handle());
        *self.wire.borrow_mut() = Some(wire.clone());
        Ok(wire)
    }
}

/// A connection; and what seals it, where there are keys.
///
/// # Errors
/// It cannot be made; [`InvalidData`](io::ErrorKind::InvalidData): the other side has not the key.
async fn connect(
    to: SocketAddr,
    keys: &Option<Keyring>,
) -> io::Result<(TcpStream, Option<RefCell<Outgoing>>)> {
    let mut stream = TcpStream::connect(to).await?;
    // With nobody listening on a local port of the ephemeral range, TCP may connect to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    bind::tune(&stream, PEER_UNANSWERED);
    let Some(keys) = keys else { return Ok((stream, None)) };
    let refused = |refused| io::Error::new(io::ErrorKind::InvalidData, refused);
    let (knock, bytes) = Knock::new(keys).map_err(refused)?;
    stream.write_all(&bytes).await?;
    let mut answer = [0; ANSWER_BYTES];
    stream.read_exact(&mut answer).await.map_err(|error| match error.kind() {
        // Who has no key does not know what this is, and closes.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            io::Error::new(io::ErrorKind::InvalidData, error)
        }
        _ => error,
    })?;
    // The peer's one word, its Hello, is of no interest but for coming.
    let (sealer, _) = knock.heard(&answer).map_err(refused)?;
    let mut sealed = Outgoing::default();
    sealed.seal(sealer);
    Ok((stream, Some(RefCell::new(sealed))))
}

/// Reads what a peer says on a connection of ours, its Hello, for the one thing that matters: that it is
/// there, and when it is not any more.
async fn watch(link: std::rc::Weak<Link>, mut read: OwnedReadHalf) {
    let mut buffer = [0; 256];
    while let Ok(count) = read.read(&mut buffer).await {
        let Some(link) = link.upgrade() else { return };
        if count == 0 {
            break;
        }
        link.failures.set(0);
    }
    if let Some(link) = link.upgrade() {
        // This task is aborted with its wire, so the wire in place is still the one it watches.
        link.hang_up();
        link.failures.set(link.failures.get().max(1));
    }
}
