//! A request's body: no more than may be, no slower than may be, and nothing for what is only announced.

use super::answer;
use super::bridge::Bridge;
use crate::Error;
use axum::body::{Body, HttpBody};
use axum::http::{Response, StatusCode};
use bytes::{Bytes, BytesMut};
use std::future::poll_fn;
use std::pin::Pin;

/// Reads a body of at most `limit` bytes; the error is the whole answer.
pub(super) async fn read(
    bridge: &Bridge,
    mut body: Body,
    what: &str,
    limit: usize,
) -> Result<Bytes, Box<Response<Body>>> {
    let too_large = |size: u64| {
        bridge.reject("too_large");
        let error = Error::TooLarge { what: what.into(), size, limit: limit as u64 };
        Err(Box::new(answer::failed(&error)))
    };
    let announced = body.size_hint();
    if announced.lower() > limit as u64 {
        return too_large(announced.lower());
    }
    let mut bytes = BytesMut::new();
    loop {
        let part = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = match tokio::time::timeout(bridge.stall, part).await {
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                bridge.reject("broken");
                let error = Error::Invalid("the body broke off".into());
                return Err(Box::new(answer::failed(&error)));
            }
            Err(_) => {
                bridge.reject("stalled");
                let status = StatusCode::REQUEST_TIMEOUT;
                let text = "the body did not arrive; send it again";
                return Err(Box::new(answer::refused(status, "timeout", text)));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return too_large((bytes.len() + data.len()) as u64);
        }
        if bytes.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        bytes.extend_from_slice(&data);
    }
}
