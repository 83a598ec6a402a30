//! Takes in connections that bring syslog, up to a limit.

use super::super::bind;
use super::super::http::Bridge;
use super::PORT;
use super::connection;
use super::gate::{Stage, Watch};
use super::queue::Queue;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long to wait when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long what was sent may go unacknowledged by the other machine: it is asked now and then whether it is there.
const UNANSWERED: Duration = Duration::from_secs(60);

/// Accepts until the gate closes.
pub(super) async fn accept(
    listener: TcpListener,
    bridge: Arc<Bridge>,
    queue: Queue,
    mut gate: Watch,
) {
    let places = Arc::new(Semaphore::new(bridge.syslog_connections));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = gate.reached(Stage::Closing) => return,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection of syslog could not be accepted");
                bridge.reject_on(PORT, "accept_failed", 1);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            bridge.reject_on(PORT, "too_many_connections", 1);
            continue;
        };
        bind::tune(&stream, UNANSWERED);
        let serving =
            connection::serve(stream, from.ip(), bridge.clone(), queue.clone(), gate.clone());
        tokio::spawn(async move {
            let _place = place;
            serving.await;
        });
    }
}
