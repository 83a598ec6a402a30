//! `GET /v1/openapi.json`: all of this interface as programs read it (OpenAPI 3.1).
//!
//! ```text
//!   document.json ─┬─► whoever asks
//!                  └─► tests: it names every route and no other, every error with its status,
//!                      every parameter that a handler takes and no other
//! ```
//!
//! It is written by hand beside `docs/http.md`, which explains what it only names. A generator would cost every build more than
//! writing a new path down costs once; what keeps it true are the tests, and `tests/http/openapi` against a node.

#[cfg(test)]
mod tests;

use super::answer;
use super::query::Query;
use axum::body::Body;
use axum::http::{Response, StatusCode, Uri};

/// See the module.
pub(in crate::server) const DOCUMENT: &str = include_str!("document.json");

/// The document, as it is in the binary.
pub(super) async fn document(uri: Uri) -> Response<Body> {
    match Query::parse(uri.query(), &[]) {
        Ok(_) => answer::with_type(StatusCode::OK, "application/json", DOCUMENT),
        Err(error) => answer::failed(&error),
    }
}
