//! HTTP, on a thread of its own, so that nobody's slow request stands in a node's way.
//!
//! ```text
//!   request ─► bounds (head, body, time) ─► lock ─► Bridge ─► node thread ─► Reply ─► status and JSON
//!   /healthz /readyz /metrics ─► the last snapshot: answered also when the node does not turn
//!   / /page/… /v1/events ─► the dashboard: see page/
//! ```

mod answer;
mod batch;
mod body;
mod bridge;
mod buckets;
mod condition;
mod keys;
mod kv;
mod layers;
mod lock;
mod logs;
mod look;
mod metrics;
mod objects;
mod openapi;
mod own;
mod page;
mod query;
mod router;
mod routes;
mod types;
mod watch;

pub(super) use bridge::{Ask, Bridge};
pub(super) use logs::{logs, now};
#[cfg(test)]
pub(super) use openapi::DOCUMENT;
pub(super) use own::OwnNode;
pub(super) use page::Hosts;

use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

/// The longest head of a request, in bytes.
const HEAD_LIMIT: usize = 64 << 10;
/// How long to wait when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers on `listener` until `stop` is notified.
pub(super) fn spawn(
    listener: std::net::TcpListener,
    bridge: Arc<Bridge>,
    hosts: Hosts,
    stop: Arc<Notify>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    std::thread::Builder::new().name("http".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = stop.notified() => {}
                () = accept(listener, bridge, hosts) => {}
            }
        });
    })
}

async fn accept(listener: TcpListener, bridge: Arc<Bridge>, hosts: Hosts) {
    let places = Arc::new(Semaphore::new(bridge.connections));
    let router = router::router(bridge.clone(), page::Page::begin(bridge.clone(), hosts));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                bridge.reject("accept_failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            bridge.reject("too_many_connections");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let inner = TowerToHyperService::new(router.clone());
        let served = Arc::new(AtomicBool::new(false));
        let mark = served.clone();
        let service = service_fn(move |request| {
            mark.store(true, Ordering::Relaxed);
            inner.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bridge.stall)
            .max_buf_size(HEAD_LIMIT)
            .max_header_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(stream), service);
        let bridge = bridge.clone();
        tokio::spawn(async move {
            let _place = place;
            match connection.await {
                Ok(()) => {}
                // Kept open after an answer and not used again: that is no offence.
                Err(error) if error.is_timeout() && served.load(Ordering::Relaxed) => {}
                Err(error) if error.is_timeout() => bridge.reject("stalled"),
                Err(error) if error.is_parse() => bridge.reject("malformed"),
                Err(_) => bridge.reject("broken"),
            }
        });
    }
}
