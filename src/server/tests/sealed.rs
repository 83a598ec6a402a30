//! The native port of a node with a key: who is let in, what crosses the wire, and what strangers hear.

use super::*;
use crate::client;
use crate::message::KEY_WANTED;
use crate::message::client::Item;
use crate::quorum::QuorumRequest;
use crate::seal::{self, ANSWER_BYTES, ClusterKey, Datagrams, KNOCK_BYTES, Keyring, Knock, NONCE};
use bytes::Bytes;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;

fn keys(number: u8) -> Keyring {
    ClusterKey::new([number; 32]).into()
}

/// A node with the first key.
fn node() -> (Node, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("cluster.key");
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    let text = ClusterKey::new([1; 32]).text();
    made.expect("a file").write_all(text.as_bytes()).expect("written");
    (Node::with(|config| config.cluster.key_file = Some(file)), dir)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn connect(to: SocketAddr, keys: Option<Keyring>) -> crate::Result<client::Client> {
    client::Client::builder().nodes([to.to_string()]).keys(keys).build().await
}

#[test]
fn who_has_the_key_is_served_and_everybody_else_is_told_why_not() {
    let ((closed, _dir), open) = (node(), Node::start());
    runtime().block_on(async {
        let client = connect(closed.native(), Some(keys(1))).await.expect("the key");
        assert_eq!(&client.get("b", "k").await.expect("answered").siblings[0].value[..], b"k");
        let refused = async |to: SocketAddr, keys| {
            connect(to, keys).await.map(drop).expect_err("no key").to_string()
        };
        let none = refused(closed.native(), None).await;
        assert!(none.contains("serves only who has the cluster's key"), "{none}");
        for (to, keys) in [(closed.native(), keys(2)), (open.native(), keys(1))] {
            let another = refused(to, Some(keys)).await;
            assert!(another.contains("another cluster key, or none"), "{another}");
        }
    });
    for reason in ["no_key", "another_key"] {
        eventually(reason, || closed.rejected("native", reason) > 0);
    }
    eventually("the count", || open.rejected("native", "sealed") > 0);
}

#[test]
fn nothing_of_what_is_said_can_be_read_on_the_way() {
    let (node, _dir) = node();
    let relay = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (through, to) = (relay.local_addr().expect("an address"), node.native());
    // Somebody on the way, who writes down what passes.
    let listening = std::thread::spawn(move || {
        let (mut from, _) = relay.accept().expect("a connection");
        let mut to = TcpStream::connect(to).expect("connected");
        let (mut back, mut answers) = (from.try_clone().expect("x"), to.try_clone().expect("x"));
        let other = std::thread::spawn(move || copy(&mut answers, &mut back));
        let mut heard = copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        heard.extend(other.join().expect("an end"));
        heard
    });
    const SECRET: &str = "correct horse battery staple";
    runtime().block_on(async {
        let client = connect(through, Some(keys(1))).await.expect("the key");
        let got = client.get("b", SECRET).await.expect("answered");
        assert_eq!(&got.siblings[0].value[..], SECRET.as_bytes());
    });
    let heard = listening.join().expect("an end");
    assert!(heard.len() > 300, "{} bytes passed", heard.len());
    for word in [SECRET.as_bytes(), b"battery", b"client", b"n1\x00", b"QR"] {
        // Two bytes may come by chance, at the very beginning they would not.
        let found = heard.windows(word.len()).any(|window| window == word);
        assert!(!found || word == b"QR" && !heard.starts_with(word), "{word:?} passed");
    }
}

fn copy(from: &mut TcpStream, to: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        all.extend_from_slice(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
    all
}

#[test]
fn a_stranger_hears_one_word_and_no_name() {
    let (node, _dir) = node();
    let mut keyless = Client::raw(node.native());
    keyless.send(&hello(Role::Client));
    let frame = keyless.frame().expect("a Hello");
    assert_eq!(frame.header.flags, KEY_WANTED);
    assert_eq!(decode::<Hello>(&frame.body).expect("a Hello").name, "");
    assert!(keyless.is_closed());
    let mut silent = Client::raw(node.native());
    silent.send(b"Q");
    assert!(silent.is_closed());
    eventually("the count", || node.rejected("native", "no_hello") == 1);
}

#[test]
fn a_recorded_or_changed_conversation_does_nothing() {
    let (node, _dir) = node();
    let (knock, first) = Knock::new(&keys(1)).expect("randomness");
    let mut honest = Client::raw(node.native());
    honest.send(&first);
    let mut answer = [0; ANSWER_BYTES];
    honest.stream.read_exact(&mut answer).expect("an answer");
    let (mut sealer, _) = knock.heard(&answer).expect("the key");
    let mut said = Vec::new();
    let request = Request::Get {
        item: Item { bucket: "b".into(), key: Bytes::from_static(b"k"), sort: Bytes::new() },
        quorum: QuorumRequest::default(),
    };
    let frames = [hello(Role::Client), request_frame(1, &request)].concat();
    sealer.seal(&frames, &mut said);
    // The same bytes once more, on a connection of their own.
    let mut again = Client::raw(node.native());
    again.send(&first);
    again.stream.read_exact(&mut answer).expect("a sound knock is answered");
    again.send(&said);
    assert!(matches!(again.stream.read(&mut [0; 1]), Ok(0) | Err(_)), "it hears nothing");
    eventually("the count", || node.rejected("native", "another_key") == 1);
    assert_eq!(node.seen.requests.load(std::sync::atomic::Ordering::Relaxed), 0);
    honest.send(&said);
    eventually("the request", || {
        node.seen.requests.load(std::sync::atomic::Ordering::Relaxed) == 1
    });
}

/// The other end of what a node dials.
struct There {
    stream: TcpStream,
    incoming: seal::Incoming,
}

impl There {
    fn accept(listener: &TcpListener) -> There {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_nonblocking(false).expect("set");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut knock = [0; KNOCK_BYTES];
        stream.read_exact(&mut knock).expect("a knock");
        let (answer, _, opener) = seal::answer(&keys(1), &knock).expect("the key");
        stream.write_all(&answer).expect("sent");
        let mut incoming = seal::Incoming::default();
        incoming.unseal(opener).expect("nothing yet");
        There { stream, incoming }
    }

    fn frame(&mut self) -> Frame {
        loop {
            let frames = self.incoming.frames();
            if let Split::Frame(frame) = split(frames, MAX_BODY_BYTES).expect("frames") {
                return frame;
            }
            let mut bytes = [0; 65536];
            let count = self.stream.read(&mut bytes).expect("more");
            assert!(count > 0, "it was closed");
            self.incoming.wire().extend_from_slice(&bytes[..count]);
            self.incoming.arrived().expect("sealed with our key");
        }
    }
}

fn send_to(peer: SocketAddr, size: usize) -> Request {
    let bytes = Header::new(Kind::Data).frame(&serde_bytes::Bytes::new(&vec![1u8; size]));
    Request::Put {
        item: Item { bucket: "peer".into(), key: peer.to_string().into(), sort: Bytes::new() },
        quorum: QuorumRequest::default(),
        value: Some(bytes.into()),
        context: String::new(),
        operation: Default::default(),
        expires_at: None,
        tried_since: None,
    }
}

/// Has the node send frames of these sizes there.
fn sends(node: &Node, peer: SocketAddr, sizes: &[usize]) {
    runtime().block_on(async {
        let client = connect(node.native(), Some(keys(1))).await.expect("the key");
        for size in sizes {
            let Request::Put { item, value, .. } = send_to(peer, *size) else { return };
            let key = String::from_utf8(item.key.to_vec()).expect("an address");
            client.put("peer", key, value.expect("a frame")).await.expect("taken");
        }
    });
}

#[test]
fn a_peer_with_the_key_hears_whole_frames_in_order_also_after_it_was_away() {
    let (node, _dir) = node();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let peer = listener.local_addr().expect("an address");
    // It does not wait long for an answer to its knock.
    let accepting = |listener: &TcpListener| {
        let listener = listener.try_clone().expect("the same");
        std::thread::spawn(move || There::accept(&listener))
    };
    let sizes = [1, 300_000, 3, 900_000];
    let there = accepting(&listener);
    sends(&node, peer, &sizes);
    let mut there = there.join().expect("connected");
    assert_eq!(there.frame().header.kind, Kind::Hello);
    for size in sizes {
        let body: serde_bytes::ByteBuf = decode(&there.frame().body).expect("bytes");
        assert_eq!(body.len(), size);
    }
    drop((there, listener));
    // What is sent while it is away is lost, which is for the machine to know.
    eventually("a drop", || {
        sends(&node, peer, &[900_000]);
        node.metric("quorate_peer_buffers_dropped_total") > 0
    });
    let listener = TcpListener::bind(peer).expect("the same port");
    let there = accepting(&listener);
    eventually("a new connection", || {
        sends(&node, peer, &[5]);
        there.is_finished()
    });
    let mut there = there.join().expect("connected");
    assert_eq!(there.frame().header.kind, Kind::Hello);
    assert_eq!(there.frame().header.kind, Kind::Data);
}

#[test]
fn nothing_is_said_to_a_peer_without_the_key() {
    let ((node, _dir), open) = (node(), Node::start());
    sends(&node, open.native(), &[9]);
    eventually("the count", || open.rejected("native", "sealed") > 0);
    eventually("it gives up", || node.metric("quorate_peer_buffers_dropped_total") > 0);
    assert_eq!(open.seen.frames.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn gossip_is_sealed_and_a_stranger_s_is_dropped_without_an_answer() {
    let (node, _dir) = node();
    let sealed = Datagrams::new(&keys(1));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket.send_to(b"plain gossip", node.native()).expect("sent");
    socket
        .send_to(&Datagrams::new(&keys(2)).seal([7; NONCE], b"theirs"), node.native())
        .expect("sent");
    socket.send_to(&sealed.seal([8; NONCE], b"ours"), node.native()).expect("sent");
    let mut buffer = [0; 200];
    // The machine of these tests says everything back.
    let (count, _) = socket.recv_from(&mut buffer).expect("an answer");
    assert_eq!(sealed.open(&buffer[..count]), Ok(b"ours".to_vec()));
    eventually("the count", || node.rejected("gossip", "another_key") == 2);
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
    assert!(socket.recv_from(&mut buffer).is_err(), "and nothing else came");
}
