//! Starting, stopping, and beginning again.

use super::super::StartError;
use super::*;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::Ordering;

#[test]
fn a_stop_is_orderly_and_awaited() {
    let mut node = Node::start();
    let mut client = node.client();
    let running = node.running.take().expect("running");
    running.stop();
    running.wait().expect("an orderly end");
    assert_eq!(node.seen.stops.load(Ordering::Relaxed), 1);
    assert_eq!(node.seen.closed.load(Ordering::Relaxed), 1);
    assert!(client.is_closed());
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_runs() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for at in [tcp.local_addr().expect("an address"), udp.local_addr().expect("an address")] {
        let mut config = config();
        config.listen.native = at;
        let (opener, seen) = FakeOpener::new();
        let error = Server::start_with(config, opener).expect_err("taken");
        assert!(matches!(&error, StartError::Bind { at: told, .. } if *told == at), "{error}");
        let text = error.to_string();
        assert!(
            text.starts_with("unavailable: ") && text.contains("another process has it"),
            "{text}"
        );
        assert!(seen.opened.lock().expect("unpoisoned").is_empty());
    }
}

#[test]
fn the_http_port_may_be_taken_too() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut config = config();
    config.listen.http = taken.local_addr().expect("an address");
    let error = Server::start_with(config, FakeOpener::new().0).expect_err("taken").to_string();
    assert!(error.contains("HTTP") && error.contains("--http"), "{error}");
}

#[test]
fn what_the_opener_says_is_what_start_says() {
    let (mut opener, _) = FakeOpener::new();
    opener.refuse = Some("data: in use by another process; stop it".into());
    let error = Server::start_with(config(), opener).expect_err("refused");
    assert_eq!(error.to_string(), "unavailable: data: in use by another process; stop it");
}

#[test]
fn a_directory_that_is_behind_is_set_aside_and_the_sockets_stay() {
    let node = Node::start();
    let mut before = node.client();
    let (status, _, _) = http::ask(node.http(), "PUT", "/v1/kv/aside/k?timeout=2s", &[], b"v");
    assert_eq!(status, 504, "a write whose node began again has an unknown outcome");
    assert!(before.is_closed());
    let opened = node.seen.opened.lock().expect("unpoisoned").clone();
    assert_eq!(opened, [vec![], vec![SocketAddr::from(([127, 0, 0, 1], 9))]]);
    assert_eq!(http::ask(node.http(), "PUT", "/v1/kv/b/k", &[], b"v").0, 204);
    node.client();
}
