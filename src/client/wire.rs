//! One connection at work: a single loop that encodes what is queued, writes it at once, and hands out what
//! comes back.
//!
//! ```text
//!   queue ─▶▶▶ encode ─▶ outbox ═══ one write ═══▶ node
//!   callers ◀ slab ◀ decode ◀ inbox ═══ one read ══╝
//!            └ owes an answer and is silent: "are you there?"; still silent: broken
//! ```

use super::attempts::Outcome;
use super::link::{Attempt, Settings, State};
use super::routing::Routing;
use super::slab::{Slab, Waiting};
use crate::message::client::{Inspect, Reply, Request};
use crate::message::{
    self, Header, Hello, KEY_WANTED, Kind, MAX_BODY_BYTES, Role, Split, decode, split,
};
use crate::seal::{ANSWER_BYTES, Incoming, Keyring, Knock, Outgoing};
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::{Instant, Sleep};

/// Nothing more is encoded while this much waits to be written: a slow node fills the queue, not memory.
const OUTBOX_BYTES: usize = 1 << 20;
/// Room for what arrives; grows only with what has arrived.
const INBOX_BYTES: usize = 64 << 10;
/// A node hears of less time than there is, so that its own last word comes in time.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);

/// A connection on which the node has greeted.
pub(super) struct Connection {
    stream: TcpStream,
    inbox: Incoming,
    outbox: Outgoing,
    /// Who greeted.
    pub(super) name: String,
}

/// Why a connection ended.
pub(super) enum End {
    /// The last handle of the client was dropped.
    ClientGone,
    /// It cannot be used any more, for this reason.
    Broken(String),
}

/// Connects and exchanges greetings, within the link's patience.
pub(super) async fn dial(settings: &Settings) -> Result<Connection, String> {
    tokio::time::timeout(settings.patience, greet(settings))
        .await
        .unwrap_or_else(|_| Err(format!("no greeting within {:?}", settings.patience)))
}

async fn greet(settings: &Settings) -> Result<Connection, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(&settings.address).await.map_err(text)?;
    stream.set_nodelay(true).map_err(text)?;
    let (mut inbox, mut outbox) = match &settings.keys {
        Some(keys) => knock(&mut stream, keys).await?,
        None => (Incoming::with_capacity(INBOX_BYTES), Outgoing::default()),
    };
    let hello = Header::new(Kind::Hello).frame(&Hello::new(Role::Client, &settings.name));
    outbox.frames().extend_from_slice(&hello);
    while !outbox.is_empty() {
        let written = stream.write(outbox.unsent()).await.map_err(text)?;
        outbox.advance(written);
    }
    loop {
        match split(inbox.frames(), MAX_BODY_BYTES).map_err(|error| error.to_string())? {
            Split::Frame(frame) if frame.header.flags & KEY_WANTED != 0 => {
                return Err("it serves only who has the cluster's key, and none was given".into());
            }
            Split::Frame(frame) if frame.header.kind == Kind::Hello => {
                let hello: Hello = decode(&frame.body).map_err(|error| error.to_string())?;
                return match hello.common() {
                    Some(_) => Ok(Connection { stream, inbox, outbox, name: hello.name }),
                    None => Err(format!("speaks protocols {} to {}", hello.min, hello.max)),
                };
            }
            Split::Frame(_) => return Err("the first frame is no greeting".into()),
            Split::Need(_) => {
                if stream.read_buf(inbox.wire()).await.map_err(text)? == 0 {
                    return Err("closed before it greeted".into());
                }
                inbox.arrived().map_err(|refused| refused.to_string())?;
            }
        }
    }
}

/// Shows that we have the key, and sees that the node has it.
async fn knock(stream: &mut TcpStream, keys: &Keyring) -> Result<(Incoming, Outgoing), String> {
    let (knock, bytes) = Knock::new(keys).map_err(|_| "the system has no randomness")?;
    stream.write_all(&bytes).await.map_err(|error| error.to_string())?;
    let mut answer = [0; ANSWER_BYTES];
    // Who has no key does not know what this is, and who has another one does not answer.
    let heard = stream.read_exact(&mut answer).await.ok().and_then(|_| knock.heard(&answer).ok());
    let (sealer, opener) = heard.ok_or("it has another cluster key, or none")?;
    let (mut inbox, mut outbox) = (Incoming::with_capacity(INBOX_BYTES), Outgoing::default());
    outbox.seal(sealer);
    inbox.unseal(opener).map_err(|refused| refused.to_string())?;
    Ok((inbox, outbox))
}

/// Works until the connection breaks or the client is gone. Everyone who waits is told.
pub(super) async fn serve(
    connection: Connection,
    attempts: &mut mpsc::Receiver<Attempt>,
    state: &State,
    routing: &Routing,
    patience: Duration,
) -> End {
    let mut loop_ = Loop {
        stream: connection.stream,
        inbox: connection.inbox,
        outbox: connection.outbox,
        slab: Slab::default(),
        state,
        routing,
        patience,
        quiet_since: Instant::now(),
        asked: false,
        armed: false,
    };
    let end = loop_.run(attempts).await.unwrap_or_else(End::Broken);
    loop_.slab.lose_all();
    end
}

struct Loop<'a> {
    stream: TcpStream,
    inbox: Incoming,
    outbox: Outgoing,
    slab: Slab,
    state: &'a State,
    routing: &'a Routing,
    patience: Duration,
    /// Since when the node owes an answer and has said nothing.
    quiet_since: Instant,
    /// Whether it was asked for a sign of life since then.
    asked: bool,
    /// Whether the alarm is set. It is set once and looks when it rings, not moved with every request.
    armed: bool,
}

impl Loop<'_> {
    async fn run(&mut self, attempts: &mut mpsc::Receiver<Attempt>) -> Result<End, String> {
        let mut alarm = std::pin::pin!(tokio::time::sleep(self.patience));
        // What came behind the greeting.
        self.hand_out()?;
        loop {
            while self.has_room() {
                match attempts.try_recv() {
                    Ok(attempt) => self.encode(attempt),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(End::ClientGone),
                }
            }
            self.write()?;
            if !self.armed && !self.slab.is_empty() {
                self.arm(alarm.as_mut(), self.quiet_since + self.patience / 2);
            }
            let interest = match self.outbox.is_empty() {
                true => Interest::READABLE,
                false => Interest::READABLE | Interest::WRITABLE,
            };
            // What has arrived comes first: after a stall of this machine, the alarm rings beside it.
            tokio::select! {
                biased;
                ready = self.stream.ready(interest) => {
                    if ready.map_err(|error| error.to_string())?.is_readable() {
                        self.read()?;
                    }
                }
                attempt = attempts.recv(), if self.has_room() => match attempt {
                    Some(attempt) => self.encode(attempt),
                    None => return Ok(End::ClientGone),
                },
                () = alarm.as_mut(), if self.armed => {
                    self.armed = false;
                    self.listen_for_life(alarm.as_mut())?;
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        self.outbox.waiting() < OUTBOX_BYTES
    }

    fn arm(&mut self, alarm: Pin<&mut Sleep>, at: Instant) {
        alarm.reset(at);
        self.armed = true;
    }

    fn encode(&mut self, attempt: Attempt) {
        let now = Instant::now();
        let left = attempt.deadline.saturating_duration_since(now);
        if left.is_zero() || attempt.answer.is_closed() {
            // Nobody waits for it any more, or will in a moment.
            let _ = attempt.answer.send(Outcome::NotSent);
            return;
        }
        if self.slab.is_empty() {
            self.quiet_since = now;
            self.asked = false;
        }
        let left = left - ANSWER_MARGIN.min(left / 10);
        let mut header = Header::new(Kind::Request);
        // Zero would mean that there is no deadline.
        header.deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        header.request = self.slab.insert(Waiting::Caller(attempt.answer, attempt.ticket));
        header.encode_into(self.outbox.frames(), |out| out.extend_from_slice(&attempt.body));
        self.state.sent.fetch_add(1, Ordering::Relaxed);
        if self.routing.is_due(now) {
            self.ask(Waiting::Placement, &Request::Placement);
        }
    }

    /// A question of the connection's own.
    fn ask(&mut self, waiting: Waiting, question: &Request) {
        let mut header = Header::new(Kind::Request);
        header.request = self.slab.insert(waiting);
        header.encode_into(self.outbox.frames(), |out| message::encode_into(out, question));
    }

    fn write(&mut self) -> Result<(), String> {
        while !self.outbox.is_empty() {
            match self.stream.try_write(self.outbox.unsent()) {
                Ok(0) => return Err("closed".into()),
                Ok(count) => {
                    self.outbox.advance(count);
                    self.state.writes.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), String> {
        loop {
            // Doubling, so that a long frame is not copied once for each piece of it.
            let wire = self.inbox.wire();
            let room = wire.len().max(INBOX_BYTES / 2);
            wire.reserve(room);
            match self.stream.try_read_buf(wire) {
                Ok(0) => return Err("closed".into()),
                Ok(count) => {
                    self.quiet_since = Instant::now();
                    self.asked = false;
                    self.inbox.arrived().map_err(|refused| refused.to_string())?;
                    self.hand_out()?;
                    // A short read has emptied the socket; asking again would only say so.
                    if count < room {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Gives every whole frame to whom it belongs.
    fn hand_out(&mut self) -> Result<(), String> {
        while !self.inbox.frames().is_empty() {
            let frame = match split(self.inbox.frames(), MAX_BODY_BYTES) {
                Ok(Split::Frame(frame)) => frame,
                Ok(Split::Need(_)) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            if frame.header.kind != Kind::Reply {
                return Err("a frame that is no reply".into());
            }
            let reply: Reply = decode(&frame.body).map_err(|error| error.to_string())?;
            self.routing.heard(frame.header.epoch);
            match (self.slab.take(frame.header.request), reply) {
                (Some(Waiting::Caller(answer, _ticket)), reply) => {
                    // Whoever stopped waiting need not hear it.
                    let _ = answer.send(Outcome::Answered(reply));
                }
                (Some(Waiting::Placement), Reply::Placement(placement)) => {
                    self.routing.install(*placement);
                }
                // A sign of life, a node that cannot tell, an answer that nobody waits for.
                (Some(Waiting::Placement | Waiting::SignOfLife) | None, _) => {}
            }
        }
        Ok(())
    }

    /// The alarm rang: the node may have been silent for half the patience, or all of it.
    fn listen_for_life(&mut self, alarm: Pin<&mut Sleep>) -> Result<(), String> {
        // Something may have come while this machine stood still.
        self.read()?;
        if self.slab.is_empty() {
            return Ok(());
        }
        let silent = self.quiet_since.elapsed();
        if silent >= self.patience && self.asked {
            return Err(format!("silent for {silent:?} while it owed an answer"));
        }
        if silent >= self.patience / 2 && !self.asked {
            self.asked = true;
            self.ask(Waiting::SignOfLife, &Request::Inspect(Inspect::Info));
            // All of the other half from now, even if this alarm rang late.
            let half_ago = Instant::now().checked_sub(self.patience / 2);
            self.quiet_since = half_ago.map_or(self.quiet_since, |at| at.max(self.quiet_since));
        }
        let next = if self.asked { self.patience } else { self.patience / 2 };
        self.arm(alarm, self.quiet_since + next);
        Ok(())
    }
}
