//! One native connection: a Hello, then frames, until something is wrong or the other side leaves.
//!
//! ```text
//!   dialler: Hello ─ Request ─ Request ─ …     (a client: replies come back here)
//!   dialler: Hello ─ Data ─ Control ─ …        (a node: answers go out on our own connection to it)
//!   dialler: knock, then the same, sealed      (where there is a key)
//! ```
//!
//! One task reads; nothing is spawned for a request. Whoever has too much under way is not read.

use super::client::Client;
use super::listener::Place;
use super::stream::{FrameStream, reason};
use crate::message::client::{Inspect, Reply, Request};
use crate::message::{
    Frame, FrameError, HEADER_BYTES, Header, Hello, KEY_WANTED, Kind, Role, decode,
};
use crate::node::Event;
use crate::seal::{self, KNOCK_BYTES};
use crate::server::shared::Sink;
use crate::{Error, server::shared::Shared};
use bytes::Buf;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::rc::Rc;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// The longest Hello, so that nobody sends megabytes before saying who they are.
const HELLO_BODY_LIMIT: usize = 1024;
/// The longest name in a Hello.
const NAME_LIMIT: usize = 64;

/// What somebody hears who asks from elsewhere for a backup.
const NOT_HERE: &str = "a node writes backups on its own machine, for whoever asks there; run the command on that machine";

/// Why a connection ends.
enum End {
    /// The other side closed it, between two frames.
    Closed,
    /// It is not worth keeping; counted under this port and reason.
    Rejected(&'static str, &'static str),
    /// As above, but the other side is told what is spoken here.
    Foreign(&'static str),
    /// It has no key, and hears that one is wanted.
    Keyless,
}

/// Begins to serve a connection.
pub(super) fn spawn(place: Place, stream: TcpStream) {
    let is_near = is_near(&stream);
    let (read, write) = stream.into_split();
    let client = Client::new(place.shared.clone(), write);
    let stream = FrameStream::new(read);
    let reader = tokio::task::spawn_local(serve(place, client.clone(), stream, is_near));
    client.set_reader(reader.abort_handle());
}

/// Whether the other side is on this machine.
fn is_near(stream: &TcpStream) -> bool {
    match (stream.peer_addr(), stream.local_addr()) {
        (Ok(peer), Ok(local)) => are_one_machine(peer.ip(), local.ip()),
        _ => false,
    }
}

/// The other side's address is loopback's, or the very one that it has reached us at: the kernel takes no
/// packet from elsewhere that claims one of our own addresses.
fn are_one_machine(peer: IpAddr, local: IpAddr) -> bool {
    let (peer, local) = (peer.to_canonical(), local.to_canonical());
    peer.is_loopback() || peer == local
}

async fn serve(place: Place, client: Rc<Client>, mut stream: FrameStream, is_near: bool) {
    let shared = &place.shared;
    let greeted = match admit(shared, &client, &mut stream).await {
        Ok(()) => greet(shared, &mut stream).await,
        Err(end) => Err(end),
    };
    let end = match greeted {
        Ok(hello) => {
            client.send_raw(&hello_frame(shared));
            tracing::debug!(name = %hello.name, role = ?hello.role, "connected");
            match hello.role {
                Role::Node => frames_of_a_node(shared, &mut stream).await,
                Role::Client => {
                    let registered = Registered::new(shared, &client, is_near);
                    requests_of_a_client(shared, &registered, &mut stream).await
                }
            }
        }
        Err(end) => end,
    };
    match end {
        End::Closed => {}
        End::Rejected(port, reason) => shared.reject(port, reason),
        End::Foreign(reason) => {
            client.send_raw(&hello_frame(shared));
            shared.reject("native", reason);
        }
        End::Keyless => {
            let header = Header { flags: KEY_WANTED, ..Header::new(Kind::Hello) };
            client.send_raw(&header.frame(&Hello::new(Role::Node, "")));
            shared.reject("native", "no_key");
        }
    }
}

fn hello_frame(shared: &Shared) -> Vec<u8> {
    Header::new(Kind::Hello).frame(&Hello::new(Role::Node, &shared.name))
}

/// Where there is a key, nothing is said before the other side has used it; from here on everything is sealed.
async fn admit(shared: &Shared, client: &Rc<Client>, stream: &mut FrameStream) -> Result<(), End> {
    let Some(keys) = &shared.keys else { return Ok(()) };
    let knock = async {
        loop {
            let arrived = stream.incoming().frames();
            if arrived.len() >= 2 && !seal::is_knock(arrived) {
                return Err(End::Keyless);
            }
            if let Some(knock) = arrived.first_chunk::<KNOCK_BYTES>().copied() {
                arrived.advance(KNOCK_BYTES);
                return Ok(knock);
            }
            read(shared, stream).await?;
        }
    };
    let knock = match timeout(shared.timing.stall, knock).await {
        Ok(knock) => knock?,
        Err(_) => return Err(End::Rejected("native", "no_hello")),
    };
    let (answer, sealer, opener) =
        seal::answer(keys, &knock).map_err(|_| End::Rejected("native", "another_key"))?;
    client.send_raw(&answer);
    client.seal(sealer);
    stream.incoming().unseal(opener).map_err(|_| End::Rejected("native", "another_key"))
}

/// The first frame, in good time.
async fn greet(shared: &Shared, stream: &mut FrameStream) -> Result<Hello, End> {
    let first = async {
        loop {
            match stream.next() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error @ FrameError::Version(_)) => return Err(End::Foreign(reason(error))),
                Err(FrameError::Magic) if seal::is_knock(stream.incoming().frames()) => {
                    return Err(End::Rejected("native", "sealed"));
                }
                Err(error) => return Err(End::Rejected("native", reason(error))),
            }
            if stream.buffered() > HEADER_BYTES + HELLO_BODY_LIMIT {
                return Err(End::Rejected("native", "no_hello"));
            }
            read(shared, stream).await?;
        }
    };
    let frame = match timeout(shared.timing.stall, first).await {
        Ok(frame) => frame?,
        Err(_) => return Err(End::Rejected("native", "no_hello")),
    };
    if frame.header.kind != Kind::Hello || frame.body.len() > HELLO_BODY_LIMIT {
        return Err(End::Rejected("native", "no_hello"));
    }
    let hello: Hello =
        decode(&frame.body).map_err(|_| End::Rejected("native", "malformed_hello"))?;
    if hello.name.len() > NAME_LIMIT {
        return Err(End::Rejected("native", "malformed_hello"));
    }
    if hello.common().is_none() {
        return Err(End::Foreign("version"));
    }
    Ok(hello)
}

async fn read(shared: &Shared, stream: &mut FrameStream) -> Result<(), End> {
    shared.counters.borrow_mut().reads += 1;
    match stream.fill().await {
        Ok(0) if stream.is_amid_a_frame() => Err(End::Rejected("native", "half_a_frame")),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(End::Rejected("native", "another_key"))
        }
        Ok(0) | Err(_) => Err(End::Closed),
        Ok(_) => Ok(()),
    }
}

/// A whole frame may take so many times what a silence may last.
const FRAME_STALLS: u32 = 3;

/// The next frame, with its sender kept from filling the inbox, from falling silent within a frame, and from never
/// ending one: where a bit of the length has flipped, all that follows would be taken for its body, and a
/// node that knocks once a second would be listened to and not heard for ever.
async fn next_frame(shared: &Shared, stream: &mut FrameStream) -> Result<Frame, End> {
    let mut left = shared.timing.stall * FRAME_STALLS;
    loop {
        while shared.is_full() {
            shared.room.notified().await;
        }
        match stream.next() {
            Ok(Some(frame)) => return Ok(frame),
            Ok(None) => {}
            Err(error) => return Err(End::Rejected("native", reason(error))),
        }
        if stream.is_amid_a_frame() {
            let began = Instant::now();
            match timeout(shared.timing.stall.min(left), read(shared, stream)).await {
                Ok(result) => result?,
                Err(_) => return Err(End::Rejected("native", "stalled")),
            }
            left = left.saturating_sub(began.elapsed());
        } else {
            read(shared, stream).await?;
        }
    }
}

async fn frames_of_a_node(shared: &Shared, stream: &mut FrameStream) -> End {
    loop {
        let frame = match next_frame(shared, stream).await {
            Ok(frame) => frame,
            Err(end) => return end,
        };
        match frame.header.kind {
            Kind::Data | Kind::Control => {
                let bytes = frame.body.len() + HEADER_BYTES;
                shared.push(Event::Frame(frame), bytes);
            }
            Kind::Hello | Kind::Request | Kind::Reply => {
                return End::Rejected("peer", "wrong_kind");
            }
        }
    }
}

async fn requests_of_a_client(
    shared: &Shared,
    client: &Registered,
    stream: &mut FrameStream,
) -> End {
    loop {
        client.output.wait_for_room().await;
        let frame = match next_frame(shared, stream).await {
            Ok(frame) => frame,
            Err(end) => return end,
        };
        if frame.header.kind != Kind::Request {
            return End::Rejected("client", "wrong_kind");
        }
        let (id, deadline_ms) = (frame.header.request, frame.header.deadline_ms);
        match decode::<Request>(&frame.body) {
            Ok(Request::Inspect(Inspect::Backup(_))) if !client.is_near => {
                shared.reject("client", "backup_from_elsewhere");
                client.refuse(id, Error::Forbidden(NOT_HERE.into()));
            }
            Ok(request) => {
                client.output.begin_request();
                let event = Event::Request { connection: client.id, id, deadline_ms, request };
                shared.counters.borrow_mut().requests += 1;
                shared.push(event, frame.body.len() + HEADER_BYTES);
            }
            // The frame is whole, so the stream is sound: the client hears what is wrong and may go on.
            Err(error) => {
                shared.reject("client", "malformed");
                client.refuse(id, Error::Invalid(error.to_string()));
            }
        }
    }
}

/// A client that replies can find; not any more when dropped.
struct Registered {
    shared: Rc<Shared>,
    id: crate::node::ConnectionId,
    output: Rc<Client>,
    /// It is on this machine.
    is_near: bool,
}

impl Registered {
    fn new(shared: &Rc<Shared>, client: &Rc<Client>, is_near: bool) -> Registered {
        let id = shared.connection_id();
        shared.sinks.borrow_mut().insert(id, Sink::Client(client.clone()));
        Registered { shared: shared.clone(), id, output: client.clone(), is_near }
    }

    /// Answers what the node need not hear of.
    fn refuse(&self, id: u64, error: Error) {
        self.output.begin_request();
        self.output.queue_reply(id, &Reply::Failed(error));
        self.output.flush();
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.sinks.borrow_mut().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_on_this_machine_may_ask_for_a_backup() {
        for (peer, local, near) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.9", "127.0.0.1", true),
            ("::1", "::1", true),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true),
            ("10.0.0.7", "10.0.0.7", true),
            ("::ffff:10.0.0.7", "10.0.0.7", true),
            ("10.0.0.8", "10.0.0.7", false),
            ("10.0.0.8", "127.0.0.1", false),
            ("fe80::1", "fe80::2", false),
        ] {
            let [peer, local] =
                [peer, local].map(|text| text.parse::<IpAddr>().expect("an address"));
            assert_eq!(are_one_machine(peer, local), near, "{peer} reaches {local}");
        }
    }
}
