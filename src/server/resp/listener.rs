//! Takes in connections, up to a limit.

use super::super::bind;
use super::super::http::{Bridge, OwnNode};
use super::PORT;
use super::connection;
use crate::redis::Engine;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

/// How long to wait when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long what was sent may go unacknowledged by the other machine: it is asked now and then whether it is there.
const UNANSWERED: Duration = Duration::from_secs(60);
/// How many bytes of requests that have begun all connections may keep together, beyond what each may have anyway.
const BEGUN: usize = 256 << 20;

/// Accepts for ever.
pub(super) async fn accept(
    listener: TcpListener,
    bridge: Arc<Bridge>,
    engine: Engine<OwnNode>,
    stopped: watch::Receiver<bool>,
    open: mpsc::Sender<()>,
) {
    let places = Arc::new(Semaphore::new(bridge.resp_connections));
    let begun = Arc::new(Semaphore::new(BEGUN));
    loop {
        let (mut stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection of a Redis client could not be accepted");
                bridge.reject_on(PORT, "accept_failed", 1);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            bridge.reject_on(PORT, "too_many_connections", 1);
            tokio::spawn(async move {
                let _ = stream.write_all(b"-ERR max number of clients reached\r\n").await;
            });
            continue;
        };
        bind::tune(&stream, UNANSWERED);
        let serving = connection::serve(
            stream,
            peer,
            bridge.clone(),
            engine.clone(),
            begun.clone(),
            stopped.clone(),
        );
        let open = open.clone();
        tokio::spawn(async move {
            let (_place, _open) = (place, open);
            serving.await;
        });
    }
}
