//! The drivers with real sockets and a machine that does as it is told.

mod fake;
mod http;
mod lifecycle;
mod metrics;
mod native;
mod openapi;
mod page;
mod peers;
mod real;
mod sealed;
mod token;

use super::{Running, Server};
use crate::config::ServerConfig;
use crate::message::client::{Reply, Request};
use crate::message::{Frame, Header, Hello, Kind, MAX_BODY_BYTES, Role, Split, decode, split};
use bytes::BytesMut;
use fake::{FakeOpener, Seen};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running node around a fake machine; stopped when dropped.
struct Node {
    running: Option<Running>,
    seen: Arc<Seen>,
}

impl Node {
    fn start() -> Node {
        Node::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ServerConfig)) -> Node {
        let mut config = config();
        change(&mut config);
        let (opener, seen) = FakeOpener::new();
        let running = Server::start_with(config, opener).expect("a node");
        Node { running: Some(running), seen }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("not stopped yet")
    }

    fn native(&self) -> SocketAddr {
        self.running().native()
    }

    fn http(&self) -> SocketAddr {
        self.running().http()
    }

    fn client(&self) -> Client {
        Client::connect(self.native(), Role::Client)
    }

    /// The value of a metric, by its whole name and labels; 0 when it is not there.
    fn metric(&self, name: &str) -> u64 {
        let (_, _, body) = http::ask(self.http(), "GET", "/metrics", &[], b"");
        let text = String::from_utf8(body).expect("text");
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.map_or(0, |line| line.rsplit(' ').next().expect("a value").parse().expect("a number"))
    }

    fn rejected(&self, port: &str, reason: &str) -> u64 {
        self.metric(&format!("quorate_rejected_total{{port=\"{port}\",reason=\"{reason}\"}}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            running.wait().expect("an orderly end");
        }
    }
}

fn config() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.node.name = "n1".into();
    config.listen.native = ([127, 0, 0, 1], 0).into();
    config.listen.http = ([127, 0, 0, 1], 0).into();
    config.listen.resp = None;
    config.timing.stall = Duration::from_millis(300);
    config
}

/// Waits for a condition; fails when it does not come true.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A native connection, in the plainest way.
struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Client {
    fn raw(at: SocketAddr) -> Client {
        let stream = TcpStream::connect(at).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_write_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        Client { stream, buffer: BytesMut::new() }
    }

    fn connect(at: SocketAddr, role: Role) -> Client {
        let mut client = Client::raw(at);
        client.send(&hello(role));
        assert_eq!(client.frame().expect("a Hello").header.kind, Kind::Hello);
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    /// The next frame; `None` when the other side has closed.
    fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Split::Frame(frame) = split(&mut self.buffer, MAX_BODY_BYTES).expect("frames") {
                return Some(frame);
            }
            let mut bytes = [0; 65536];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn reply(&mut self) -> (u64, Reply) {
        let frame = self.frame().expect("a reply");
        assert_eq!(frame.header.kind, Kind::Reply);
        (frame.header.request, decode(&frame.body).expect("a reply"))
    }

    fn ask(&mut self, request: &Request) -> Reply {
        self.send(&request_frame(1, request));
        self.reply().1
    }

    fn closes_after(mut self, bytes: &[u8]) -> bool {
        self.send(bytes);
        self.is_closed()
    }

    fn is_closed(&mut self) -> bool {
        self.frame().is_none()
    }
}

fn hello(role: Role) -> Vec<u8> {
    Header::new(Kind::Hello).frame(&Hello::new(role, "test"))
}

fn request_frame(id: u64, request: &Request) -> Vec<u8> {
    Header { request: id, ..Header::new(Kind::Request) }.frame(request)
}
