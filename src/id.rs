//! The names of things: small, copyable, never confused with one another.
//!
//! A *node id* is random and outlives restarts and changes of address or name. A *lineage* says which
//! life of that node's data this is: a wiped disk, a restored backup or a damaged log begins a new one,
//! and whoever still speaks for the old one is fenced.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:x})"), self.0)
            }
        }
    };
}

random_id! {
    /// A physical node: random, drawn once when its data directory is made.
    NodeId
}
random_id! {
    /// One life of a node's data. An acceptor and a replica are (node id, lineage), never the id alone.
    Lineage
}
random_id! {
    /// A cluster: random, drawn when it is founded. Frames of another cluster are dropped.
    ClusterId
}
random_id! {
    /// A bucket: random, so that dropping and creating it again cannot resurrect its data.
    BucketId
}

/// The version of the agreed placement. It only grows; a request of a lower epoch is refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// One of the Q fixed slices of the hash space.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PartitionId(pub u16);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a bucket does with concurrent values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conflict {
    /// Keep them all until somebody who saw them writes one.
    #[default]
    Siblings,
    /// Keep the one with the latest stamp.
    Lww,
}

/// The name of one item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// The bucket's name.
    pub bucket: String,
    /// The partition key: 1 to 1,024 bytes. Items of one partition key live together.
    pub key: Bytes,
    /// The sort key: up to 1,024 bytes, often none.
    pub sort: Bytes,
}

/// What the values of a typed bucket are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataType {
    /// A number that many count up and down.
    Counter,
    /// Members, each an item of its own.
    Set,
    /// Fields, each an item of its own: counters, registers, small sets, flags.
    Map,
    /// One value, the latest.
    Register,
    /// How many different elements there were, about.
    Hll,
}

impl DataType {
    /// All of them.
    pub const EVERY: [DataType; 5] =
        [DataType::Counter, DataType::Set, DataType::Map, DataType::Register, DataType::Hll];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            DataType::Counter => "counter",
            DataType::Set => "set",
            DataType::Map => "map",
            DataType::Register => "register",
            DataType::Hll => "hll",
        }
    }

    /// The type of this name; `None`: this version knows none.
    pub fn named(name: &str) -> Option<DataType> {
        DataType::EVERY.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
