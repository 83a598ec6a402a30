//! Which path means what.

use super::answer;
use super::bridge::Bridge;
use super::page::{self, Page};
use super::routes::Routes;
use super::{batch, buckets, keys, kv, layers, lock, logs, look, openapi, types, watch};
use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use std::sync::Arc;

/// All paths but the dashboard's.
pub(super) fn routes() -> Routes<Arc<Bridge>> {
    Routes::default()
        .get("/v1/status", look::status)
        .get("/v1/members", look::members)
        .get("/v1/ring", look::ring)
        .get("/v1/hints", look::hints)
        .get("/v1/info", look::info)
        .get("/v1/staleness", look::staleness)
        .get("/v1/buckets", look::buckets)
        .post("/v1/buckets", buckets::create)
        .post("/v1/buckets/{bucket}", buckets::change)
        .delete("/v1/buckets/{bucket}", buckets::remove)
        .get("/v1/local/partitions", look::partitions)
        .get("/v1/local/{bucket}/{*key}", look::local)
        .get("/v1/locate/{bucket}/{*key}", look::locate)
        .get("/v1/kv/{bucket}", keys::list)
        .get("/v1/kv/{bucket}/{*key}", kv::read)
        .put("/v1/kv/{bucket}/{*key}", kv::put)
        .delete("/v1/kv/{bucket}/{*key}", kv::delete)
        .get("/v1/watch/{bucket}/{*key}", watch::watch)
        .get("/v1/types/{bucket}/{*key}", types::read)
        .post("/v1/types/{bucket}/{*key}", types::change)
        .delete("/v1/types/{bucket}/{*key}", types::delete)
        .post("/v1/batch", batch::batch)
        .get("/v1/logs", logs::query)
        .post("/v1/logs", logs::ingest)
        .post("/loki/api/v1/push", logs::loki)
        .get("/healthz", look::healthz)
        .get("/readyz", look::readyz)
        .get("/metrics", look::metrics)
        .get("/v1/openapi.json", openapi::document)
        // The key is empty, and the answer says so.
        .incomplete("/v1/kv/{bucket}/", get(kv::read).put(kv::put).delete(kv::delete))
        .incomplete("/v1/watch/{bucket}/", get(watch::watch))
        .incomplete(
            "/v1/types/{bucket}/",
            get(types::read).post(types::change).delete(types::delete),
        )
        .incomplete("/v1/local/{bucket}/", get(look::local))
        .incomplete("/v1/locate/{bucket}", get(look::locate))
        .incomplete("/v1/locate/{bucket}/", get(look::locate))
}

/// All paths.
pub(super) fn router(bridge: Arc<Bridge>, page: Arc<Page>) -> Router {
    let mut router = routes().router();
    router = router.fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    // Inside of what answers other origins: a browser's first question, whether it may ask, carries no token.
    let locked = from_fn_with_state(bridge.clone(), lock::check);
    router = router.layer(locked.clone());
    // Not the dashboard: what stands in its page lets whoever reads it act.
    if let Some(origins) = layers::origins(&bridge.origins) {
        router = router.layer(origins);
    }
    let router = router.merge(page::routes().router().layer(locked).with_state(page));
    router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers::packing())
        .with_state(bridge)
}

async fn not_found() -> Response<Body> {
    answer::refused(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no such path; see /v1/openapi.json",
    )
}

async fn method_not_allowed() -> Response<Body> {
    let text = "this path does not take this method; header `Allow` says which it takes, and /v1/openapi.json what for";
    answer::refused(StatusCode::METHOD_NOT_ALLOWED, "invalid", text)
}
