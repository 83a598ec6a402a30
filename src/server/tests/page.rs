//! The dashboard as a browser asks for it.

use super::http::{Answer, exchange, header, json_of};
use super::*;
use serde_json::Value;

/// What a browser of this machine says.
fn local(at: SocketAddr) -> String {
    format!("localhost:{}", at.port())
}

fn get(at: SocketAddr, path: &str, host: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    exchange(at, head.as_bytes())
}

/// A stream of events, and what of it was read and not taken yet.
pub(super) struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    pub(super) fn open(at: SocketAddr) -> Events {
        let mut stream = TcpStream::connect(at).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let head = format!("GET /v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", local(at));
        stream.write_all(head.as_bytes()).expect("sent");
        Events { stream, text: String::new() }
    }

    /// The status that it began with.
    fn status(&mut self) -> u16 {
        while !self.text.contains("\r\n\r\n") {
            self.read();
        }
        let status = self.text.split(' ').nth(1).expect("a status");
        status.parse().expect("a number")
    }

    /// The next event of this name; others are passed over.
    pub(super) fn next(&mut self, name: &str) -> Value {
        loop {
            let begin = self.text.find("event: ");
            let end = begin.and_then(|at| Some(at + self.text[at..].find("\n\n")?));
            let Some((begin, end)) = begin.zip(end) else {
                self.read();
                continue;
            };
            let event = self.text[begin..end].to_owned();
            self.text.drain(..end);
            let (kind, data) = event.split_once("\ndata: ").expect("a name and data");
            if kind.strip_prefix("event: ") == Some(name) {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }

    fn read(&mut self) {
        let mut bytes = [0; 65536];
        let count = self.stream.read(&mut bytes).expect("more");
        assert!(count > 0, "the stream ended: {}", self.text);
        self.text.push_str(std::str::from_utf8(&bytes[..count]).expect("text"));
    }
}

#[test]
fn the_page_may_run_nothing_that_is_not_its_own() {
    let node = Node::start();
    let host = local(node.http());
    let answer = get(node.http(), "/", &host);
    assert_eq!(
        (answer.0, header(&answer, "content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = header(&answer, "content-security-policy").expect("a policy");
    let parts: Vec<&str> = policy.split(';').map(str::trim).collect();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(parts.contains(&part), "{part} is not in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for path in ["/", "/page/main.js", "/page/nothing.js"] {
        let answer = get(node.http(), path, &host);
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header(&answer, "referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(header(&answer, "cache-control"), Some("no-store"), "{path}");
        assert_eq!(header(&answer, "content-security-policy"), Some(policy), "{path}");
    }
}

#[test]
fn every_file_of_the_page_has_its_type() {
    let node = Node::start();
    let host = local(node.http());
    for (file, kind) in [
        ("main.js", "text/javascript; charset=utf-8"),
        ("vendor/uPlot.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let answer = get(node.http(), &format!("/page/{file}"), &host);
        assert_eq!((answer.0, header(&answer, "content-type")), (200, Some(kind)), "{file}");
        assert!(!answer.2.is_empty(), "{file}");
    }
    for file in ["nothing.js", "../mod.rs", "%2e%2e/mod.rs"] {
        assert_eq!(get(node.http(), &format!("/page/{file}"), &host).0, 404, "{file}");
    }
}

#[test]
fn who_comes_by_another_name_is_refused_and_told_what_to_do() {
    let node = Node::with(|config| config.listen.http_names.0 = vec!["db.lan:443".into()]);
    let port = node.http().port();
    for path in ["/", "/page/main.js", "/v1/events"] {
        for host in ["evil.example", &format!("evil.example:{port}"), "localhost", "127.0.0.1:1"] {
            let answer = get(node.http(), path, host);
            let error = &json_of(&answer)["error"];
            assert_eq!((answer.0, &error["code"]), (403, &"forbidden".into()), "{path} {host}");
            let told = error["message"].as_str().expect("text");
            assert!(told.contains(&format!("open localhost:{port}")), "{told}");
        }
    }
    let bound = node.http().to_string();
    for host in [&format!("localhost:{port}"), &format!("[::1]:{port}"), &bound, "db.lan:443"] {
        assert_eq!(get(node.http(), "/", host).0, 200, "{host}");
    }
    assert!(node.rejected("http", "wrong_host") >= 12);
}

#[test]
fn a_stream_tells_how_it_is_every_second() {
    let node = Node::start();
    let begun = Instant::now();
    let mut events = Events::open(node.http());
    assert_eq!(events.status(), 200);
    assert!(events.next("hello")["bounds_us"].is_array());
    let first = events.next("snapshot");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(first["status"]["what"], "Status");
    assert!(first["metrics"]["gossip_sent_bytes"].is_number(), "{first}");
    let second = events.next("snapshot");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let [first, second] =
        [first, second].map(|snapshot| snapshot["last_update"].as_f64().expect("a number"));
    assert!((0.2..3.0).contains(&(second - first)), "{first} {second}");
}

#[test]
fn streams_are_bounded_and_a_free_place_is_given_again() {
    let node = Node::start();
    let mut open: Vec<Events> = (0..32).map(|_| Events::open(node.http())).collect();
    assert!(open.iter_mut().all(|events| events.status() == 200));
    let answer = get(node.http(), "/v1/events", &local(node.http()));
    assert_eq!((answer.0, header(&answer, "retry-after")), (503, Some("1")));
    assert_eq!(json_of(&answer)["error"]["code"], "overloaded");
    open.pop();
    eventually("a place", || Events::open(node.http()).status() == 200);
}

#[test]
fn however_many_pages_are_open_the_node_is_asked_once() {
    let node = Node::start();
    let asked = || node.seen.requests.load(std::sync::atomic::Ordering::Relaxed);
    let mut open: Vec<Events> = (0..10).map(|_| Events::open(node.http())).collect();
    for _ in 0..2 {
        open.iter_mut().for_each(|events| drop(events.next("snapshot")));
    }
    // Three questions each, and one moment may be under way.
    assert!((6..=9).contains(&asked()), "{}", asked());
}
