//! Stories in which a store of this kind loses or resurrects data, on simulated clusters of whole nodes.
//! Those that read well as a conversation are in `tests/scripts`, some of them only there.

mod basics;
mod causality;
mod collection;
mod dead;
mod drops;
mod durability;
mod explains;
mod handoff;
mod hedges;
mod hints;
mod keys;
pub mod kit;
mod losses;
mod merkle;
mod misses;
mod owners;
mod quorums;
mod review;
mod ring;
mod rot;
mod survivors;
mod ttl;
mod types;
mod write_backs;
