//! foca, another SWIM without I/O, on the same network as ours: the same delays, loss, deaths and joins.
//!
//! What the suite runs is small. The tables of `docs/scale.md`:
//!
//! ```sh
//! QUORATE_FOCA=5,50,200 cargo test --release --test it foca -- --nocapture
//! ```
//!
//! foca runs with its own settings for a local network, which are memberlist's, as ours are. It has no dynamic
//! suspicion and no local health; a member that was given up wrongly comes back by itself, under a new identity.

use bytes::{Buf, BufMut};
use foca::{AccumulatingRuntime, Codec, Foca, Header, Member, NoCustomBroadcast};
use foca::{OwnedNotification, Timer};
use quorate::sim::scale::{Calm, Changes, Detector, Opinion, Ours, Said, Spread, calm, changes};
use quorate::time::{Agenda, Instant};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

/// A member as foca knows it: where it is, and how often it came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Id {
    address: SocketAddr,
    life: u32,
}

impl Id {
    fn of(member: usize) -> Id {
        Id { address: (Ipv4Addr::from(member as u32), 7610).into(), life: 0 }
    }

    fn number(self) -> usize {
        match self.address {
            SocketAddr::V4(address) => u32::from(*address.ip()) as usize,
            SocketAddr::V6(_) => unreachable!("all are made above"),
        }
    }
}

impl foca::Identity for Id {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Id> {
        Some(Id { life: self.life + 1, ..*self })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Id) -> bool {
        self.life > adversary.life
    }
}

/// Our own encoding, so that bytes can be compared.
struct MessagePack;

fn put(value: &impl Serialize, mut buffer: impl BufMut) -> io::Result<()> {
    let bytes = rmp_serde::to_vec(value).map_err(io::Error::other)?;
    if buffer.remaining_mut() < bytes.len() {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    buffer.put_slice(&bytes);
    Ok(())
}

fn take<T: DeserializeOwned>(mut buffer: impl Buf) -> io::Result<T> {
    let mut rest = buffer.chunk();
    let value = rmp_serde::from_read(&mut rest).map_err(io::Error::other)?;
    let left = rest.len();
    buffer.advance(buffer.remaining() - left);
    Ok(value)
}

impl Codec<Id> for MessagePack {
    type Error = io::Error;

    fn encode_header(&mut self, header: &Header<Id>, buffer: impl BufMut) -> io::Result<()> {
        put(header, buffer)
    }

    fn decode_header(&mut self, buffer: impl Buf) -> io::Result<Header<Id>> {
        take(buffer)
    }

    fn encode_member(&mut self, member: &Member<Id>, buffer: impl BufMut) -> io::Result<()> {
        put(member, buffer)
    }

    fn decode_member(&mut self, buffer: impl Buf) -> io::Result<Member<Id>> {
        take(buffer)
    }
}

/// foca, as the harness drives it.
struct Theirs {
    foca: Foca<Id, MessagePack, SmallRng, NoCustomBroadcast>,
    runtime: AccumulatingRuntime<Id>,
    timers: Agenda<Timer<Id>>,
    said: VecDeque<Said>,
}

impl Theirs {
    fn alone(me: usize, size: usize, seed: u64) -> Theirs {
        let size = NonZeroU32::new(size as u32).expect("a cluster of somebody");
        let config = foca::Config::new_lan(size);
        let rng = SmallRng::seed_from_u64(seed);
        Theirs {
            foca: Foca::new(Id::of(me), config, rng, MessagePack),
            runtime: AccumulatingRuntime::new(),
            timers: Agenda::default(),
            said: VecDeque::new(),
        }
    }

    /// Takes what the runtime has gathered.
    fn gather(&mut self, now: Instant) {
        while let Some((to, bytes)) = self.runtime.to_send() {
            self.said.push_back(Said::Datagram { to: to.number(), bytes: bytes.to_vec() });
        }
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.timers.add(now + after, timer);
        }
        while let Some(notification) = self.runtime.to_notify() {
            let (of, now) = match notification {
                OwnedNotification::MemberUp(id) => (id.number(), Opinion::Alive),
                OwnedNotification::MemberDown(id) => (id.number(), Opinion::Dead),
                _ => continue,
            };
            self.said.push_back(Said::Opinion { of, now });
        }
    }
}

impl Detector for Theirs {
    const ENVELOPE: usize = 0;

    fn settled(me: usize, size: usize, seed: u64, now: Instant) -> Theirs {
        let mut theirs = Theirs::alone(me, size, seed);
        let others = (0..size).filter(|other| *other != me).map(|m| Member::alive(Id::of(m)));
        theirs.foca.apply_many(others, false, &mut theirs.runtime).expect("nothing is encoded");
        theirs.gather(now);
        theirs
    }

    fn newcomer(me: usize, contacts: &[usize], size: usize, seed: u64, now: Instant) -> Theirs {
        let mut theirs = Theirs::alone(me, size, seed);
        for contact in contacts {
            let announced = theirs.foca.announce(Id::of(*contact), &mut theirs.runtime);
            announced.expect("an announcement fits into a packet");
        }
        theirs.gather(now);
        theirs
    }

    fn datagram(&mut self, now: Instant, _from: usize, bytes: &[u8]) {
        // An error is foca's way to say that it ignored a packet, as one from a member that it gave up.
        self.foca.handle_data(bytes, &mut self.runtime).ok();
        self.gather(now);
    }

    fn stream(&mut self, _now: Instant, _from: usize, _bytes: &[u8]) {
        unreachable!("foca has no streams");
    }

    fn timer(&mut self, now: Instant) {
        while let Some((_, timer)) = self.timers.pop_by(now) {
            self.foca
                .handle_timer(timer, &mut self.runtime)
                .expect("timers come when they are due");
            self.gather(now);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.timers.next_at()
    }

    fn said(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}

/// Deaths in several clusters of one size, and calms at several rates of loss.
fn measure<D: Detector>(size: usize, deaths: usize, seconds: u64) -> (Changes, Vec<Calm>) {
    let each = (size / 10).clamp(1, deaths.min(4));
    let mut all = Changes::default();
    for seed in 1..=deaths.div_ceil(each) as u64 {
        all.absorb(&changes::<D>(seed, size, 0, each, || {}));
    }
    let calms = [0, 50, 200].map(|loss| calm::<D>(1, size, loss, seconds, || {}));
    (all, calms.into())
}

fn tell(name: &str, size: usize, (changes, calms): &(Changes, Vec<Calm>)) {
    let spread = |times| {
        let Spread { median, most } = Spread::of(times);
        format!("{:.1}, {:.1}", median.as_secs_f64(), most.as_secs_f64())
    };
    let (first, all) = (spread(&changes.first), spread(&changes.all));
    let (known, deaths) = (spread(&changes.joins), changes.all.len());
    print!("| {size} | {name} | {deaths} | {first} | {all} | {known} ");
    for calm in calms {
        let hours = calm.node_seconds / 3_600.0;
        print!("| {:.3} ", calm.mistakes.death_events as f64 / hours);
    }
    let calm = calms[0];
    let bytes = calm.traffic.bytes() as f64 / calm.node_seconds;
    println!("| {bytes:.0} |");
}

#[test]
fn foca_on_the_same_network_is_no_faster_by_much_and_buries_more_of_the_living() {
    let sizes = std::env::var("QUORATE_FOCA").ok();
    let (sizes, deaths, node_seconds): (Vec<usize>, usize, u64) = match &sizes {
        Some(sizes) => {
            let sizes = sizes.split(',').map(|size| size.parse().expect("a size"));
            (sizes.collect(), 40, 180_000)
        }
        None => (vec![5, 50], 2, 3_000),
    };
    println!(
        "members, detector, deaths, first, all, join known, false deaths at 0, 5, 20 %, idle bytes/s"
    );
    for size in sizes {
        let seconds = (node_seconds / size as u64).min(7_200).next_multiple_of(60);
        let (ours, theirs) =
            (measure::<Ours>(size, deaths, seconds), measure::<Theirs>(size, deaths, seconds));
        tell("quorate", size, &ours);
        tell("foca", size, &theirs);
        let median = |times| Spread::of(times).median.as_secs_f64();
        let (us, them) = (median(&ours.0.all), median(&theirs.0.all));
        assert!(us <= 1.5 * them + 1.0, "{size} members: {us} s against {them} s");
        for (us, them) in ours.1.iter().zip(&theirs.1) {
            let (us, them) = (us.mistakes.death_events, them.mistakes.death_events);
            assert!(us <= them, "{size} members: {us} false deaths against {them}");
        }
    }
}
