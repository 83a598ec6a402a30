//! Everything that needs the whole: schedules over the simulated cluster, seeds of the simulator, real processes,
//! the floors.

mod floors;
mod processes;
mod schedules;
mod simulation;
