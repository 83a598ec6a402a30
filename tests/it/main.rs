//! Everything that needs the whole: schedules over the simulated cluster, seeds of the simulator, real processes,
//! the documents, the floors.
//!
//! They are tried in the order of their names, so what computes comes before what waits.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod deterministic;
mod documents;
mod floors;
mod processes;
mod schedules;
