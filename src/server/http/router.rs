//! Which path means what.

use super::answer;
use super::bridge::Bridge;
use super::page::{self, Page};
use super::{batch, keys, kv, layers, logs, look, types};
use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::routing::{any, get, post};
use std::sync::Arc;

/// All paths.
pub(super) fn router(bridge: Arc<Bridge>, page: Arc<Page>) -> Router {
    let mut router = Router::new()
        .route("/v1/status", get(look::status))
        .route("/v1/members", get(look::members))
        .route("/v1/ring", get(look::ring))
        .route("/v1/hints", get(look::hints))
        .route("/v1/info", get(look::info))
        .route("/v1/staleness", get(look::staleness))
        .route("/v1/buckets", get(look::buckets).post(look::create_bucket))
        .route("/v1/local/partitions", get(look::partitions))
        .route("/v1/batch", post(batch::batch))
        .route("/v1/logs", get(logs::query).post(logs::ingest))
        .route("/loki/api/v1/push", post(logs::loki))
        .route("/healthz", get(look::healthz))
        .route("/readyz", get(look::readyz))
        .route("/metrics", get(look::metrics));
    // Keys may be empty here so that the answer says so.
    router = router.route("/v1/kv/{bucket}", get(keys::list).fallback(kv::item));
    for rest in ["{bucket}/", "{bucket}/{*key}"] {
        router = router.route(&format!("/v1/kv/{rest}"), any(kv::item));
    }
    for rest in ["{bucket}/", "{bucket}/{*key}"] {
        router = router.route(&format!("/v1/types/{rest}"), any(types::item));
    }
    for rest in ["{bucket}", "{bucket}/", "{bucket}/{*key}"] {
        router = router.route(&format!("/v1/locate/{rest}"), get(look::locate));
    }
    for rest in ["{bucket}/", "{bucket}/{*key}"] {
        router = router.route(&format!("/v1/local/{rest}"), get(look::local));
    }
    router = router.fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    // Not the dashboard: what stands in its page lets whoever reads it act.
    if let Some(origins) = layers::origins(&bridge.origins) {
        router = router.layer(origins);
    }
    let router = router.merge(page::router(page));
    router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers::packing())
        .with_state(bridge)
}

async fn not_found() -> Response<Body> {
    answer::refused(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no such path; see the documentation",
    )
}

pub(super) async fn method_not_allowed() -> Response<Body> {
    let text = "this path does not take this method; see the documentation";
    answer::refused(StatusCode::METHOD_NOT_ALLOWED, "invalid", text)
}
