//! Takes in native connections, up to a limit.

use super::super::bind;
use super::super::shared::Shared;
use super::connection;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long to wait when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long what was sent to a client may go unacknowledged by its machine.
const CLIENT_UNANSWERED: Duration = Duration::from_secs(30);

/// Accepts for ever.
pub(in crate::server) async fn accept(shared: Rc<Shared>, listener: TcpListener) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                shared.reject("native", "accept_failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = Place::take(&shared) else {
            shared.reject("native", "too_many_connections");
            continue;
        };
        bind::tune(&stream, CLIENT_UNANSWERED);
        connection::spawn(place, stream);
    }
}

/// One of the limited number of connections; given back when dropped.
pub(super) struct Place {
    pub(super) shared: Rc<Shared>,
}

impl Place {
    fn take(shared: &Rc<Shared>) -> Option<Place> {
        let mut counters = shared.counters.borrow_mut();
        if counters.connections >= shared.limits.connections as u64 {
            return None;
        }
        counters.connections += 1;
        Some(Place { shared: shared.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.counters.borrow_mut().connections -= 1;
    }
}
