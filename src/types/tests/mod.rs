//! Values that join: their laws, their bytes, and what becomes of histories on several replicas.

mod bytes;
mod counting;
mod histories;
mod kit;
mod laws;
mod operations;
