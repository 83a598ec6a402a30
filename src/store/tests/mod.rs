//! The log and sled together: on a modelled disk, and on the real one.

mod power_cut;
