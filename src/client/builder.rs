//! From addresses to a client that has spoken to at least one node.

use super::budget::Budget;
use super::link::Settings;
use super::observer::{Observer, Watch};
use super::options::FAR_AWAY;
use super::pool::Pool;
use super::{Client, ExecutionProfile, Inner, RetryBudget};
use crate::error::{Error, Result};
use crate::seal::Keyring;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::time::Instant;

/// The most connections that one client opens to one node.
const CONNECTIONS_LIMIT: usize = 64;
/// How many of a hundred requests may be sent to a second node early, and how many each second in any case.
const SPECULATION_PERCENT: u8 = 10;
const SPECULATIONS_PER_SECOND: u32 = 1;

/// The settings of a client to be; made by [`Client::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: Vec<String>,
    profile: ExecutionProfile,
    session: Option<u64>,
    connections: usize,
    in_flight: usize,
    name: String,
    named: BTreeMap<String, ExecutionProfile>,
    budget: RetryBudget,
    watch: Watch,
    keys: Option<Keyring>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            nodes: Vec::new(),
            profile: ExecutionProfile::default(),
            session: None,
            connections: 1,
            in_flight: 1024,
            name: "client".into(),
            named: BTreeMap::new(),
            budget: RetryBudget::default(),
            watch: Watch::default(),
            keys: None,
        }
    }
}

impl Builder {
    /// Adds nodes: native addresses, `host:port`. Requests about a key go to one of its owners among them, as soon as
    /// it is known who owns what; all others go round robin over those that are up.
    pub fn nodes<I>(mut self, nodes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.nodes.extend(nodes.into_iter().map(Into::into));
        self
    }

    /// The defaults of every request.
    pub fn profile(mut self, profile: ExecutionProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Another set of defaults, for [`Client::with_profile`]. Its attempt timeout is not looked at: connections are shared,
    /// and go by that of [`profile`](Builder::profile).
    pub fn named_profile(mut self, name: impl Into<String>, profile: ExecutionProfile) -> Self {
        self.named.insert(name.into(), profile);
        self
    }

    /// What all requests together may be sent again: beyond it a request ends with the error that it has, told as
    /// [`Error::Overloaded`] unless its outcome is unknown.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Who is told what becomes of requests and connections; [`Counters`](super::Counters) for example.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.watch = Watch(Some(Arc::new(observer)));
        self
    }

    /// The first half of every operation id, instead of a random one. Two clients with one session would
    /// give one id to two writes, and one of these would be lost as a retry of the other: a session
    /// must never be used twice, not even after a restart.
    pub fn session(mut self, session: impl Into<Option<u64>>) -> Self {
        self.session = session.into();
        self
    }

    /// Connections to each node; 1 unless said, for one carries any number of requests at a time.
    pub fn connections(mut self, per_node: usize) -> Self {
        self.connections = per_node;
        self
    }

    /// How many requests may be under way on one connection (1,024 unless said) before further ones
    /// go elsewhere or end as [`Error::Overloaded`].
    pub fn in_flight(mut self, per_connection: usize) -> Self {
        self.in_flight = per_connection;
        self
    }

    /// What the nodes call this client in their logs; at most 64 bytes count.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The cluster's key: what is said to the nodes and what they say is sealed, and no node without it is believed. A cluster with
    /// a key serves nobody else.
    pub fn keys(mut self, keys: impl Into<Option<Keyring>>) -> Self {
        self.keys = keys.into();
        self
    }

    /// Connects; returns when the first node has greeted. Must be called inside a tokio runtime with I/O
    /// and time; the client's connections live and die with that runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`]: no node, or something that is not `host:port`. [`Error::Unreachable`]: no node
    /// greeted within the profile's timeout, or every one refused at once.
    pub async fn build(self) -> Result<Client> {
        if self.nodes.is_empty() {
            return Err(Error::Invalid("no node given: name at least one `host:port`".into()));
        }
        for node in &self.nodes {
            let port = node.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(1..))) {
                return Err(Error::Invalid(format!("node `{node}` is not `host:port`")));
            }
        }
        if !(1..=CONNECTIONS_LIMIT).contains(&self.connections) || self.in_flight == 0 {
            return Err(Error::Invalid(format!(
                "{} connections of {} requests: use 1..={CONNECTIONS_LIMIT} and at least 1",
                self.connections, self.in_flight
            )));
        }
        let unfit = |p: &ExecutionProfile| p.retries.attempts == 0 || p.attempt_timeout.is_zero();
        if unfit(&self.profile) || self.named.values().any(unfit) {
            return Err(Error::Invalid(
                "a profile needs at least one attempt and an attempt timeout above zero".into(),
            ));
        }
        let pool = Pool::open(
            &self.nodes,
            self.connections,
            self.in_flight,
            &Settings {
                address: String::new(),
                name: self.name,
                patience: self.profile.attempt_timeout.min(FAR_AWAY),
                watch: self.watch.clone(),
                keys: self.keys,
            },
        );
        pool.first_greeting(self.profile.timeout).await?;
        let session = self.session.unwrap_or_else(random_session);
        let now = Instant::now();
        let inner = Inner {
            pool,
            named: self.named.into_iter().map(|(name, p)| (name, Arc::new(p))).collect(),
            session,
            sequence: AtomicU64::new(0),
            retries: Budget::new(self.budget.percent, self.budget.per_second, now),
            speculations: Budget::new(SPECULATION_PERCENT, SPECULATIONS_PER_SECOND, now),
            watch: self.watch,
            desk: Arc::default(),
        };
        Ok(Client { inner: Arc::new(inner), profile: Arc::new(self.profile) })
    }
}

/// 64 bits of the operating system's randomness: the keys of std's hash maps come from there, while a
/// clock-seeded generator could be the same in two processes, and then so would be their operation ids.
fn random_session() -> u64 {
    RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()))
}
