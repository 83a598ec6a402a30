//! The log and sled together: on a modelled disk, and on the real one.

mod backup;
mod directory;
mod power_cut;
mod reclaim;
mod scrub;
mod sled;
