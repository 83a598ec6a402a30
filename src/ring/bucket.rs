//! Buckets: namespaces with settings, and the registry of those that exist.

use crate::error::Error;
use crate::id::BucketId;
use crate::version::Conflict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest name, in bytes.
const NAME_LIMIT: usize = 64;

/// A namespace. `n` and `conflict` never change; the id is random, so that dropping a bucket and creating
/// it again cannot resurrect what was in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Random.
    pub id: BucketId,
    /// 1 to 64 bytes of `a-z 0-9 . _ -`.
    pub name: String,
    /// How many owners hold each item.
    pub n: u8,
    /// The default R; a majority where open.
    pub r: Option<u8>,
    /// The default W; a majority where open.
    pub w: Option<u8>,
    /// What becomes of concurrent values.
    pub conflict: Conflict,
}

impl Bucket {
    /// Whether the other was asked for with the same settings.
    pub fn same_settings(&self, other: &Bucket) -> bool {
        let settings = |b: &Bucket| (b.n, b.r, b.w, b.conflict);
        settings(self) == settings(other)
    }
}

/// Every bucket, by name. Its version grows apart from the placement epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// Grows with every change.
    pub version: u64,
    /// By name.
    pub buckets: BTreeMap<String, Bucket>,
}

/// Refuses names that a path, a shell or a person would stumble over.
///
/// # Errors
/// [`Error::Invalid`]; nothing changed.
pub fn check_bucket_name(name: &str) -> Result<(), Error> {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    match name.len() {
        1..=NAME_LIMIT if name.bytes().all(fine) => Ok(()),
        _ => Err(Error::Invalid(format!("bucket name {name:?}: use 1 to 64 of a-z 0-9 . _ -"))),
    }
}
