//! What a directory remembers of the node that it belongs to.
//!
//! ```text
//!   meta/identity    name, id, lineage, asked?, admitted?      drawn once; a new lineage after damage
//!   meta/agreement   the newest value of the chain             replaced by a higher one
//!   meta/acceptor    what this node promised and accepted      before any promise leaves
//!   meta/witnesses   how far it saw the others                 about once a second
//!   meta/trial       how it speaks of itself until it is confirmed, see `claims`
//!   meta/addresses   where it last met the others              so that it finds them without its config
//! ```
//!
//! Everything is one record of MessagePack each, in the body, behind a format number.

use crate::id::{Lineage, NodeId};
use crate::message::{decode, encode_into};
use crate::store::{Change, Store, StoreError, key};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The newest form of these records that this build reads, and the one it writes.
pub(super) const FORMAT: u32 = 1;

/// Why a directory cannot be opened as this node. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The directory belongs to a node of another name.
    #[error(
        "invalid: this directory belongs to node `{found}`, not `{configured}`; mend the name or the directory"
    )]
    Name {
        /// The name that the directory was made for.
        found: String,
        /// The name in the configuration.
        configured: String,
    },
    /// The directory was written by a newer version.
    #[error(
        "invalid: this directory has format {found}, this version reads up to {known}; use the newer version"
    )]
    Format {
        /// The directory's format.
        found: u32,
        /// The newest that this build reads.
        known: u32,
    },
    /// The configuration names nothing that others could reach or call by name.
    #[error("invalid: {0}")]
    Config(String),
    /// A record of the node's own does not parse. The data may be fine; the directory is not to be trusted
    /// as this node: set it aside and join afresh.
    #[error("internal: the record `{0}` of this directory does not parse; set the directory aside")]
    Damaged(&'static str),
    /// The store could not be read.
    #[error("internal: {0}")]
    Store(#[from] StoreError),
}

/// Who this directory is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Its name, for ever.
    pub name: String,
    /// Its id; a newcomer under a member's name adopts that member's.
    pub id: NodeId,
    /// The life of its data.
    pub lineage: Lineage,
    /// It has asked a cluster to let it in, so one may know it: it never founds another.
    pub asked: bool,
    /// A value of the chain that it installed named this lineage. If a later one names another, this
    /// directory is an old life.
    pub admitted: bool,
    /// Its incarnation in gossip, when it last started or contradicted.
    pub incarnation: u64,
}

impl Identity {
    /// Somebody new.
    pub fn draw(name: &str, rng: &mut fastrand::Rng) -> Identity {
        Identity {
            name: name.into(),
            id: NodeId(rng.u64(1..)),
            lineage: Lineage(rng.u64(1..)),
            asked: false,
            admitted: false,
            incarnation: 0,
        }
    }

    /// The batch entry that keeps it.
    pub fn put(&self) -> Change {
        put("identity", self)
    }
}

/// The batch entry that keeps a record of this node's own.
pub(super) fn put<T: Serialize>(name: &str, record: &T) -> Change {
    let mut body = FORMAT.to_le_bytes().to_vec();
    encode_into(&mut body, record);
    Change::Put { key: key::meta(name), head: bytes::Bytes::new(), body: body.into() }
}

/// Reads a record of this node's own.
pub(super) fn get<T: DeserializeOwned>(
    store: &dyn Store,
    name: &'static str,
) -> Result<Option<T>, OpenError> {
    let Some(entry) = store.get(&key::meta(name))? else { return Ok(None) };
    own_record(name, &entry.body).map(Some)
}

/// The record in these bytes.
pub fn own_record<T: DeserializeOwned>(name: &'static str, bytes: &[u8]) -> Result<T, OpenError> {
    let Some((format, body)) = bytes.split_first_chunk::<4>() else {
        return Err(OpenError::Damaged(name));
    };
    let found = u32::from_le_bytes(*format);
    if found > FORMAT {
        return Err(OpenError::Format { found, known: FORMAT });
    }
    decode(body).map_err(|_| OpenError::Damaged(name))
}
