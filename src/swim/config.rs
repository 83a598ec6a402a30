//! The knobs of the protocol, with memberlist's values for a local network as defaults.
//!
//! ```text
//!   |<-------- probe_interval 1 s -------->|
//!   ping ──► (probe_timeout 500 ms) ping-req ──► … no ack by the end: an accusation
//!   gossip every 200 ms to 3 peers · push-pull every 30 s · a look at the dead every 10 s
//! ```

use crate::time::Duration;

/// Settings of one [`Swim`](super::Swim) machine. All nodes of a cluster should agree on them.
#[derive(Clone, Debug)]
pub struct Config {
    /// One protocol period: one member is probed in each. Stretched by the local health.
    pub probe_interval: Duration,
    /// How long a direct ping may take before others are asked to ping. Stretched by the local health.
    pub probe_timeout: Duration,
    /// How many members are asked to ping in our place (k).
    pub indirect_probes: usize,
    /// The least time of suspicion, in protocol periods per decade of members. Also says how many
    /// independent accusers shorten a suspicion to that least time: two less than this, at most three.
    pub suspicion_multiplier: u32,
    /// The longest suspicion, as a multiple of the least.
    pub suspicion_max_multiplier: u32,
    /// How often rumors are pushed.
    pub gossip_interval: Duration,
    /// To how many members each time.
    pub gossip_fanout: usize,
    /// How long after its death a member still gets gossip, so that it can refute.
    pub gossip_to_the_dead: Duration,
    /// λ: each rumor is sent λ·⌈log10(n+1)⌉ times by each member.
    pub retransmit_multiplier: u32,
    /// How often the whole state is exchanged with one member, over TCP. Stretched above 32 members.
    pub push_pull_interval: Duration,
    /// How often one dead member, or a seed that nobody has answered for, is tried again.
    pub reconnect_interval: Duration,
    /// How often seeds are tried while nobody else is known to be alive.
    pub join_interval: Duration,
    /// Changes of our facts are announced at most this often.
    pub facts_interval: Duration,
    /// A timer that fires later than this says that the machine stood still: nobody is accused for
    /// what happened, or did not, meanwhile.
    pub late: Duration,
    /// The largest datagram that this machine makes, in bytes, without the envelope around it.
    pub max_packet: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_probes: 3,
            suspicion_multiplier: 4,
            suspicion_max_multiplier: 6,
            gossip_interval: Duration::from_millis(200),
            gossip_fanout: 3,
            gossip_to_the_dead: Duration::from_secs(30),
            retransmit_multiplier: 4,
            push_pull_interval: Duration::from_secs(30),
            reconnect_interval: Duration::from_secs(10),
            join_interval: Duration::from_secs(1),
            facts_interval: Duration::from_secs(1),
            late: Duration::from_millis(500),
            max_packet: 1_160,
        }
    }
}
