//! Statuses, headers and JSON, as the interface says.

use super::*;
use crate::message::client::{Request, Setting};
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
    let last = node.seen.last.lock().expect("unpoisoned").clone().expect("one").0;
    assert!(matches!(last, Request::Explain { .. }));
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
        ("PUT", "/v1/kv/b", 405),
        ("GET", "/v1/kv/b/%zz", 400),
        ("GET", "/v1/status?x=1", 400),
        ("POST", "/v1/kv/b/k", 405),
        ("PUT", "/v1/status", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/local/b/", 400),
        ("GET", "/v1/locate/b", 400),
        // Of the other kind of question, and wrong all the same.
        ("GET", "/v1/logs?step=", 400),
        ("GET", "/v1/logs?by=color", 400),
        ("GET", "/v1/logs?count=true&order=up", 400),
        ("GET", "/v1/logs?count=true&limit=0", 400),
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
    let last = || node.seen.last.lock().expect("unpoisoned").clone().expect("one").0;
    assert_eq!(ask(node.http(), "POST", "/v1/buckets/b%2dx", &[], br#"{"w":2,"r":null}"#).0, 204);
    let Request::SetBucket(change) = last() else { panic!("{:?}", last()) };
    assert_eq!((&change.name[..], change.w, change.r), ("b-x", Setting::Set(2), Setting::Unset));
    assert_eq!(ask(node.http(), "POST", "/v1/buckets/b", &[], b"{\"n\":2}").0, 400);
    assert_eq!(ask(node.http(), "DELETE", "/v1/buckets/logs", &[], b"").0, 400);
    assert_eq!(ask(node.http(), "DELETE", "/v1/buckets/b?yes=true", &[], b"").0, 400);
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

#[test]
fn keys_are_asked_for_by_prefix_and_cursor_and_come_as_a_page() {
    let node = Node::start();
    let answer = ask(node.http(), "GET", "/v1/kv/b?prefix=a%2Fb&limit=7&cursor=AAE&r=1", &[], b"");
    assert_eq!((answer.0, json_of(&answer)), (200, json!({"keys": ["YS9i"], "next": "bmV4dA"})));
    let last = node.seen.last.lock().expect("unpoisoned").clone().expect("one").0;
    let Request::Keys { bucket, after, prefix, limit, quorum } = last else { panic!("no keys") };
    assert_eq!((&bucket[..], &after[..], &prefix[..]), ("b", &[0, 1][..], &b"a/b"[..]));
    assert_eq!((limit, quorum.count), (7, Some(1)));
    for wrong in ["/v1/kv/b?cursor=*", "/v1/kv/b?limit=0", "/v1/kv/b?scan=true", "/v1/kv/%ff"] {
        assert_eq!(ask(node.http(), "GET", wrong, &[], b"").0, 400, "{wrong}");
    }
}

#[test]
fn a_write_with_a_condition_is_checked_first_and_not_sent_where_it_fails() {
    let node = Node::start();
    let last = || node.seen.last.lock().expect("unpoisoned").clone().expect("one").0;
    let matching = [("If-Match", "\"abc\""), ("X-Quorate-Operation", "2a-7")];
    let answer = ask(node.http(), "PUT", "/v1/kv/changed/k?r=1&w=2", &matching, b"v");
    assert_eq!((answer.0, &json_of(&answer)["error"]["code"]), (412, &json!("context_mismatch")));
    let Request::Check { quorum, context, operation, .. } = last() else { panic!("no check") };
    assert_eq!((quorum.count, &context[..]), (Some(1), "abc"));
    assert_eq!(operation, Some(OperationId { session: 42, sequence: 7 }));
    assert_eq!(ask(node.http(), "PUT", "/v1/kv/b/k?r=1&w=2", &matching, b"v").0, 204);
    let Request::Put { quorum, context, .. } = last() else { panic!("no write") };
    assert_eq!((quorum.count, &context[..]), (Some(2), "abc"), "its context is the write's");
    let two = [("If-Match", "abc"), ("X-Quorate-Context", "abd")];
    assert_eq!(ask(node.http(), "DELETE", "/v1/kv/b/k", &two, b"").0, 400);
}

#[test]
fn a_batch_is_bounded_in_number_and_in_bytes() {
    let node = Node::start();
    let json = [("Content-Type", "application/json; charset=utf-8")];
    let send = |operations: Vec<Value>| {
        let body = json!({ "operations": operations }).to_string();
        ask(node.http(), "POST", "/v1/batch", &json, body.as_bytes())
    };
    let get = |bucket: &str| json!({"op": "get", "bucket": bucket, "key_text": "k"});
    let answer = send(vec![get("b"); 1_001]);
    assert_eq!((answer.0, &json_of(&answer)["error"]["code"]), (413, &json!("too_large")));
    let answer = send(vec![get("b"); 1_000]);
    assert_eq!(answer.0, 200);
    assert_eq!(json_of(&answer)["outcomes"].as_array().map(Vec::len), Some(1_000));
    // Forty answers of a mebibyte each.
    let answer = json_of(&send(vec![get("large"); 40]));
    let outcomes = answer["outcomes"].as_array().expect("outcomes");
    let count = |status: u64| outcomes.iter().filter(|outcome| outcome["status"] == status).count();
    assert_eq!((count(200), count(413)), (16, 24));
    let head = format!(
        "POST /v1/batch HTTP/1.1\r\nHost: n1\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        (16 << 20) + 1
    );
    assert_eq!(exchange(node.http(), head.as_bytes()).0, 413, "what is announced is enough");
    assert_eq!(ask(node.http(), "POST", "/v1/batch", &[], b"{}").0, 415);
}

#[test]
fn a_batch_takes_each_operation_as_it_is_written_and_nothing_else() {
    let node = Node::start();
    let kind = [("Content-Type", "application/json")];
    let send = |operation: Value| {
        let body = json!({ "operations": [operation] }).to_string();
        ask(node.http(), "POST", "/v1/batch?w=2", &kind, body.as_bytes())
    };
    let put = json!({"op": "put", "bucket": "b", "key": "AAE=", "sort_text": "s", "text": "v",
        "context": "token", "ttl": "1s", "operation": "2a-7"});
    let answer = send(put);
    let written = json!({"outcomes": [{"status": 204, "context": "token"}]});
    assert_eq!((answer.0, json_of(&answer)), (200, written));
    let last = node.seen.last.lock().expect("unpoisoned").clone().expect("one").0;
    let Request::Put { item, quorum, value, context, operation, expires_at, .. } = last else {
        panic!("no write")
    };
    assert_eq!((&item.key[..], &item.sort[..], quorum.count), (&[0, 1][..], &b"s"[..], Some(2)));
    assert_eq!((value.as_deref(), &context[..]), (Some(&b"v"[..]), "token"));
    assert_eq!(operation, OperationId { session: 42, sequence: 7 });
    assert_eq!(expires_at, Some(crate::message::client::Expiry::After(1_000)));
    for wrong in [
        json!({"op": "put", "bucket": "b", "text": "v"}),
        json!({"op": "put", "bucket": "b", "key_text": "k"}),
        json!({"op": "put", "bucket": "b", "key_text": "k", "key": "aw==", "text": "v"}),
        json!({"op": "put", "bucket": "b", "key_text": "k", "text": "v", "value": "dg=="}),
        json!({"op": "put", "bucket": "b", "key_text": "k", "text": "v", "ttl": "soon"}),
        json!({"op": "get", "bucket": "b", "key_text": "k", "context": "c"}),
        json!({"op": "get", "bucket": "b", "key_text": "k", "text": "v"}),
        json!({"op": "delete", "bucket": "b", "key_text": "k", "ttl": "1s"}),
        json!({"op": "swap", "bucket": "b", "key_text": "k"}),
        json!({"op": "get", "bucket": "b", "key_text": "k", "color": "red"}),
    ] {
        let answer = send(wrong.clone());
        assert_eq!(
            (answer.0, &json_of(&answer)["error"]["code"]),
            (400, &json!("invalid")),
            "{wrong}"
        );
    }
}

#[test]
fn pages_of_other_origins_are_let_in_only_where_they_are_listed() {
    let alone = Node::start();
    let here = [("Origin", "https://app.example")];
    let answer = ask(alone.http(), "GET", "/v1/kv/b/k", &here, b"");
    assert_eq!((answer.0, header(&answer, "access-control-allow-origin")), (200, None));
    let listed = vec!["https://app.example".to_owned()];
    let node = Node::with(|config| config.listen.http_origins.0 = listed);
    let answer = ask(node.http(), "GET", "/v1/kv/b/k", &here, b"");
    let allowed = header(&answer, "access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example"));
    let preflight = [
        ("Origin", "https://app.example"),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "x-quorate-context,if-match"),
    ];
    let answer = ask(node.http(), "OPTIONS", "/v1/kv/b/k", &preflight, b"");
    let methods = header(&answer, "access-control-allow-methods").unwrap_or_default();
    let headers = header(&answer, "access-control-allow-headers").unwrap_or_default();
    assert!(methods.contains("PUT") && headers.contains("x-quorate-context"), "{answer:?}");
    let stranger = [("Origin", "https://evil.example")];
    let answer = ask(node.http(), "GET", "/v1/kv/b/k", &stranger, b"");
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
    // The dashboard is this origin's alone: whoever reads its page may act.
    let host = format!("localhost:{}", node.http().port());
    let page = [("Origin", "https://app.example"), ("X-Forwarded-Host", host.as_str())];
    for path in ["/", "/v1/events"] {
        let answer = ask(node.http(), "GET", path, &page, b"");
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{path}");
    }
}

#[test]
fn large_answers_are_packed_for_who_accepts_it() {
    let node = Node::start();
    let accept = [("Accept-Encoding", "br, gzip")];
    let answer = ask(node.http(), "GET", "/v1/kv/large/k", &accept, b"");
    assert_eq!(header(&answer, "content-encoding"), Some("gzip"));
    assert!(answer.2.len() < 64 << 10, "{} of a mebibyte", answer.2.len());
    let answer = ask(node.http(), "GET", "/v1/kv/large/k", &[], b"");
    assert_eq!((header(&answer, "content-encoding"), answer.2.len()), (None, 1 << 20));
    let answer = ask(node.http(), "GET", "/v1/kv/b/k", &accept, b"");
    assert_eq!(header(&answer, "content-encoding"), None, "not worth it");
}
