//! Connections to other nodes.

use super::*;
use crate::message::client::Item;
use crate::quorum::QuorumRequest;
use bytes::Bytes;
use std::net::TcpListener;

fn send_to(peer: SocketAddr, bytes: Vec<u8>) -> Request {
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

fn data(size: usize) -> Vec<u8> {
    Header::new(Kind::Data).frame(&serde_bytes::Bytes::new(&vec![1u8; size]))
}

fn accepted(listener: &TcpListener) -> Client {
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    Client { stream, buffer: BytesMut::new() }
}

#[test]
fn a_peer_hears_a_hello_and_then_frames_in_order() {
    let node = Node::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let peer = listener.local_addr().expect("an address");
    let mut client = node.client();
    for size in [1, 300_000, 3] {
        client.ask(&send_to(peer, data(size)));
    }
    let mut there = accepted(&listener);
    let hello: Hello = decode(&there.frame().expect("a Hello").body).expect("a Hello");
    assert_eq!((hello.role, hello.name.as_str()), (Role::Node, "n1"));
    for size in [1, 300_000, 3] {
        let frame = there.frame().expect("a frame");
        let body: serde_bytes::ByteBuf = decode(&frame.body).expect("bytes");
        assert_eq!((frame.header.kind, body.len()), (Kind::Data, size));
    }
}

#[test]
fn a_hung_peer_costs_its_buffer_and_nobody_else_waits() {
    let node = Node::with(|config| {
        config.limits.peer_buffer_bytes = crate::config::Size(2 << 20);
    });
    // It takes connections, for the kernel does, and never reads.
    let hung = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let healthy = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (hung_at, healthy_at) = (hung.local_addr().expect("x"), healthy.local_addr().expect("x"));
    let mut client = node.client();
    let begun = Instant::now();
    for _ in 0..40 {
        client.ask(&send_to(hung_at, data(1 << 20)));
    }
    client.ask(&send_to(healthy_at, data(1)));
    let mut there = accepted(&healthy);
    assert!(there.frame().is_some() && there.frame().is_some());
    eventually("drops", || node.metric("quorate_peer_buffers_dropped_total") > 20);
    assert!(begun.elapsed() < Duration::from_secs(4), "dropped for want of time, not of room");
}

#[test]
fn a_peer_that_comes_back_is_dialled_again_and_hears_whole_frames() {
    let node = Node::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let peer = listener.local_addr().expect("an address");
    let mut client = node.client();
    client.ask(&send_to(peer, data(9)));
    let mut there = accepted(&listener);
    assert!(there.frame().is_some() && there.frame().is_some());
    drop((there, listener));
    // What is sent while it is away is lost, which is for the machine to know.
    eventually("a drop", || {
        client.ask(&send_to(peer, data(9)));
        node.metric("quorate_peer_buffers_dropped_total") > 0
    });
    let listener = TcpListener::bind(peer).expect("the same port");
    listener.set_nonblocking(true).expect("set");
    let mut there = None;
    eventually("a new connection", || {
        client.ask(&send_to(peer, data(9)));
        there = listener.accept().ok();
        there.is_some()
    });
    let (stream, _) = there.expect("connected");
    stream.set_nonblocking(false).expect("set");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut there = Client { stream, buffer: BytesMut::new() };
    assert_eq!(there.frame().expect("a Hello").header.kind, Kind::Hello);
    assert_eq!(there.frame().expect("a frame").header.kind, Kind::Data);
}

#[test]
fn a_frame_cut_by_a_broken_connection_does_not_go_on_in_the_next() {
    const SIZE: usize = 8 << 20;
    let node = Node::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let peer = listener.local_addr().expect("an address");
    let mut client = node.client();
    for _ in 0..2 {
        client.ask(&send_to(peer, data(SIZE)));
    }
    let mut first = accepted(&listener);
    assert_eq!(first.frame().expect("a Hello").header.kind, Kind::Hello);
    drop(first);
    let mut second = accepted(&listener);
    assert_eq!(second.frame().expect("a Hello").header.kind, Kind::Hello);
    let body: serde_bytes::ByteBuf = decode(&second.frame().expect("a frame").body).expect("whole");
    assert_eq!(body.len(), SIZE);
    eventually("the cut one is counted", || node.metric("quorate_peer_buffers_dropped_total") > 0);
}
