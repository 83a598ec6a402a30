//! Stories on a small network of machines, each told for many seeds.

mod network;
mod peers;
mod refuses;
mod stories;
mod trouble;
