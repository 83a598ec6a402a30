//! What can be measured: a failure detector without I/O, ours or another one, on the same network.
//!
//! ```text
//!   datagram · stream · timer ─► Detector ─► said: datagrams, streams, opinions
//! ```

use crate::id::{Lineage, NodeId};
use crate::swim::{Config, Identity, Incarnation, Output, State, Swim};
use crate::time::Instant;
use std::net::{Ipv4Addr, SocketAddr};
use xxhash_rust::xxh3::xxh3_64;

/// Where all of them listen; they differ by address.
const PORT: u16 = 7610;
/// The address before that of member 0.
const NETWORK: u32 = 0x0a00_0000;

/// What a member holds another one for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opinion {
    /// It never heard of it.
    #[default]
    Unknown,
    /// It takes part.
    Alive,
    /// It did not answer somebody.
    Suspect,
    /// It is given up.
    Dead,
}

/// What a detector wants sent, or thinks now. Members go by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Something that may get lost.
    Datagram {
        /// To whom.
        to: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// Something that arrives as long as both are there.
    Stream {
        /// To whom.
        to: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// A change of mind.
    Opinion {
        /// About whom.
        of: usize,
        /// What it holds it for now.
        now: Opinion,
    },
}

/// A failure detector that the harness can drive. The members of a run are numbered from 0; a number is never
/// given out twice.
pub trait Detector: Sized {
    /// What a driver wraps around each datagram, in bytes.
    const ENVELOPE: usize;

    /// Member `me` of a cluster of `size` that has been together for long.
    fn settled(me: usize, size: usize, seed: u64, now: Instant) -> Self;

    /// One who joins a cluster of about `size`, of which it has these addresses.
    fn newcomer(me: usize, contacts: &[usize], size: usize, seed: u64, now: Instant) -> Self;

    /// A datagram came.
    fn datagram(&mut self, now: Instant, from: usize, bytes: &[u8]);

    /// A stream came.
    fn stream(&mut self, now: Instant, from: usize, bytes: &[u8]);

    /// Does what is due.
    fn timer(&mut self, now: Instant);

    /// When the next thing is due.
    fn due(&self) -> Option<Instant>;

    /// The next thing that it has to say.
    fn said(&mut self) -> Option<Said>;
}

/// Our own: the production machine with its default settings.
pub struct Ours {
    swim: Swim,
    /// Answers to streams.
    answers: Vec<Said>,
}

fn address(member: usize) -> SocketAddr {
    (Ipv4Addr::from(NETWORK + 1 + member as u32), PORT).into()
}

fn number(address: SocketAddr) -> Option<usize> {
    let SocketAddr::V4(address) = address else { return None };
    let number = u32::from(*address.ip()).checked_sub(NETWORK + 1)?;
    usize::try_from(number).ok()
}

/// As long on the wire as those of real nodes: random ids, a name, a zone, an HTTP address.
fn identity(member: usize) -> Identity {
    let id = |salt: u8| xxh3_64(&[&(member as u64).to_le_bytes()[..], &[salt]].concat()).max(1);
    Identity {
        id: NodeId(id(0)),
        lineage: Lineage(id(1)),
        name: format!("n{}", member + 1),
        zone: format!("z{}", member % 3),
        address: address(member),
        http: Some(SocketAddr::new(address(member).ip(), PORT + 1)),
    }
}

impl Ours {
    fn alone(me: usize, seed: u64, now: Instant) -> Ours {
        let rng = fastrand::Rng::with_seed(seed);
        let swim = Swim::new(Config::default(), identity(me), Incarnation::default(), rng, now);
        Ours { swim, answers: Vec::new() }
    }
}

impl Detector for Ours {
    // As `node/topology/envelope.rs` has it: magic, version, cluster id, checksum.
    const ENVELOPE: usize = 20;

    fn settled(me: usize, size: usize, seed: u64, now: Instant) -> Ours {
        let mut ours = Ours::alone(me, seed, now);
        (0..size).for_each(|other| ours.swim.acquaint(now, identity(other)));
        ours
    }

    fn newcomer(me: usize, contacts: &[usize], _size: usize, seed: u64, now: Instant) -> Ours {
        let mut ours = Ours::alone(me, seed, now);
        let seeds: Vec<SocketAddr> = contacts.iter().map(|other| address(*other)).collect();
        ours.swim.join(now, &seeds);
        ours
    }

    fn datagram(&mut self, now: Instant, from: usize, bytes: &[u8]) {
        self.swim.handle_datagram(now, address(from), bytes);
    }

    fn stream(&mut self, now: Instant, from: usize, bytes: &[u8]) {
        if let Some(bytes) = self.swim.handle_push_pull(now, bytes) {
            self.answers.push(Said::Stream { to: from, bytes });
        }
    }

    fn timer(&mut self, now: Instant) {
        self.swim.handle_timeout(now);
    }

    fn due(&self) -> Option<Instant> {
        self.swim.poll_timeout()
    }

    fn said(&mut self) -> Option<Said> {
        if let Some(answer) = self.answers.pop() {
            return Some(answer);
        }
        loop {
            let said = match self.swim.poll_output()? {
                Output::Datagram { to, bytes } => number(to).map(|to| Said::Datagram { to, bytes }),
                Output::PushPull { to, bytes } => number(to).map(|to| Said::Stream { to, bytes }),
                Output::Changed { member, to, .. } => self
                    .swim
                    .member(member)
                    .and_then(|member| number(member.identity.address))
                    .map(|of| Said::Opinion { of, now: opinion(to) }),
                _ => None,
            };
            if said.is_some() {
                return said;
            }
        }
    }
}

fn opinion(state: State) -> Opinion {
    match state {
        State::Alive => Opinion::Alive,
        State::Suspect => Opinion::Suspect,
        State::Dead | State::Left => Opinion::Dead,
    }
}
