//! From the sockets to the store: bounded in bytes, apart for datagrams and connections, so that neither takes the other's room.

use super::held::Dispatch;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How many bytes may wait or be on their way, of datagrams, and again of connections.
const ROOM: usize = 16 << 20;
/// What a message takes beside its text.
const OVERHEAD: usize = 256;

/// A message, and the room that it takes until it is stored.
pub(super) struct Queued {
    pub(super) dispatch: Dispatch,
    room: OwnedSemaphorePermit,
}

impl Queued {
    pub(super) fn bytes(&self) -> usize {
        self.room.num_permits()
    }
}

/// The end where messages go in. Bounded by its room.
#[derive(Clone)]
pub(super) struct Queue {
    lines: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
}

/// For datagrams, for connections, and the end where they come out.
pub(super) fn queue() -> (Queue, Queue, mpsc::UnboundedReceiver<Queued>) {
    let (lines, out) = mpsc::unbounded_channel();
    let one = || Queue { lines: lines.clone(), room: Arc::new(Semaphore::new(ROOM)) };
    (one(), one(), out)
}

impl Queue {
    /// Takes it if there is room.
    pub(super) fn offer(&self, dispatch: Dispatch) -> bool {
        match self.room.clone().try_acquire_many_owned(cost(&dispatch)) {
            Ok(room) => self.lines.send(Queued { dispatch, room }).is_ok(),
            Err(_) => false,
        }
    }

    /// Takes it when there is room.
    pub(super) async fn push(&self, dispatch: Dispatch) {
        let room = self.room.clone().acquire_many_owned(cost(&dispatch)).await;
        let room = room.expect("a semaphore that nobody closes");
        // Nobody takes it: the end has come.
        let _ = self.lines.send(Queued { dispatch, room });
    }
}

fn cost(dispatch: &Dispatch) -> u32 {
    u32::try_from(dispatch.entry.text.len() + dispatch.source.len() + OVERHEAD)
        .expect("a message has a limit")
}

#[cfg(test)]
mod tests {
    use super::super::held::read;
    use super::*;
    use crate::logs::Parser;

    #[tokio::test]
    async fn what_does_not_fit_is_refused_until_something_is_stored() {
        let (datagrams, connections, mut out) = queue();
        let text = "x".repeat(1 << 16);
        let one = || read(&mut Parser::auto(0), &text, [127, 0, 0, 1].into(), 0).0;
        let taken = (0..1_000).take_while(|_| datagrams.offer(one())).count();
        assert!((200..256).contains(&taken), "{taken}");
        assert!(connections.offer(one()), "they have room of their own");
        drop(out.recv().await);
        assert!(datagrams.offer(one()) && !datagrams.offer(one()));
    }
}
