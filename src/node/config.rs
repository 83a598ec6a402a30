//! What a node is told when it opens, and the limits it keeps.

use crate::time::Duration;
use std::net::SocketAddr;

/// What a driver tells a node when it opens.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name: unique in the cluster, kept for ever.
    pub name: String,
    /// Its failure domain; empty: none.
    pub zone: String,
    /// Its share of the data, relative to others; 1 is usual.
    pub weight: u16,
    /// The native address that others reach it at, TCP and UDP.
    pub address: SocketAddr,
    /// Where its HTTP interface is reached, for those who look.
    pub http: Option<SocketAddr>,
    /// Found a cluster, if this directory has never been part of one.
    pub bootstrap: bool,
    /// Members to join through, if this directory has never been part of a cluster, and to find the
    /// others again after everybody moved.
    pub join: Vec<SocketAddr>,
    /// Stand by, without places, when this node is new to the cluster.
    pub spare: bool,
    /// Q, when founding: a power of two up to 65,536.
    pub partitions: u32,
    /// The largest N of any bucket, when founding.
    pub replicas: u8,
    /// What it accepts.
    pub limits: Limits,
    /// How long it waits.
    pub timing: Timing,
}

/// Sizes and counts beyond which a node says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest value, in bytes.
    pub value_bytes: usize,
    /// The most requests that one node coordinates at a time; more are `overloaded`.
    pub requests_in_flight: usize,
    /// How many bytes a second are read at most when everything is read once more.
    pub scrub_bytes_per_second: u64,
    /// How much of what was read or written lately is kept decoded, in bytes.
    pub record_cache_bytes: usize,
    /// The most hints; beyond, whole partitions are noted in their place.
    pub hint_entries: u64,
    /// About how many items are kept for others at most; beyond, this node stands in for no more.
    pub hint_items: u64,
}

/// How many of the largest values may be under way at a time.
const VALUES_IN_FLIGHT: usize = 256;
/// What counts as a large value at least, in bytes.
const LARGE_VALUE_BYTES: usize = 64 << 10;

impl Limits {
    /// How many bytes of values the requests that one node coordinates may hold; what would be above is
    /// `overloaded`. 256 MiB, as long as a value has at most 1 MiB.
    pub fn bytes_in_flight(&self) -> usize {
        self.value_bytes.max(LARGE_VALUE_BYTES).saturating_mul(VALUES_IN_FLIGHT)
    }
}

/// How long a node waits, and how often it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a replica may take before another one is asked as well.
    pub attempt: Duration,
    /// How long a request may take when the client does not say.
    pub request: Duration,
    /// The longest that a client may ask for.
    pub request_max: Duration,
    /// How long a peer that did not answer is left alone before it is tried again.
    pub breaker: Duration,
    /// How long between two comparisons of a whole partition with the other owners.
    pub sync: Duration,
    /// How long between two times that everything that lies here is read once more; zero: never unasked.
    pub scrub: Duration,
    /// How long a member may be dead before its places go to others; zero: for ever.
    pub down_out_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            value_bytes: 1 << 20,
            requests_in_flight: 16_384,
            scrub_bytes_per_second: 4 << 20,
            record_cache_bytes: 64 << 20,
            hint_entries: 1 << 18,
            hint_items: 1 << 20,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            attempt: Duration::from_millis(300),
            request: Duration::from_secs(5),
            request_max: Duration::from_secs(60),
            breaker: Duration::from_secs(1),
            sync: Duration::from_secs(30),
            scrub: Duration::from_secs(7 * 86_400),
            down_out_after: Duration::from_secs(600),
        }
    }
}

impl Config {
    /// A node of this name that listens there; everything else as usual.
    pub fn new(name: &str, address: SocketAddr) -> Config {
        Config {
            name: name.into(),
            zone: String::new(),
            weight: 1,
            spare: false,
            address,
            http: None,
            bootstrap: false,
            join: Vec::new(),
            partitions: 1024,
            replicas: 3,
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}
