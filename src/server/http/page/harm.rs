//! The chaos buttons: `POST /v1/chaos/{kill|pause|partition|heal}` harms this node, where it was started so.

use super::super::answer;
use super::super::bridge::Bridge;
use crate::Error;
use crate::server::chaos::{Chaos, Harm};
use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How long the answer has to leave before nothing leaves any more.
const HEAD_START: Duration = Duration::from_millis(200);

/// Does it a moment later, so that the answer still leaves.
pub(super) fn begin(bridge: &Bridge, name: &str) -> Response<Body> {
    let Some(chaos) = bridge.chaos.clone() else {
        let what = "there are no chaos buttons here: start the node with --enable-chaos";
        return answer::refused(StatusCode::NOT_FOUND, "not_found", what);
    };
    let Some(harm) = Harm::named(name) else {
        let what = format!("`{name}` is no harm that is known: use kill, pause, partition or heal");
        return answer::failed(&Error::Invalid(what));
    };
    tracing::warn!(?harm, "chaos, as somebody wanted it");
    tokio::spawn(later(chaos, harm));
    answer::json_with(StatusCode::ACCEPTED, &json!({ "harm": name }))
}

async fn later(chaos: Arc<Chaos>, harm: Harm) {
    if matches!(harm, Harm::Kill | Harm::Pause) {
        tokio::time::sleep(HEAD_START).await;
    }
    if let Err(error) = chaos.harm(harm) {
        tracing::error!(%error, ?harm, "it could not be done");
    }
}
