//! The native port: frames over TCP, gossip over UDP.

mod client;
mod connection;
mod gossip;
mod listener;
mod peers;
mod stream;

pub(super) use client::Client;
pub(super) use gossip::Gossip;
pub(super) use listener::accept;
pub(super) use peers::Peers;
