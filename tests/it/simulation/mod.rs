//! Whole clusters in one thread, broken in every way that the simulator knows: `quorate sim`, as part of the tests.

mod foca;
mod hashes;
mod seeds;
