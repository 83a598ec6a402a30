//! What a node is told by its operator, and who wins when several have spoken.
//!
//! ```text
//!   defaults  <  file (TOML)  <  environment QUORATE_SECTION__KEY  <  flags
//! ```
//!
//! Every setting has one name, `section.key`, in all of them. A name that does not exist is refused and
//! the place where it stands is told: a misspelt limit must not silently be the default.

mod source;
mod units;

pub use source::{ConfigError, Setting};
pub use units::{Addresses, Size, parse_duration, parse_size};

use crate::time::Duration;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Everything a node is told. See `configs/node.toml` for each setting in words.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Who this node is.
    pub node: NodeSection,
    /// Where it listens.
    pub listen: ListenSection,
    /// Which cluster it belongs to.
    pub cluster: ClusterSection,
    /// Its disk.
    pub store: StoreSection,
    /// HTTP.
    pub http: HttpSection,
    /// The Redis protocol.
    pub resp: RespSection,
    /// What it accepts.
    pub limits: LimitsSection,
    /// How long it waits.
    pub timing: TimingSection,
    /// What it keeps for others.
    pub hints: HintsSection,
    /// How it looks for rot.
    pub scrub: ScrubSection,
    /// What it writes to its log.
    pub log: LogSection,
}

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSection {
    /// Unique in the cluster and kept for ever; there is no default. At most 64 bytes.
    pub name: String,
    /// Where its data live.
    pub data_dir: PathBuf,
    /// Its failure domain; empty: none.
    pub zone: String,
    /// Its share of the data relative to others.
    pub weight: u16,
    /// Offer on the dashboard to kill, pause and cut off this node.
    pub enable_chaos: bool,
}

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSection {
    /// UDP gossip and TCP of nodes and clients. Port 0: any free one.
    pub native: SocketAddr,
    /// HTTP. Port 0: any free one.
    pub http: SocketAddr,
    /// The Redis protocol; `None`: it is not spoken. Port 0: any free one.
    #[serde(deserialize_with = "units::address_or_none")]
    pub resp: Option<SocketAddr>,
    /// Syslog, over UDP and TCP; `None`: it is not taken. Port 0: any free one.
    pub syslog: Option<SocketAddr>,
    /// Names beside its addresses by which a browser may ask for the dashboard.
    pub http_names: Addresses,
    /// Origins (`scheme://host:port`) whose pages may read and write over HTTP; none: no other page may.
    pub http_origins: Addresses,
    /// The native address that others reach this node at; `None`: the one it listens on.
    pub advertise: Option<SocketAddr>,
}

/// Which cluster a node belongs to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSection {
    /// Native addresses of members, as `host:port`.
    pub join: Addresses,
    /// Found a cluster, on the first start only.
    pub bootstrap: bool,
    /// Come in without places, to stand by: `replace` or `ring commit` gives it some.
    pub spare: bool,
    /// Q, when founding: a power of two up to 65,536.
    pub partitions: u32,
    /// The largest N of any bucket, when founding.
    pub replicas: u8,
    /// The file with the cluster's key: what nodes and clients say to each other is sealed, and who has not the key is not
    /// listened to. `None`: everybody is.
    pub key_file: Option<PathBuf>,
    /// Listen beyond loopback although what is said there is neither authenticated nor encrypted.
    pub insecure: bool,
}

/// How a node uses its disk.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// When an acknowledged write is on the disk.
    pub durability: Durability,
    /// The size at which the log begins a new segment, in bytes.
    pub segment_bytes: Size,
    /// What the index may keep in memory, in bytes (it takes about 2.5 times as much).
    pub cache_bytes: Size,
    /// How much of what was read or written lately is kept as it is worked with, in bytes.
    pub record_cache_bytes: Size,
    /// Writes are refused when less than this is free on the disk, in bytes.
    pub reserve_bytes: Size,
}

/// The Redis protocol.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RespSection {
    /// What clients say in `AUTH`; empty: nothing is asked.
    pub password: String,
}

/// HTTP.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSection {
    /// What clients send as `Authorization: Bearer TOKEN`, and people as the password that their browser asks for; empty: nothing
    /// is asked.
    pub token: String,
}

/// When an acknowledged write is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Before it is acknowledged.
    #[default]
    Sync,
    /// At most so long after it was acknowledged: a power cut may take what came in between.
    Interval(Duration),
}

/// What a node accepts. What is beyond a limit is refused, never queued without bound.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// The largest value, in bytes.
    pub value_bytes: Size,
    /// The most requests that this node coordinates at a time.
    pub requests_in_flight: usize,
    /// The most native connections at a time, of nodes and clients.
    pub connections: usize,
    /// The most HTTP connections at a time.
    pub http_connections: usize,
    /// The most connections of Redis clients at a time.
    pub resp_connections: usize,
    /// The most connections that bring syslog at a time.
    pub syslog_connections: usize,
    /// The most requests of one native connection at a time; beyond, it is not read.
    pub connection_in_flight: usize,
    /// What one client may leave unread before it is not read any more, in bytes.
    pub connection_unread_bytes: Size,
    /// What may wait for one peer before frames to it are dropped, in bytes.
    pub peer_buffer_bytes: Size,
}

/// How long a node waits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimingSection {
    /// How long a replica may take before another one is asked as well.
    #[serde(deserialize_with = "units::duration")]
    pub attempt: Duration,
    /// How long a request may take when the client does not say.
    #[serde(deserialize_with = "units::duration")]
    pub request: Duration,
    /// The longest that a client may ask for.
    #[serde(deserialize_with = "units::duration")]
    pub request_max: Duration,
    /// How long a peer that did not answer is left alone.
    #[serde(deserialize_with = "units::duration")]
    pub breaker: Duration,
    /// How long between two comparisons of a whole partition with the other owners.
    #[serde(deserialize_with = "units::duration")]
    pub sync: Duration,
    /// How long a member may be dead before others take its places; zero: for ever.
    #[serde(deserialize_with = "units::duration_or_never")]
    pub down_out_after: Duration,
    /// How long a connection may be silent before its first frame, or within one.
    #[serde(deserialize_with = "units::duration")]
    pub stall: Duration,
    /// How long a connection to a peer may take to be made.
    #[serde(deserialize_with = "units::duration")]
    pub connect: Duration,
    /// How long an orderly stop may take.
    #[serde(deserialize_with = "units::duration")]
    pub stop: Duration,
}

/// What a node keeps for others that are away.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HintsSection {
    /// The most hints; beyond, whole partitions are noted in their place. The data stay.
    pub max_entries: u64,
    /// About how many items are kept for others at most; beyond, the node stands in for no more.
    pub max_items: u64,
}

impl Default for HintsSection {
    fn default() -> Self {
        HintsSection { max_entries: 1 << 18, max_items: 1 << 20 }
    }
}

/// How a node looks for what has rotted on its disk.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScrubSection {
    /// How long between two times that everything is read once more; zero: never unasked.
    #[serde(deserialize_with = "units::duration")]
    pub every: Duration,
    /// How many bytes a second are read at most.
    pub bytes_per_second: Size,
}

/// What a node writes to its log.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a list such as `info,quorate::server=debug`.
    pub level: String,
}

impl Default for NodeSection {
    fn default() -> Self {
        NodeSection {
            name: String::new(),
            data_dir: "data".into(),
            zone: String::new(),
            weight: 1,
            enable_chaos: false,
        }
    }
}

impl Default for ListenSection {
    fn default() -> Self {
        ListenSection {
            native: ([127, 0, 0, 1], 7610).into(),
            http: ([127, 0, 0, 1], 7611).into(),
            resp: Some(([127, 0, 0, 1], 7612).into()),
            syslog: None,
            http_names: Addresses::default(),
            http_origins: Addresses::default(),
            advertise: None,
        }
    }
}

impl Default for ClusterSection {
    fn default() -> Self {
        ClusterSection {
            join: Addresses::default(),
            bootstrap: false,
            spare: false,
            partitions: 1024,
            replicas: 3,
            key_file: None,
            insecure: false,
        }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        StoreSection {
            durability: Durability::Sync,
            segment_bytes: Size(64 << 20),
            cache_bytes: Size(64 << 20),
            record_cache_bytes: Size(64 << 20),
            reserve_bytes: Size(64 << 20),
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        LimitsSection {
            value_bytes: Size(1 << 20),
            requests_in_flight: 16_384,
            connections: 4_096,
            http_connections: 1_024,
            resp_connections: 1_024,
            syslog_connections: 256,
            connection_in_flight: 4_096,
            connection_unread_bytes: Size(16 << 20),
            peer_buffer_bytes: Size(32 << 20),
        }
    }
}

impl Default for TimingSection {
    fn default() -> Self {
        TimingSection {
            attempt: Duration::from_millis(300),
            request: Duration::from_secs(5),
            request_max: Duration::from_secs(60),
            breaker: Duration::from_secs(1),
            sync: Duration::from_secs(30),
            down_out_after: Duration::from_secs(600),
            stall: Duration::from_secs(4),
            connect: Duration::from_secs(1),
            stop: Duration::from_secs(10),
        }
    }
}

impl Default for ScrubSection {
    fn default() -> Self {
        ScrubSection { every: Duration::from_secs(7 * 86_400), bytes_per_second: Size(4 << 20) }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        LogSection { level: "info".into() }
    }
}

/// Whether a browser would name itself so.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(fits))
}

impl ServerConfig {
    /// Puts together what file, environment and flags say, and checks it.
    ///
    /// - `environment`: all variables; those not of the form `QUORATE_SECTION__KEY` are ignored.
    /// - `flags`: beat everything else.
    ///
    /// # Errors
    /// [`ConfigError`], with the file and line, the variable or the flag that is wrong.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Setting],
    ) -> Result<ServerConfig, ConfigError> {
        let config = source::load(file, environment, flags)?;
        config.check()?;
        Ok(config)
    }

    /// Whether only this machine reaches it.
    pub fn is_on_loopback(&self) -> bool {
        let listen = &self.listen;
        let all = [Some(listen.native), Some(listen.http), listen.resp, listen.syslog];
        all.iter().flatten().all(|address| address.ip().is_loopback())
    }

    /// Checks what no single setting can be wrong about by itself.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`], with what to change.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: String| Err(ConfigError::Wrong(text));
        let name = &self.node.name;
        if name.is_empty() {
            return wrong(
                "the node has no name: give `--name`, QUORATE_NODE__NAME or `name` in [node]"
                    .into(),
            );
        }
        if name.len() > 64 || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return wrong(format!("node.name `{name}`: use 1 to 64 visible ASCII characters"));
        }
        if self.cluster.bootstrap && !self.cluster.join.0.is_empty() {
            return wrong(
                "cluster.bootstrap founds a cluster and cluster.join enters one: choose one of the two"
                    .into(),
            );
        }
        if !self.cluster.partitions.is_power_of_two() || self.cluster.partitions > 65_536 {
            return wrong(format!(
                "cluster.partitions = {}: use a power of two up to 65536",
                self.cluster.partitions
            ));
        }
        if !(1..=16).contains(&self.cluster.replicas) {
            return wrong(format!("cluster.replicas = {}: use 1 to 16", self.cluster.replicas));
        }
        if self.node.weight == 0 {
            return wrong("node.weight = 0: use 1 or more".into());
        }
        let listen = [
            ("native", Some(self.listen.native)),
            ("http", Some(self.listen.http)),
            ("resp", self.listen.resp),
            ("syslog", self.listen.syslog),
        ];
        let listen = listen.iter().filter_map(|(name, address)| Some((*name, (*address)?)));
        for (name, address) in listen.clone() {
            // A password keeps strangers out of a port, though not from listening on the way.
            let (is_closed, closing) = match name {
                "native" => {
                    (self.cluster.key_file.is_some(), "give it the cluster's key (`--key-file`)")
                }
                "http" => (!self.http.token.is_empty(), "set http.token"),
                "resp" => (!self.resp.password.is_empty(), "set resp.password"),
                _ => (false, "let a relay on this machine send to it"),
            };
            if !address.ip().is_loopback() && !self.cluster.insecure && !is_closed {
                return wrong(format!(
                    "listen.{name} = {address} is reachable from elsewhere, and open to everybody: {closing}, listen \
                     on loopback, or say `--insecure` where the network itself is trusted"
                ));
            }
        }
        let advertised = self.listen.advertise.unwrap_or(self.listen.native);
        if advertised.ip().is_unspecified() {
            return wrong(format!(
                "others cannot reach this node at {advertised}: set listen.advertise (`--advertise`)"
            ));
        }
        for (name, address) in listen.clone().filter(|(_, address)| address.port() != 0) {
            let mut others = listen.clone().take_while(|(other, _)| *other != name);
            if let Some((other, _)) = others.find(|(_, other)| *other == address) {
                return wrong(format!(
                    "listen.{other} and listen.{name} are both {address}: choose two ports"
                ));
            }
        }
        if let Some(wrong_one) = self.listen.http_origins.0.iter().find(|o| !is_origin(o)) {
            return wrong(format!(
                "listen.http_origins: `{wrong_one}` is no origin: use http:// or https:// and host:port, as the \
                 browser shows it, without a path"
            ));
        }
        let largest = 16 << 20;
        if self.limits.value_bytes.0 == 0 || self.limits.value_bytes.0 > largest {
            return wrong(format!(
                "limits.value_bytes = {}: use 1 to {largest}",
                self.limits.value_bytes.0
            ));
        }
        for (name, value) in [
            ("requests_in_flight", self.limits.requests_in_flight),
            ("connections", self.limits.connections),
            ("http_connections", self.limits.http_connections),
            ("resp_connections", self.limits.resp_connections),
            ("syslog_connections", self.limits.syslog_connections),
            ("connection_in_flight", self.limits.connection_in_flight),
        ] {
            if value == 0 {
                return wrong(format!("limits.{name} = 0 would refuse everything: use 1 or more"));
            }
        }
        for (name, value) in [
            ("attempt", self.timing.attempt),
            ("request", self.timing.request),
            ("request_max", self.timing.request_max),
            ("stall", self.timing.stall),
            ("connect", self.timing.connect),
        ] {
            if value.is_zero() {
                return wrong(format!("timing.{name} = 0 would fail everything: use 1ms or more"));
            }
        }
        if self.scrub.bytes_per_second.0 == 0 {
            return wrong(
                "scrub.bytes_per_second = 0 would never end: to have none, set scrub.every = \"0s\""
                    .into(),
            );
        }
        if self.timing.request > self.timing.request_max {
            return wrong(
                "timing.request is longer than timing.request_max: raise the latter".into(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
