//! An orderly stop: first no more messages are taken and the last ones are stored, then the node stops.

use super::super::start::Stopper;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Messages are taken.
    Open,
    /// No more are taken; what is there is stored.
    Closing,
    /// There is no node to store it.
    Gone,
}

/// See the module.
#[derive(Debug)]
pub(in crate::server) struct Gate {
    stage: watch::Sender<Stage>,
    asked: AtomicBool,
    left: AtomicBool,
}

impl Gate {
    pub(in crate::server) fn new() -> Gate {
        let (asked, left) = (AtomicBool::new(false), AtomicBool::new(false));
        Gate { stage: watch::Sender::new(Stage::Open), asked, left }
    }

    /// Asks it to close. True: the node will be stopped when that is done; false: nobody will do it.
    pub(in crate::server) fn close(&self) -> bool {
        self.asked.store(true, Ordering::SeqCst);
        self.reach(Stage::Closing);
        !self.left.load(Ordering::SeqCst)
    }

    /// The node has ended, asked or not.
    pub(in crate::server) fn give_up(&self) {
        self.reach(Stage::Gone);
    }

    pub(super) fn stage(&self) -> Watch {
        Watch(self.stage.subscribe())
    }

    fn reach(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let is_further = stage > *now;
            *now = stage.max(*now);
            is_further
        });
    }
}

/// Waits for a stage.
#[derive(Clone)]
pub(super) struct Watch(watch::Receiver<Stage>);

impl Watch {
    /// Returns when it is as far as this. A gate that is no more has gone as far as one can.
    pub(super) async fn reached(&mut self, stage: Stage) {
        let _ = self.0.wait_for(|now| *now >= stage).await;
    }
}

/// Held by the thread: however it ends, a node that was asked to stop stops.
pub(super) struct Leaving {
    pub(super) gate: Arc<Gate>,
    pub(super) then: Stopper,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.gate.left.store(true, Ordering::SeqCst);
        if self.gate.asked.load(Ordering::SeqCst) {
            self.then.stop();
        }
    }
}
