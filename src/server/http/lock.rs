//! Who may ask at all, where a token is set.
//!
//! Programs send it as `Authorization: Bearer TOKEN` (RFC 6750, section 2.1); a browser asks its user for a name and a password
//! (RFC 7617), and the password is the token. Whether a node lives and is ready is told to everybody: what asks is often
//! something that balances load.

use super::answer;
use super::bridge::Bridge;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
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

/// Answers 401 in place of whom the lock keeps out.
pub(super) async fn check(
    State(bridge): State<Arc<Bridge>>,
    request: Request,
    next: Next,
) -> Response<Body> {
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
    fn without_a_token_there_is_no_lock() {
        let lock = Lock::new("");
        assert!(opens(&lock, "") && opens(&lock, "Bearer anything"));
    }
}
