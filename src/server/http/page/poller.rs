//! Who asks the node, once a second, for everybody who listens.

use super::Page;
use super::arcs;
use super::moment::{Moment, event, snapshot};
use crate::message::client::{Inspect, Reply, Request};
use crate::server::http::Bridge;
use crate::server::timeline::{Answers, Timeline};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long between two moments.
const EVERY: Duration = Duration::from_secs(1);
/// How long the node may take to answer. The moment goes out without what it did not say.
const PATIENCE: Duration = Duration::from_millis(800);

/// Makes moments for as long as somebody listens, and waits while nobody does.
pub(super) async fn poll(page: Arc<Page>) {
    let (mut timeline, mut ring) = (Timeline::default(), Ring::default());
    loop {
        if page.moments.receiver_count() == 0 {
            page.listened.notified().await;
            continue;
        }
        let began = Instant::now();
        let moment = look(&page.bridge, &mut timeline, &mut ring).await;
        page.moments.send_replace(Some(Arc::new(moment)));
        tokio::time::sleep(EVERY.saturating_sub(began.elapsed())).await;
    }
}

/// The ring's event, as long as it is as it was.
#[derive(Default)]
struct Ring {
    /// The agreement that it shows, by its epoch and number.
    of: Option<(u64, u64)>,
    number: u64,
    event: Option<Bytes>,
}

async fn look(bridge: &Bridge, timeline: &mut Timeline, ring: &mut Ring) -> Moment {
    let (status, members, hints, seen) = tokio::join!(
        ask(bridge, Inspect::Status),
        ask(bridge, Inspect::Members),
        ask(bridge, Inspect::Hints),
        bridge.snapshot(),
    );
    let repairs = seen.node.read_repairs + seen.node.sync_items;
    let answers = Answers { status, members, hints, repairs };
    ring.follow(bridge, &answers.status).await;
    timeline.note(&answers, seen.wall.0);
    Moment {
        snapshot: snapshot(&answers, &seen, bridge.ingested()),
        ring: ring.event.clone().map(|event| (ring.number, event)),
        entries: timeline.entries(),
        made: Instant::now(),
    }
}

impl Ring {
    /// Asks for the ring when another agreement is in force than the one that is shown.
    async fn follow(&mut self, bridge: &Bridge, status: &Value) {
        let number = |name: &str| status[name].as_u64();
        let Some(of) = number("epoch").zip(number("index")) else { return };
        if self.of == Some(of) {
            return;
        }
        let answer = ask(bridge, Inspect::Ring).await;
        if answer["table"].is_array() {
            self.of = Some(of);
            self.number += 1;
            self.event = Some(event("ring", &arcs::drawn(&answer)));
        }
    }
}

/// The node's answer; null if it has none, or none in time.
async fn ask(bridge: &Bridge, what: Inspect) -> Value {
    let answer = bridge.ask(Request::Inspect(what), Some(PATIENCE));
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Reply::Json(text)) => serde_json::from_str(&text).unwrap_or_default(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;
    use crate::server::counters::Snapshot;
    use crate::server::http::page::Hosts;
    use tokio::sync::{Notify, mpsc, watch};

    #[tokio::test(start_paused = true)]
    async fn the_node_is_asked_once_a_second_while_somebody_listens_and_else_not_at_all() {
        let (asks, mut asked) = mpsc::channel(64);
        let (_turns, snapshot) = watch::channel(Arc::new(Snapshot::starting()));
        let config = ServerConfig::default();
        let bridge = Bridge::new(asks, Arc::new(Notify::new()), snapshot, &config, None, 1);
        let page = Page::begin(Arc::new(bridge), Hosts::new(([127, 0, 0, 1], 1).into(), None, &[]));
        let mut over = async |time| {
            tokio::time::sleep(time).await;
            std::iter::from_fn(|| asked.try_recv().ok()).count()
        };
        let minute = Duration::from_secs(60);
        assert_eq!(over(minute).await, 0, "nobody has listened");
        let readers = [page.moments.subscribe(), page.moments.subscribe()];
        page.listened.notify_one();
        let some = over(EVERY * 4).await;
        assert!((6..=15).contains(&some), "three questions a second, whoever listens: {some}");
        drop(readers);
        over(EVERY).await;
        assert_eq!(over(minute).await, 0, "nobody listens any more");
    }
}
