//! What only this node's own page knows: who acts through it has read that page.
//!
//! A page of somebody else's may send a browser's request to this node, but can neither read the token nor set the
//! header that carries it. (Synchronizer token; OWASP, "Cross-Site Request Forgery Prevention".)

use axum::http::{HeaderMap, HeaderName};
use std::fmt::Write;

/// The header in which an action carries it.
const HEADER: HeaderName = HeaderName::from_static("x-quorate-token");
/// Where the page has its place for it.
const PLACE: &str = "{token}";

/// Of this process; the next has another.
pub(super) struct Token(String);

impl Token {
    /// A new one. Where the system has no randomness there is none, and nothing can be done through the page.
    pub(super) fn new() -> Token {
        let mut bytes = [0u8; 16];
        let mut text = String::new();
        if getrandom::fill(&mut bytes).is_ok() {
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
        }
        Token(text)
    }

    /// The page, with the token in its place.
    pub(super) fn put_into(&self, page: &str) -> String {
        page.replace(PLACE, &self.0)
    }

    /// Whether a request carries it.
    ///
    /// # Errors
    /// What to do instead, in one line.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), String> {
        let said = headers.get(HEADER).map(|said| said.as_bytes()).unwrap_or_default();
        // Of equal lengths every byte is looked at, so that the time says nothing.
        let same = said.len() == self.0.len()
            && said.iter().zip(self.0.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        if same && !self.0.is_empty() {
            return Ok(());
        }
        Err("this action needs the token of this node's page: load the page again".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_who_has_read_the_page_may_act() {
        let token = Token::new();
        let page = token.put_into("<meta content=\"{token}\">");
        let read = page.split('"').nth(1).expect("a token");
        assert_eq!(read.len(), 32);
        let said = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(text).expect("a header"));
            token.admit(&headers).is_ok()
        };
        assert!(said(read));
        assert!(!said("") && !said(&read[1..]) && !said(&Token::new().0));
        assert!(token.admit(&HeaderMap::new()).is_err());
        let none = Token(String::new());
        assert!(none.admit(&HeaderMap::new()).is_err(), "without randomness nobody acts");
    }
}
