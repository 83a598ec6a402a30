//! What travels: bytes into messages and back.
//!
//! ```text
//!  ┌──────────── 80 bytes, fixed ────────────┬───── body, rmp-serde ─────┐
//!  │ magic version kind … epoch … checksum   │ one of the enums below    │
//!  └─────────────────────────────────────────┴───────────────────────────┘
//! ```
//!
//! Routing reads the header only. Nothing that arrives is believed before its checksum and limits hold,
//! and nothing is allocated for what has only been announced.

pub mod client;
mod codec;
mod explained;
mod frame;
#[cfg(feature = "server")]
pub mod peer;
mod placement;

pub use codec::{DecodeError, decode, encode_into};
pub use frame::{
    Class, Frame, FrameError, HEADER_BYTES, Header, Hello, KEY_WANTED, Kind, MAX_BODY_BYTES,
    PROTOCOL, PROTOCOL_MIN, Role, Split, split,
};
pub use placement::{Placement, SMALLER_BUCKETS};
