//! The log and sled together: on a modelled disk, and on the real one.

mod applier;
mod archive;
mod backup;
mod directory;
mod power_cut;
mod reclaim;
mod removal;
mod scrub;
mod sled;

use super::Store;
use super::sled_store::Started;
use super::writer::Step;

/// A store stepped by hand.
impl Started {
    /// Writer, node and applier do all there is to do; the keeper does not.
    fn settle(&mut self) {
        while self.writer.step() == Step::Worked {}
        self.front.durable();
        while self.applier.step() == Step::Worked {}
        self.front.durable();
    }

    /// The keeper too.
    fn keep(&mut self) {
        while self.keeper.step() == Step::Worked {
            self.settle();
        }
    }
}
