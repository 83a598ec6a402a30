//! Whole clusters in one thread, broken in every way that the simulator knows: `quorate sim`, as part of the tests,
//! and conversations that a person can read.

mod foca;
mod hashes;
mod script;
mod seeds;
mod staleness;
