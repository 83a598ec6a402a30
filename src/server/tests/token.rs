//! HTTP of a node with a token.

use super::*;

fn node() -> Node {
    Node::with(|config| {
        config.http.token = "sesame".into();
        config.listen.http_origins = crate::config::Addresses(vec!["https://app.example".into()]);
    })
}

fn value(head: &[(String, String)], name: &str) -> String {
    let found = head.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

#[test]
fn without_the_token_only_health_is_told() {
    let node = node();
    for (path, open) in [
        ("/healthz", true),
        ("/readyz", true),
        ("/healthz/", false),
        ("/", false),
        ("/page/app.js", false),
        ("/metrics", false),
        ("/v1/status", false),
        ("/v1/kv/b/k", false),
        ("/v1/events", false),
        ("/nowhere", false),
    ] {
        let (status, head, body) = http::ask(node.http(), "GET", path, &[], b"");
        assert_eq!(status != 401, open, "{path}: {status}");
        if !open {
            let challenge = value(&head, "www-authenticate");
            assert!(challenge.starts_with("Basic realm=\"quorate\""), "{head:?}");
            let body = String::from_utf8(body).expect("text");
            assert!(
                body.contains("\"code\":\"unauthorized\"") && body.contains("http.token"),
                "{body}"
            );
        }
    }
    assert_eq!(node.seen.requests.load(std::sync::atomic::Ordering::Relaxed), 0);
    for path in ["/", "/metrics", "/v1/status", "/v1/kv/b/k", "/nowhere"] {
        let with = [("authorization", "Bearer sesame")];
        let (status, ..) = http::ask(node.http(), "GET", path, &with, b"");
        assert_ne!(status, 401, "{path}");
    }
}

#[test]
fn a_browser_may_ask_whether_it_may_ask() {
    let node = node();
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization"),
    ];
    let (status, head, _) = http::ask(node.http(), "OPTIONS", "/v1/kv/b/k", &preflight, b"");
    assert_eq!(status, 200, "{head:?}");
    let allowed = value(&head, "access-control-allow-headers");
    assert!(allowed.contains("authorization"), "{head:?}");
    let (status, ..) = http::ask(node.http(), "PUT", "/v1/kv/b/k", &preflight[..1], b"x");
    assert_eq!(status, 401);
}
