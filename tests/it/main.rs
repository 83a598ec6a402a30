//! Everything that needs the whole: schedules over the simulated cluster, seeds of the simulator, real processes,
//! the documents, the floors.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod documents;
mod floors;
mod processes;
mod schedules;
mod simulation;
