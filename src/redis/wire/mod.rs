//! RESP: requests from bytes, replies into bytes.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Broken, Limits, Reader};
pub use write::{Protocol, write};
