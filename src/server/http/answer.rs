//! Statuses, headers and JSON of answers.

use crate::Error;
use crate::message::client::{PageItem, Version};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The context, in and out.
pub(super) const CONTEXT: HeaderName = HeaderName::from_static("x-quorate-context");
/// The client's name for a write.
pub(super) const OPERATION: HeaderName = HeaderName::from_static("x-quorate-operation");
/// How a raw answer came about, when `explain=true` asked for it.
pub(super) const INFO: HeaderName = HeaderName::from_static("x-quorate-info");
/// After how many seconds a refused request may be tried again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The status for an error.
pub(super) fn status(error: &Error) -> StatusCode {
    match error {
        Error::Invalid(_) => StatusCode::BAD_REQUEST,
        Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::Siblings { .. } | Error::TooManySiblings { .. } | Error::ChangeInProgress(_) => {
            StatusCode::CONFLICT
        }
        Error::ContextMismatch => StatusCode::PRECONDITION_FAILED,
        Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Unavailable { .. }
        | Error::QuorumNotMet { .. }
        | Error::Overloaded(_)
        | Error::Unreachable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::OutcomeUnknown { .. } | Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        Error::DiskFull(_) => StatusCode::INSUFFICIENT_STORAGE,
        Error::Forbidden(_) => StatusCode::FORBIDDEN,
        // The last one is of the client library alone.
        Error::Internal(_) | Error::Session(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An item of a page.
pub(super) fn page_item(item: &PageItem) -> Value {
    json!({
        "sort": base64(&item.sort),
        "siblings": siblings(&item.values),
        "context": item.context,
    })
}

/// The object that stands under `error`.
pub(super) fn error_object(error: &Error) -> Value {
    let mut object = json!({ "code": error.code(), "message": error.to_string() });
    if let Some((required, received)) = error.counts() {
        object["required"] = required.into();
        object["received"] = received.into();
    }
    object
}

/// An error, as every path answers it.
pub(super) fn failed(error: &Error) -> Response<Body> {
    failed_with(error, json!({}))
}

/// An error with more beside it.
pub(super) fn failed_with(error: &Error, mut beside: Value) -> Response<Body> {
    beside["error"] = error_object(error);
    let mut response = json_with(status(error), &beside);
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    }
    response
}

/// An error of HTTP itself, with a status of its own.
pub(super) fn refused(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let message = format!("{code}: {message}");
    json_with(status, &json!({ "error": { "code": code, "message": message } }))
}

pub(super) fn json_with(status: StatusCode, value: &Value) -> Response<Body> {
    json_text(status, value.to_string())
}

pub(super) fn json_text(status: StatusCode, text: String) -> Response<Body> {
    with_type(status, "application/json", text)
}

/// An answer with a body of some type.
pub(super) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Adds a header whose value is one of our tokens or JSON.
pub(super) fn with_header(
    mut response: Response<Body>,
    name: HeaderName,
    value: &str,
) -> Response<Body> {
    // Contexts are base64url and our JSON escapes control characters, so only a bug of the node's falls out.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The siblings of an item.
pub(super) fn siblings(values: &[Version]) -> Value {
    values.iter().map(|v| json!({ "value": base64(&v.value), "dot": v.dot })).collect()
}

/// Whether the client asked for JSON by name.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|part| {
            let kind = part.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        })
    })
}
