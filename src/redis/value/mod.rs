//! What is stored, and how what was stored at once becomes one.
//!
//! ```text
//!   key ─┬─ sort key ""            Root: text, or that it is a set or a hash, or was
//!        ├─ 01 generation member   of a set: that it is there
//!        └─ 02 generation field    of a hash: a Text
//! ```
//!
//! Every join commutes, associates and repeats harmlessly: replicas that have seen the same siblings show the same.

mod expiry;
mod group;
mod place;
mod root;
#[cfg(test)]
mod tests;
mod text;

pub(super) use crate::types::bytes::Malformed;
pub(super) use expiry::Expiry;
pub(super) use group::{Gone, Group, Kind};
pub(super) use place::{Element, KEY_LIMIT, MEMBER_LIMIT, key_of, partition_key};
pub(super) use root::{Root, Shown};
pub(super) use text::{ACTORS_LIMIT, Sums, Text};
