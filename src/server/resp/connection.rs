//! One connection: requests are submitted as they come, answers leave in the same order.
//!
//! - Not read while [`IN_FLIGHT`] commands wait or [`UNREAD`] bytes of answers have not been taken.
//! - Closed when the client takes no answers for as long as a connection may stall, or leaves a request unfinished as long.

use super::super::http::{Bridge, OwnNode};
use super::PORT;
use crate::redis::wire::{Broken, Limits, Protocol, Reader, write};
use crate::redis::{Engine, Pending, Reply, Session};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

/// The most commands of one connection that wait for their answers.
const IN_FLIGHT: usize = 2_048;
/// How many bytes of answers may wait to be taken before no more is read.
const UNREAD: usize = 1 << 20;
/// How much is read at once.
const READ: usize = 64 << 10;
/// How much of requests a connection may keep without asking for room: what is read at once, and a line.
const OWN: usize = 256 << 10;
/// The most words of one request.
const WORDS: usize = 1 << 20;
/// The largest request, in bytes.
const REQUEST: usize = 64 << 20;

/// Serves it to its end.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    bridge: Arc<Bridge>,
    engine: Engine<OwnNode>,
    begun: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let bulk = (bridge.value_bytes() + (64 << 10)).min(REQUEST);
    let limits = Limits { arguments: WORDS, bulk, request: REQUEST };
    let now = Instant::now();
    let mut connection = Connection {
        session: Session::new(&engine, Some(peer)),
        engine,
        bridge,
        begun,
        room: None,
        reader: Reader::new(limits),
        waiting: VecDeque::new(),
        out: Vec::new(),
        sent: 0,
        more: false,
        ended: false,
        heard: now,
        taken: now,
    };
    if let Err(reason) = connection.run(&stream, &mut stopped).await {
        connection.bridge.reject_on(PORT, reason, 1);
    }
}

struct Connection {
    session: Session,
    engine: Engine<OwnNode>,
    bridge: Arc<Bridge>,
    /// Room that all connections share, for requests that have begun.
    begun: Arc<Semaphore>,
    room: Option<OwnedSemaphorePermit>,
    reader: Reader,
    /// Each with the protocol that was spoken when it was asked; `HELLO` is answered in the new one.
    waiting: VecDeque<(Pending, Protocol)>,
    out: Vec<u8>,
    /// So much of `out` has been sent.
    sent: usize,
    /// The reader may hold a whole request.
    more: bool,
    /// No more requests are taken.
    ended: bool,
    heard: Instant,
    taken: Instant,
}

impl Connection {
    async fn run(
        &mut self,
        stream: &TcpStream,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<(), &'static str> {
        let mut buffer = vec![0; READ];
        let mut end = Ok(());
        loop {
            if let Err(reason) = self.submit() {
                end = Err(reason);
            }
            self.collect();
            self.send(stream)?;
            if self.ended && self.waiting.is_empty() && self.unsent() == 0 {
                return end;
            }
            if self.more && self.may_submit() {
                // What is always ready must not keep others from their turn.
                tokio::task::yield_now().await;
                continue;
            }
            let (reads, unsent) = (self.may_submit(), self.unsent());
            let amid = reads && self.reader.kept() > 0;
            let (unread, stalled) =
                (self.taken + self.bridge.stall, self.heard + self.bridge.stall);
            tokio::select! {
                reply = front(&mut self.waiting), if !self.waiting.is_empty() && unsent < UNREAD => {
                    self.answer(&reply);
                }
                ready = stream.writable(), if unsent > 0 => ready.map_err(|_| "broken")?,
                ready = stream.readable(), if reads => {
                    ready.map_err(|_| "broken")?;
                    self.read(stream, &mut buffer)?;
                }
                () = stop(stopped), if !self.ended => self.ended = true,
                () = sleep_until(unread), if unsent > 0 => return Err("unread"),
                () = sleep_until(stalled), if amid => return Err("stalled"),
            }
        }
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Whether the next request may begin.
    fn may_submit(&self) -> bool {
        !self.ended
            && self.waiting.len() < IN_FLIGHT
            && self.unsent() < UNREAD
            && !self.waiting.back().is_some_and(|(pending, _)| pending.is_barrier())
    }

    fn read(&mut self, stream: &TcpStream, buffer: &mut [u8]) -> Result<(), &'static str> {
        match stream.try_read(buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.heard = Instant::now();
                self.reader.push(&buffer[..count]);
                self.more = true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err("broken"),
        }
        Ok(())
    }

    /// Begins what has come, as far as there is room.
    fn submit(&mut self) -> Result<(), &'static str> {
        while self.more && self.may_submit() {
            match self.reader.request() {
                Ok(None) => self.more = false,
                Ok(Some(request)) => {
                    let (pending, class) = self.session.submit(&self.engine, request);
                    self.bridge.count_resp(class);
                    self.waiting.push_back((pending, self.session.protocol()));
                    self.ended |= self.session.is_closing();
                }
                Err(Broken(text)) => return self.refuse(text, "malformed"),
            }
        }
        let needed = self.reader.kept().saturating_sub(OWN);
        let held = self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if needed == 0 {
            self.room = None;
        } else if needed > held {
            let more = u32::try_from(needed - held).unwrap_or(u32::MAX);
            match self.begun.clone().try_acquire_many_owned(more) {
                Err(_) => {
                    let text = "too many large requests come at once; wait and try again";
                    return self.refuse(format!("OVERLOADED {text}"), "no_room");
                }
                Ok(more) => match &mut self.room {
                    Some(room) => room.merge(more),
                    room => *room = Some(more),
                },
            }
        }
        Ok(())
    }

    /// The last answer: what else came is not read.
    fn refuse(&mut self, text: String, reason: &'static str) -> Result<(), &'static str> {
        let text = if text.starts_with("OVERLOADED") { text } else { format!("ERR {text}") };
        let pending = Pending::ready(Reply::Error(text.into()));
        self.waiting.push_back((pending, self.session.protocol()));
        self.ended = true;
        Err(reason)
    }

    /// Writes down all answers that are there, up to the first that is not.
    fn collect(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while self.unsent() < UNREAD
            && let Some((pending, protocol)) = self.waiting.front_mut()
            && !pending.is_barrier()
            && let Poll::Ready(reply) = Pin::new(pending).poll(&mut context)
        {
            let protocol = *protocol;
            self.answer(&(reply, protocol));
            self.waiting.pop_front();
        }
    }

    fn answer(&mut self, (reply, protocol): &(Reply, Protocol)) {
        if self.unsent() == 0 {
            self.out.clear();
            self.sent = 0;
            self.taken = Instant::now();
        }
        write(&mut self.out, reply, *protocol);
    }

    /// Sends what the system takes.
    fn send(&mut self, stream: &TcpStream) -> Result<(), &'static str> {
        while self.unsent() > 0 {
            match stream.try_write(&self.out[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    self.taken = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return Err("broken"),
            }
        }
        // What one large answer took is given back.
        if self.unsent() == 0 && self.out.capacity() > UNREAD {
            (self.out, self.sent) = (Vec::new(), 0);
        }
        Ok(())
    }
}

/// Waits until the node has ended; who would say so may have gone, too.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Waits for the first answer, and takes it out.
async fn front(waiting: &mut VecDeque<(Pending, Protocol)>) -> (Reply, Protocol) {
    poll_fn(|context| match waiting.front_mut() {
        None => Poll::Pending,
        Some((pending, protocol)) => {
            let protocol = *protocol;
            let reply = Pin::new(pending).poll(context);
            if reply.is_ready() {
                waiting.pop_front();
            }
            reply.map(|reply| (reply, protocol))
        }
    })
    .await
}
