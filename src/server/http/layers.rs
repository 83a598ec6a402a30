//! What is put around all answers: packed where that is worth it, and shown to pages of other origins that the
//! operator has listed.

use super::answer::{CONTEXT, INFO, OPERATION};
use axum::body::HttpBody;
use axum::http::{HeaderValue, Method, Response, header};
use std::time::Duration;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;
use tower_http::cors::CorsLayer;

/// Answers below this are sent as they are, in bytes.
const WORTH_PACKING: u64 = 1 << 10;
/// How long a browser may remember what it was allowed.
const ALLOWED_FOR: Duration = Duration::from_secs(600);

/// Whether an answer is worth packing. What is made while it is sent (the events, Run Demo) is not: it would wait in the
/// packer until there is enough of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorthPacking;

impl Predicate for WorthPacking {
    fn should_compress<B: HttpBody>(&self, response: &Response<B>) -> bool {
        response.body().size_hint().exact().is_some_and(|size| size >= WORTH_PACKING)
    }
}

/// gzip, for those who accept it.
pub(super) fn packing() -> CompressionLayer<WorthPacking> {
    CompressionLayer::new()
        .gzip(true)
        .quality(CompressionLevel::Fastest)
        .compress_when(WorthPacking)
}

/// Lets pages of these origins read and write; `None` when there are none.
pub(super) fn origins(listed: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        listed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE])
            .allow_headers([
                header::ACCEPT,
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_MATCH,
                CONTEXT,
                OPERATION,
            ])
            .expose_headers([CONTEXT, INFO, header::RETRY_AFTER])
            .max_age(ALLOWED_FOR)
    })
}
