//! How a request ends: counted, and answered to whoever waits for it.

use super::request::{Asker, Labels, Origin, Request};
use super::{Shard, Turn};
use crate::error::Error;
use crate::id::NodeId;
use crate::message::client;
use crate::message::client::Reply;
use crate::message::peer::Data;
use crate::node::counters::{DurationLabels, RequestLabels};
use crate::node::outbox::About;

impl Shard {
    /// The request is over; this is the answer.
    pub(super) fn finish(&mut self, request: &Request, reply: Reply, turn: &mut Turn) {
        self.answer(&request.asker, reply, turn);
    }

    /// The answer goes to whoever waits for it.
    pub(super) fn answer(&mut self, asker: &Asker, reply: Reply, turn: &mut Turn) {
        if let Some(Labels { op, consistency }) = asker.labels {
            let outcome = match &reply {
                Reply::Failed(error) => error.code(),
                _ => "ok",
            };
            let labels = RequestLabels { op, consistency, outcome };
            *self.counters.requests.entry(labels).or_default() += 1;
            let took = turn.now.instant.since(asker.begun).as_micros();
            let labels = DurationLabels { op, consistency };
            let durations = self.counters.durations.entry(labels).or_default();
            durations.observe(u64::try_from(took).unwrap_or(u64::MAX));
        }
        match asker.origin {
            Origin::Client { connection, id } => turn.outbox.reply(connection, id, reply),
            Origin::Peer { node, request, partition } => {
                if let Some(to) = self.address(node) {
                    let message = Data::Forwarded(reply);
                    let about = About { partition, request, ..About::default() };
                    turn.outbox.send_data(to, about, &message);
                }
            }
            Origin::Own => {}
        }
    }

    /// The request ends with an error.
    pub(super) fn fail(&mut self, request: &Request, error: Error, turn: &mut Turn) {
        self.finish(request, Reply::Failed(error), turn);
    }

    /// A request is turned away before it has begun.
    pub(super) fn turn_away(
        &mut self,
        origin: Origin,
        labels: Option<Labels>,
        error: Error,
        turn: &mut Turn,
    ) {
        let asker = Asker { origin, labels, begun: turn.now.instant };
        self.answer(&asker, Reply::Failed(error), turn);
    }

    /// How the answer came about.
    pub(super) fn info(&self, replied: impl Iterator<Item = NodeId>) -> client::Info {
        client::Info {
            coordinator: self.view.name.clone(),
            replied: replied.map(|node| self.name_of(node)).collect(),
            ..client::Info::default()
        }
    }
}
