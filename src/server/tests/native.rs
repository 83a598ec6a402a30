//! The native port: who is let in, who is not, and how much one turn does.

use super::*;
use crate::message::FrameError;
use crate::message::client::{Inspect, Item};
use crate::quorum::QuorumRequest;
use bytes::Bytes;
use std::net::{Shutdown, UdpSocket};
use std::sync::atomic::Ordering;

fn get(bucket: &str, key: &str) -> Request {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let item = Item { bucket: bucket.into(), key, sort: Bytes::new() };
    Request::Get { item, quorum: QuorumRequest::default() }
}

#[test]
fn a_request_is_answered_under_its_id() {
    let node = Node::start();
    let mut client = node.client();
    client.send(&request_frame(77, &get("b", "k")));
    let (id, reply) = client.reply();
    assert_eq!(id, 77);
    assert!(matches!(reply, Reply::Got { values, .. } if &values[0].value[..] == b"k"));
}

#[test]
fn another_protocol_is_closed_and_counted() {
    let node = Node::start();
    let mut client = Client::raw(node.native());
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.is_closed());
    eventually("the count", || node.rejected("native", "magic") == 1);
}

#[test]
fn silence_before_the_hello_and_half_a_hello_are_closed() {
    let node = Node::start();
    let mut silent = Client::raw(node.native());
    let mut half = Client::raw(node.native());
    half.send(&hello(Role::Client)[..50]);
    assert!(silent.is_closed());
    assert!(half.is_closed());
    eventually("the count", || node.rejected("native", "no_hello") == 2);
}

#[test]
fn half_a_frame_and_then_silence_is_closed_but_silence_between_frames_is_not() {
    let node = Node::start();
    let mut idle = node.client();
    let mut half = node.client();
    let frame = request_frame(1, &get("b", "k"));
    half.send(&frame[..frame.len() - 1]);
    assert!(half.is_closed());
    eventually("the count", || node.rejected("native", "stalled") == 1);
    assert!(matches!(idle.ask(&get("b", "k")), Reply::Got { .. }));
    let mut cut = node.client();
    cut.send(&frame[..90]);
    cut.stream.shutdown(Shutdown::Write).expect("shut down");
    assert!(cut.is_closed());
    eventually("the count", || node.rejected("native", "half_a_frame") == 1);
}

/// Found by real nodes on a wire that flips bits: one in a frame's length, and probes were swallowed for ever.
#[test]
fn a_frame_that_trickles_in_and_never_ends_is_closed() {
    let node = Node::start();
    let mut endless = node.client();
    let mut frame = request_frame(1, &get("b", "k"));
    // A length that the limit allows, of which little will ever come.
    frame[8..12].copy_from_slice(&(1u32 << 20).to_le_bytes());
    endless.send(&frame);
    let mut pieces = 0;
    eventually("the connection ends", || {
        pieces += 1;
        // The other side may be gone by now; that is what is waited for.
        let _ = endless.stream.write_all(&[0; 16]);
        node.rejected("native", "stalled") == 1
    });
    assert!(pieces > 20, "it was not silent: {pieces} pieces");
    assert!(endless.is_closed());
}

#[test]
fn a_frame_over_the_limit_and_a_damaged_one_are_closed() {
    let node = Node::start();
    let frame = request_frame(1, &get("b", "k"));
    let mut long = node.client();
    let mut header = frame[..80].to_vec();
    header[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    long.send(&header);
    assert!(long.is_closed());
    let mut damaged = node.client();
    let mut bytes = frame.clone();
    *bytes.last_mut().expect("a byte") ^= 1;
    damaged.send(&bytes);
    assert!(damaged.is_closed());
    eventually("the count", || node.rejected("native", "too_long") == 1);
    eventually("the count", || node.rejected("native", "checksum") == 1);
    assert_eq!(node.seen.requests.load(Ordering::Relaxed), 0);
}

#[test]
fn an_unknown_version_hears_which_ones_are_spoken() {
    let node = Node::start();
    for (bytes, at) in [
        (
            {
                let mut bytes = hello(Role::Client);
                bytes[2] = 9;
                bytes
            },
            1,
        ),
        (
            Header::new(Kind::Hello).frame(&Hello {
                min: 8,
                max: 9,
                role: Role::Client,
                name: "future".into(),
            }),
            2,
        ),
    ] {
        let mut client = Client::raw(node.native());
        client.send(&bytes);
        let frame = client.frame().expect("a Hello");
        let hello: Hello = decode(&frame.body).expect("a Hello");
        assert_eq!((hello.role, hello.name.as_str()), (Role::Node, "n1"));
        assert!(client.is_closed());
        eventually("the count", || node.rejected("native", "version") == at);
    }
    // The other side's own split says the same of our future.
    let mut future = BytesMut::from(&hello(Role::Client)[..]);
    future[2] = 9;
    assert_eq!(split(&mut future, 100).err(), Some(FrameError::Version(9)));
}

#[test]
fn each_role_sends_its_own_kinds_and_the_first_frame_is_a_hello() {
    let node = Node::start();
    let mut rude = Client::raw(node.native());
    rude.send(&request_frame(1, &get("b", "k")));
    assert!(rude.is_closed());
    eventually("the count", || node.rejected("native", "no_hello") == 1);
    let mut chatty = Client::raw(node.native());
    let name = "n".repeat(65);
    chatty.send(&Header::new(Kind::Hello).frame(&Hello::new(Role::Client, &name)));
    assert!(chatty.is_closed());
    eventually("the count", || node.rejected("native", "malformed_hello") == 1);
    let mut endless = Client::raw(node.native());
    let name = "n".repeat(1 << 20);
    let endless_hello = Header::new(Kind::Hello).frame(&Hello::new(Role::Client, &name));
    // It may be closed before all of it has left.
    let _ = endless.stream.write_all(&endless_hello[..endless_hello.len() / 2]);
    assert!(endless.is_closed());
    eventually("the count", || node.rejected("native", "no_hello") == 2);
    let mut confused = Client::connect(node.native(), Role::Node);
    confused.send(&request_frame(1, &get("b", "k")));
    assert!(confused.is_closed());
    eventually("the count", || node.rejected("peer", "wrong_kind") == 1);
    let mut client = node.client();
    client.send(&Header::new(Kind::Data).frame(&0u8));
    assert!(client.is_closed());
    eventually("the count", || node.rejected("client", "wrong_kind") == 1);
    let mut peer = Client::connect(node.native(), Role::Node);
    peer.send(&Header::new(Kind::Data).frame(&0u8));
    peer.send(&Header::new(Kind::Control).frame(&0u8));
    eventually("two frames", || node.seen.frames.load(Ordering::Relaxed) == 2);
}

#[test]
fn a_body_that_does_not_decode_is_answered_and_the_connection_stands() {
    let node = Node::start();
    let mut client = node.client();
    client.send(&Header { request: 5, ..Header::new(Kind::Request) }.frame(&"nonsense"));
    let (id, reply) = client.reply();
    assert_eq!(id, 5);
    assert!(matches!(reply, Reply::Failed(crate::Error::Invalid(_))));
    assert!(matches!(client.ask(&get("b", "k")), Reply::Got { .. }));
    eventually("the count", || node.rejected("client", "malformed") == 1);
}

#[test]
fn many_requests_are_answered_with_few_turns_reads_and_writes() {
    const REQUESTS: u64 = 20_000;
    let node = Node::start();
    let mut client = node.client();
    let mut sender = client.stream.try_clone().expect("a clone");
    let sending = std::thread::spawn(move || {
        let frames: Vec<u8> =
            (0..REQUESTS).flat_map(|id| request_frame(id, &get("b", "key"))).collect();
        sender.write_all(&frames).expect("sent");
    });
    for expected in 0..REQUESTS {
        assert_eq!(client.reply().0, expected);
    }
    sending.join().expect("sent");
    eventually("the count", || node.metric("quorate_native_requests_total") == REQUESTS);
    for name in ["turns", "socket_reads", "socket_writes"] {
        let count = node.metric(&format!("quorate_{name}_total"));
        assert!(count > 0 && count < REQUESTS / 20, "{name}: {count}");
    }
}

#[test]
fn a_client_that_does_not_read_is_not_read_and_loses_nothing() {
    const REQUESTS: u64 = 200;
    let node = Node::with(|config| {
        config.limits.connection_unread_bytes = crate::config::Size(4 << 20);
        config.limits.connection_in_flight = 8;
    });
    let mut lazy = node.client();
    for id in 0..REQUESTS {
        lazy.send(&request_frame(id, &get("large", "k")));
    }
    // Somebody else is served meanwhile, often enough that the lazy one has had its turns.
    let mut other = node.client();
    for _ in 0..100 {
        assert!(matches!(other.ask(&get("b", "k")), Reply::Got { .. }));
    }
    let taken = node.seen.requests.load(Ordering::Relaxed) as u64 - 100;
    assert!(taken < REQUESTS / 2, "{taken} requests of 1 MiB answers were taken");
    for expected in 0..REQUESTS {
        assert_eq!(lazy.reply().0, expected);
    }
}

#[test]
fn requests_in_flight_of_one_connection_are_bounded() {
    let node = Node::with(|config| config.limits.connection_in_flight = 8);
    let mut client = node.client();
    for id in 0..100 {
        client.send(&request_frame(id, &get("hang", "k")));
    }
    let mut other = node.client();
    for _ in 0..20 {
        other.ask(&get("b", "k"));
    }
    eventually("eight", || node.seen.requests.load(Ordering::Relaxed) == 28);
}

#[test]
fn an_answer_over_the_frame_limit_becomes_an_error() {
    let node = Node::start();
    let reply = node.client().ask(&get("huge", "k"));
    assert!(matches!(reply, Reply::Failed(crate::Error::TooLarge { .. })));
}

#[test]
fn connections_over_the_limit_are_closed_and_room_comes_back() {
    let node = Node::with(|config| config.limits.connections = 2);
    let one = node.client();
    let _two = node.client();
    let mut three = Client::raw(node.native());
    assert!(three.is_closed());
    eventually("the count", || node.rejected("native", "too_many_connections") == 1);
    drop(one);
    eventually("room", || {
        let mut four = Client::raw(node.native());
        let _ = four.stream.write_all(&hello(Role::Client));
        four.frame().is_some()
    });
}

#[test]
fn a_waker_from_another_thread_ends_the_wait_for_a_disk() {
    let node = Node::start();
    let item = Item { bucket: "disk".into(), key: Bytes::from_static(b"k"), sort: Bytes::new() };
    let put = Request::Put {
        item,
        quorum: QuorumRequest::default(),
        value: None,
        context: String::new(),
        operation: Default::default(),
        expires_at: None,
        tried_since: None,
    };
    let begun = Instant::now();
    assert!(matches!(node.client().ask(&put), Reply::Written { .. }));
    assert!(begun.elapsed() < Duration::from_millis(900), "only the second woke the turn");
}

#[test]
fn datagrams_come_in_and_go_out_on_the_native_port() {
    let node = Node::start();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket.send_to(b"gossip", node.native()).expect("sent");
    let mut buffer = [0; 100];
    let (count, from) = socket.recv_from(&mut buffer).expect("an answer");
    assert_eq!((&buffer[..count], from), (&b"gossip"[..], node.native()));
    assert!(matches!(node.client().ask(&Request::Inspect(Inspect::Ring)), Reply::Json(_)));
}
