//! Who may ask at all, where a token is set.
//!
//! Programs send it as `Authorization: Bearer TOKEN` (RFC 6750, section 2.1); a browser asks its user for a name and a password
//! (RFC 7617), and the password is the token. Whether a node lives and is ready is told to everybody: what asks is often
//! something that balances load.

use super::answer;
use super::bridge::Bridge;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// What everybody may ask.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];
const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"quorate\", charset=\"UTF-8\"");

/// The token of a node.
#[derive(Debug, Default)]
pub(super) struct Lock(Option<blake3::Hash>);

impl Lock {
    /// Empty: everybody may ask.
    pub(super) fn new(token: &str) -> Lock {
        Lock((!token.is_empty()).then(|| blake3::hash(token.as_bytes())))
    }

    /// Whether a request carries the token. How long that takes says nothing of how much of it was right.
    fn opens(&self, headers: &HeaderMap) -> bool {
        let Some(token) = self.0 else { return true };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(said).is_some_and(|said| blake3::hash(&said) == token)
    }
}

/// The token in a header, whichever way it is sent.
fn said(value: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Whether somebody else's page has made a browser send something that changes something: it says from where it comes, and may
/// bring along what the user has typed here. (OWASP, "Cross-Site Request Forgery Prevention": verifying the origin.)
fn is_foreign(method: &Method, headers: &HeaderMap, listed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).filter(|_| !method.is_safe()) else {
        return false;
    };
    let origin = origin.to_str().unwrap_or("null");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_own = origin.split_once("://").is_some_and(|(_, at)| at.eq_ignore_ascii_case(host));
    !is_own && !listed.iter().any(|listed| listed == origin)
}

/// Answers 403 in place of pages of other origins that are not listed, and 401 of whom the lock keeps out.
pub(super) async fn check(
    State(bridge): State<Arc<Bridge>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if is_foreign(request.method(), request.headers(), &bridge.origins) {
        bridge.reject("wrong_origin");
        let text =
            "a page of another origin may change nothing here: list it in listen.http_origins";
        return answer::refused(StatusCode::FORBIDDEN, "forbidden", text);
    }
    if OPEN.contains(&request.uri().path()) || bridge.lock.opens(request.headers()) {
        return next.run(request).await;
    }
    bridge.reject("wrong_token");
    let mut refused = answer::refused(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "this node wants its http.token, in `Authorization: Bearer TOKEN` or as the password",
    );
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(lock: &Lock, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(header::AUTHORIZATION, value);
        }
        lock.opens(&headers)
    }

    #[test]
    fn a_lock_opens_to_its_token_and_to_nothing_else() {
        let lock = Lock::new("open:sesame");
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for good in [
            "Bearer open:sesame",
            "bearer  open:sesame ",
            &basic(":open:sesame"),
            &basic("me:open:sesame"),
        ] {
            assert!(opens(&lock, good), "{good}");
        }
        for bad in [
            "",
            "open:sesame",
            "Bearer",
            "Bearer ",
            "Bearer open",
            "Bearer open:sesame!",
            "Digest open:sesame",
            "Basic open:sesame",
            &basic("open:sesame"),
            &basic("me:"),
        ] {
            assert!(!opens(&lock, bad), "{bad}");
        }
        assert!(!lock.opens(&HeaderMap::new()));
    }

    #[test]
    fn pages_of_others_change_nothing_and_whoever_is_no_page_is_not_asked() {
        let listed = ["https://app.example".to_owned()];
        let foreign = |method: Method, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("n1:7611"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            is_foreign(&method, &headers, &listed)
        };
        assert!(!foreign(Method::POST, None), "no browser");
        assert!(!foreign(Method::POST, Some("http://n1:7611")), "its own page");
        assert!(!foreign(Method::PUT, Some("https://app.example")), "listed");
        assert!(!foreign(Method::GET, Some("http://evil.example")), "it cannot read the answer");
        for origin in ["http://evil.example", "null", "http://n1", "n1:7611", ""] {
            assert!(foreign(Method::POST, Some(origin)), "{origin}");
        }
    }

    #[test]
    fn without_a_token_there_is_no_lock() {
        let lock = Lock::new("");
        assert!(opens(&lock, "") && opens(&lock, "Bearer anything"));
    }
}
