//! Everything that needs the whole: schedules over the simulated cluster, real processes, the floors.

mod floors;
mod processes;
mod schedules;
