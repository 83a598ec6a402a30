//! A node of a few lines: it greets, hands every request to the test, and sends what the test says.

use crate::message::client::{Inspect, Reply, Request};
use crate::message::{Frame, Header, Hello, Kind, MAX_BODY_BYTES, Role, Split, decode, split};
use bytes::BytesMut;
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Fake {
    pub(super) address: String,
    listener: TcpListener,
}

impl Fake {
    pub(super) async fn listen() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        Fake { address, listener }
    }

    /// Takes a connection and greets.
    pub(super) async fn accept(&self) -> Peer {
        let mut peer = self.accept_silently().await;
        let hello = Header::new(Kind::Hello).frame(&Hello::new(Role::Node, "fake"));
        peer.stream.write_all(&hello).await.expect("the client reads");
        peer
    }

    /// Takes a connection, like a stopped process does, and says nothing.
    pub(super) async fn accept_silently(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        Peer { stream, inbox: BytesMut::new(), frames: VecDeque::new(), reads: 0 }
    }

    /// Answers everything, for ever, on every connection, by `answer`.
    pub(super) async fn answer_with(&self, answer: impl FnMut(Request) -> Reply) {
        let mut answer = answer;
        loop {
            let mut peer = self.accept().await;
            while let Some((header, request)) = peer.next().await {
                peer.reply(&header, &answer(request)).await;
            }
        }
    }
}

pub(super) struct Peer {
    pub(super) stream: TcpStream,
    inbox: BytesMut,
    frames: VecDeque<Frame>,
    pub(super) reads: usize,
}

impl Peer {
    /// The next request of the test, with its header; signs of life are answered on the way. `None`: closed.
    pub(super) async fn next(&mut self) -> Option<(Header, Request)> {
        loop {
            let frame = self.frame().await?;
            match frame.header.kind {
                Kind::Hello => {
                    let hello: Hello = decode(&frame.body).expect("a greeting");
                    assert_eq!(hello.role, Role::Client);
                }
                Kind::Request => match decode(&frame.body).expect("a request") {
                    Request::Inspect(Inspect::Info) => {
                        self.reply(&frame.header, &Reply::Json("{}".into())).await;
                    }
                    request => return Some((frame.header, request)),
                },
                other => panic!("a client sends no {other:?}"),
            }
        }
    }

    /// The next frame, whatever it is.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            self.inbox.reserve(1 << 20);
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => self.reads += 1,
            }
            while let Split::Frame(frame) =
                split(&mut self.inbox, MAX_BODY_BYTES).expect("whole frames")
            {
                self.frames.push_back(frame);
            }
        }
    }

    pub(super) async fn reply(&mut self, header: &Header, reply: &Reply) {
        let header = Header { request: header.request, ..Header::new(Kind::Reply) };
        // The client may have gone: then nobody needs it.
        let _ = self.stream.write_all(&header.frame(reply)).await;
    }
}
