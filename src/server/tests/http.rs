//! Statuses, headers and JSON, as the interface says.

use super::*;
use crate::message::client::Request;
use crate::quorum::Consistency;
use crate::version::OperationId;
use serde_json::{Value, json};
use std::net::UdpSocket;

pub(super) type Answer = (u16, Vec<(String, String)>, Vec<u8>);

/// One request on a connection of its own.
pub(super) fn ask(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    exchange(at, &[head.as_bytes(), body].concat())
}

pub(super) fn exchange(at: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(at).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(bytes).expect("sent");
    let mut answer = Vec::new();
    // A server that refuses a body closes before it has read it: what it said first counts.
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(answer[..end].to_vec()).expect("text");
    let mut lines = head.lines();
    let status = lines.next().expect("a status").split(' ').nth(1).expect("a status");
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    (status.parse().expect("a number"), headers, answer[end + 4..].to_vec())
}

pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.1.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

pub(super) fn json_of(answer: &Answer) -> Value {
    assert_eq!(header(answer, "content-type"), Some("application/json"));
    serde_json::from_slice(&answer.2).expect("JSON")
}

const JSON: (&str, &str) = ("Accept", "text/html;q=0.1, application/json");

#[test]
fn one_value_comes_as_its_bytes_with_its_context() {
    let node = Node::start();
    let answer = ask(node.http(), "GET", "/v1/kv/b/k%2F%00%ff", &[], b"");
    assert_eq!((answer.0, &answer.2[..]), (200, &b"k/\0\xff"[..]));
    assert_eq!(header(&answer, "x-quorate-context"), Some("token"));
    assert_eq!(header(&answer, "content-type"), Some("application/octet-stream"));
    assert_eq!(header(&answer, "x-quorate-info"), None);
    let answer = ask(node.http(), "GET", "/v1/kv/b/k?explain=true", &[], b"");
    assert!(
        header(&answer, "x-quorate-info").is_some_and(|i| i.contains("\"coordinator\":\"n1\""))
    );
}

#[test]
fn siblings_are_a_conflict_unless_json_is_asked_for() {
    let node = Node::start();
    let both = json!([{"value": "YQ==", "dot": "1:1"}, {"value": "Yg==", "dot": "2:1"}]);
    let answer = ask(node.http(), "GET", "/v1/kv/siblings/k", &[], b"");
    assert_eq!(answer.0, 409);
    assert_eq!(header(&answer, "x-quorate-context"), Some("token"));
    let object = json_of(&answer);
    assert_eq!(object["error"]["code"], "siblings");
    assert_eq!((&object["siblings"], &object["context"]), (&both, &json!("token")));
    let answer = ask(node.http(), "GET", "/v1/kv/siblings/k", &[JSON], b"");
    assert_eq!(answer.0, 200);
    assert_eq!(json_of(&answer), json!({"siblings": both, "context": "token"}));
    let answer = ask(node.http(), "GET", "/v1/kv/b/k?explain=true", &[JSON], b"");
    assert_eq!(json_of(&answer)["info"]["replied"], json!(["n1"]));
}

#[test]
fn nothing_is_404_with_the_context() {
    let node = Node::start();
    let answer = ask(node.http(), "GET", "/v1/kv/missing/k", &[], b"");
    assert_eq!((answer.0, header(&answer, "x-quorate-context")), (404, Some("token")));
    let object = json_of(&answer);
    assert_eq!(
        (&object["error"]["code"], &object["context"]),
        (&json!("not_found"), &json!("token"))
    );
    let answer = ask(node.http(), "GET", "/v1/kv/missing/k", &[JSON], b"");
    assert_eq!((answer.0, json_of(&answer)), (200, json!({"siblings": [], "context": "token"})));
}

#[test]
fn nothing_ever_seen_is_no_context_and_no_header() {
    let node = Node::start();
    for headers in [&[][..], &[JSON]] {
        let answer = ask(node.http(), "GET", "/v1/kv/never/k", headers, b"");
        assert_eq!(header(&answer, "x-quorate-context"), None);
        assert_eq!(json_of(&answer)["context"], "");
    }
}

#[test]
fn a_write_says_all_that_it_was_told() {
    let node = Node::start();
    let path = "/v1/kv/b/k?sort=s%01&consistency=all&w=2&strict=true&timeout=1500ms";
    let headers = [("X-Quorate-Context", "seen"), ("X-Quorate-Operation", "2a-7")];
    let answer = ask(node.http(), "PUT", path, &headers, b"value");
    assert_eq!((answer.0, answer.2.len()), (204, 0));
    assert_eq!(header(&answer, "x-quorate-context"), Some("token"));
    let (request, deadline) = node.seen.last.lock().expect("unpoisoned").clone().expect("one");
    let Request::Put { item, quorum, value, context, operation, tried_since, .. } = request else {
        panic!("not a put")
    };
    assert_eq!(
        (item.bucket.as_str(), &item.key[..], &item.sort[..]),
        ("b", &b"k"[..], &b"s\x01"[..])
    );
    assert_eq!((quorum.consistency, quorum.count), (Some(Consistency::All), Some(2)));
    assert!(quorum.strict);
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
    assert_eq!((context.as_str(), deadline), ("seen", 1500));
    assert_eq!(
        (operation, tried_since.is_some()),
        (OperationId { session: 42, sequence: 7 }, true)
    );
    let answer = ask(node.http(), "DELETE", "/v1/kv/b/k", &[], b"");
    assert_eq!(answer.0, 204);
    let last = node.seen.last.lock().expect("unpoisoned").clone().expect("one").0;
    assert!(matches!(last, Request::Put { value: None, tried_since: None, .. }));
}

#[test]
fn every_error_has_its_status_and_shape() {
    let node = Node::start();
    for (code, status) in [
        ("invalid", 400),
        ("forbidden", 403),
        ("too_many_siblings", 409),
        ("internal", 500),
        ("unavailable", 503),
        ("quorum_not_met", 503),
        ("overloaded", 503),
        ("outcome_unknown", 504),
        ("timeout", 504),
        ("disk_full", 507),
    ] {
        for method in ["GET", "PUT"] {
            let answer = ask(node.http(), method, &format!("/v1/kv/{code}/k"), &[], b"");
            let error = &json_of(&answer)["error"];
            assert_eq!((answer.0, &error["code"]), (status, &json!(code)));
            assert!(error["message"].as_str().is_some_and(|m| m.starts_with(code)));
            assert_eq!(header(&answer, "retry-after").is_some(), status == 503, "{code}");
            if code == "quorum_not_met" {
                assert_eq!((&error["required"], &error["received"]), (&json!(2), &json!(1)));
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_the_node_is_asked() {
    let node = Node::start();
    for (method, path, status) in [
        ("GET", "/v1/kv/b/k?sorted=x", 400),
        ("GET", "/v1/kv/b/k?r=0", 400),
        ("GET", "/v1/kv/b/k?consistency=most", 400),
        ("GET", "/v1/kv/b/k?timeout=5", 400),
        ("GET", "/v1/kv/b/k?timeout=2h", 400),
        ("GET", "/v1/kv/b/k?prefix=x", 400),
        ("GET", "/v1/kv/b/k?scan=true&limit=0", 400),
        ("GET", "/v1/kv/b/k?scan=true&sort=x", 400),
        ("PUT", "/v1/kv/b/k?ttl=soon", 400),
        ("PUT", "/v1/kv/b/k?scan=true", 400),
        ("GET", "/v1/kv/b/", 400),
        ("PUT", "/v1/kv/b", 400),
        ("GET", "/v1/kv/b/%zz", 400),
        ("GET", "/v1/status?x=1", 400),
        ("POST", "/v1/kv/b/k", 405),
        ("PUT", "/v1/status", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/local/b/", 400),
    ] {
        let answer = ask(node.http(), method, path, &[], b"");
        assert_eq!(answer.0, status, "{method} {path}");
        assert!(json_of(&answer)["error"]["code"].is_string(), "{method} {path}");
    }
    assert!(node.seen.last.lock().expect("unpoisoned").is_none());
}

#[test]
fn a_scan_asks_for_a_range_and_answers_with_a_page() {
    let node = Node::start();
    let path = "/v1/kv/b/k?scan=true&prefix=ab&from=abc&limit=7&r=1";
    let answer = ask(node.http(), "GET", path, &[], b"");
    let page = json!({
        "items": [{"sort": "YWJj", "siblings": [{"value": "dg==", "dot": "1:1"}], "context": "token"}],
        "next": "YWM=",
    });
    assert_eq!((answer.0, json_of(&answer)), (200, page));
    let last = node.seen.last.lock().expect("unpoisoned").clone().expect("one").0;
    let Request::Scan { from, to, limit, quorum, .. } = last else { panic!("not a scan") };
    assert_eq!((&from[..], &to[..], limit, quorum.count), (&b"abc"[..], &b"ac"[..], 7, Some(1)));
    let answer = ask(node.http(), "GET", "/v1/kv/b/k?scan=true&from=b&to=a", &[], b"");
    assert_eq!(json_of(&answer), json!({"items": [], "next": null}));
}

#[test]
fn what_an_operator_looks_at_is_asked_of_the_node() {
    let node = Node::start();
    for (path, what) in [
        ("/v1/status", "Status"),
        ("/v1/members", "Members"),
        ("/v1/ring", "Ring"),
        ("/v1/hints", "Hints"),
        ("/v1/info", "Info"),
        ("/v1/buckets", "Buckets"),
        ("/v1/local/partitions", "Partitions"),
        ("/v1/local/b/k?sort=s", "Local"),
        ("/v1/local/b/partitions", "Local"),
        ("/v1/locate/b/k%2fk", "Locate"),
    ] {
        let answer = ask(node.http(), "GET", path, &[], b"");
        assert_eq!((answer.0, json_of(&answer)), (200, json!({ "what": what })), "{path}");
    }
    assert_eq!(ask(node.http(), "GET", "/v1/local/missing/k", &[], b"").0, 404);
    let body = br#"{"name":"b","n":3,"conflict":"lww"}"#;
    assert_eq!(ask(node.http(), "POST", "/v1/buckets", &[], body).0, 204);
    let last = node.seen.last.lock().expect("unpoisoned").clone().expect("one").0;
    assert!(matches!(last, Request::CreateBucket(spec) if spec.lww && spec.n == Some(3)));
    for wrong in
        [&b"{}"[..], b"{\"name\":\"b\",\"x\":1}", b"{\"name\":\"b\",\"conflict\":\"crdt\"}"]
    {
        assert_eq!(ask(node.http(), "POST", "/v1/buckets", &[], wrong).0, 400);
    }
}

#[test]
fn a_body_over_the_limit_is_refused_unread() {
    let node = Node::with(|config| config.limits.value_bytes = crate::config::Size(1000));
    let head = "PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    let answer = exchange(node.http(), head.as_bytes());
    assert_eq!((answer.0, &json_of(&answer)["error"]["code"]), (413, &json!("too_large")));
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let head = "PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = exchange(node.http(), (head.to_owned() + &chunk).as_bytes());
    assert_eq!(answer.0, 413);
    assert_eq!(ask(node.http(), "PUT", "/v1/kv/b/k", &[], &[1; 1000]).0, 204);
    assert_eq!(node.rejected("http", "too_large"), 2);
}

#[test]
fn slow_and_oversized_requests_are_ended() {
    let node = Node::start();
    let slow_body = "PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf";
    assert_eq!(exchange(node.http(), slow_body.as_bytes()).0, 408);
    let long_head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(exchange(node.http(), long_head.as_bytes()).0, 431);
    assert_eq!(exchange(node.http(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n").0, 400);
    let mut kept = TcpStream::connect(node.http()).expect("connected");
    kept.set_read_timeout(Some(PATIENCE)).expect("set");
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    assert!(kept.read_to_end(&mut Vec::new()).is_ok(), "closed when not used again");
    for begun in ["", "GET / HTTP/1.1\r\nHo"] {
        let mut stream = TcpStream::connect(node.http()).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.write_all(begun.as_bytes()).expect("sent");
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).is_ok() && rest.is_empty(), "{begun}");
    }
    assert_eq!(node.rejected("http", "stalled"), 3);
}

#[test]
fn a_request_that_the_node_never_answers_ends_all_the_same() {
    let node = Node::with(|config| config.timing.request = Duration::from_millis(10));
    let answer = ask(node.http(), "GET", "/v1/kv/hang/k", &[], b"");
    assert_eq!((answer.0, &json_of(&answer)["error"]["code"]), (504, &json!("timeout")));
}

#[test]
fn health_and_readiness_are_told_apart() {
    let node = Node::start();
    assert_eq!(ask(node.http(), "GET", "/healthz", &[], b"").0, 200);
    eventually("the reason", || {
        let answer = ask(node.http(), "GET", "/readyz", &[], b"");
        assert_eq!(answer.0, 503);
        json_of(&answer)["reason"] == "not joined yet"
    });
    // The fake machine is ready when it has heard gossip.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(b"x", node.native()).expect("sent");
    eventually("ready", || ask(node.http(), "GET", "/readyz", &[], b"").0 == 200);
}

#[test]
fn metrics_come_as_open_metrics_and_as_one_flat_object_and_move_by_themselves() {
    let node = Node::start();
    ask(node.http(), "PUT", "/v1/kv/b/k", &[], b"v");
    let name = "quorate_requests_total{op=\"put\",consistency=\"quorum\",outcome=\"ok\"}";
    eventually("a request", || node.metric(name) == 1);
    let answer = ask(node.http(), "GET", "/metrics", &[], b"");
    assert!(
        header(&answer, "content-type").is_some_and(|t| t.starts_with("application/openmetrics"))
    );
    let text = String::from_utf8(answer.2).expect("text");
    for line in [
        "quorate_members{state=\"alive\"} 1",
        "quorate_request_duration_seconds_bucket{le=\"0.0001\",op=\"put\",consistency=\"quorum\"} 1",
        "quorate_request_duration_seconds_bucket{le=\"10.0\",op=\"put\",consistency=\"quorum\"} 1",
        "quorate_request_duration_seconds_bucket{le=\"+Inf\",op=\"put\",consistency=\"quorum\"} 2",
        "quorate_request_duration_seconds_count{op=\"put\",consistency=\"quorum\"} 2",
        "# TYPE quorate_read_repairs counter",
        "# EOF",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    let object = || json_of(&ask(node.http(), "GET", "/metrics", &[JSON], b""));
    let before = object();
    assert!(before.as_object().is_some_and(|o| o.values().all(Value::is_number)), "{before}");
    for key in ["last_update", "ingested", "repairs_completed", "members", "turns"] {
        assert!(before[key].is_number(), "{key}");
    }
    assert_eq!((&before["ingested"], &before["members"]), (&json!(1), &json!(1)));
    eventually("the second", || object()["last_update"] != before["last_update"]);
}
