//! Who holds what, who reads, and after how long nothing is missed: one roll of the dice after another.
//!
//! ```text
//!   n = 3, this node A writes, B reads                    W + A
//!     A  durable here at 0.3 ─────────────────────────► 0.3       w = 1: acknowledged at 0.3
//!     B  durable at 4.1                                 8.0       w = 2: at 8.0
//!     C  away: D stands in, durable at 5.2              9.5       w = 3: at 9.5
//!   r = 1, w = 1: B reads itself; fresh if it begins 4.1 − 0.3 = 3.8 after the acknowledgement, or later
//! ```
//!
//! One roll says for each (r, w) after how long a read would have been fresh. Over many rolls the share that needs longer
//! than t is the chance of a stale read at t.
//!
//! - The writer is this node, for it knows only its own links. The way between two others is taken to be as the way from
//!   here to the one that is read, or to the reader where this node itself is read.
//! - r + w > n is 0 by construction while all owners are there: the r that answered and the w that acknowledged share one.
//! - An owner that is away is neither written nor read: a stand-in, the first fallback that is there, fills its slot.
//! - That it *comes back* right after the write is another scene ([`Scene::returning`]): then it is read like any other,
//!   and has the write when its hint is replayed: at a place in the queue that nobody knows, so anywhere between at once and
//!   the whole backlog divided by the rate at which it drains.

use super::spread::Spread;
use fastrand::Rng;

/// One node, as the writer knows it. Microseconds.
#[derive(Clone, Debug)]
pub struct Replica {
    /// A, R and S: how long a small message takes between here and there; nothing for this node itself.
    pub way: Spread,
    /// What a write takes longer, until it is durable there: W is a way and this.
    pub disk: Spread,
    /// A read that is not answered for so long asks this owner as well.
    pub late: f64,
}

impl Replica {
    /// Of whom nothing is known, and who is neither written nor waited for.
    pub fn unknown() -> Replica {
        let (way, disk) = (Spread::nothing(), Spread::nothing());
        Replica { way, disk, late: f64::INFINITY }
    }
}

/// One owner of a partition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Owner {
    /// Its place among [`Scene::replicas`].
    pub replica: usize,
    /// Writes do not reach it.
    pub away: bool,
    /// All hints for it would be replayed after so long, were it back now; infinite: nobody knows.
    pub backlog: f64,
}

/// A typical preference list.
#[derive(Clone, Debug, PartialEq)]
pub struct Places {
    /// The owners, in order.
    pub owners: Vec<Owner>,
    /// The fallbacks that are there, in order: places among [`Scene::replicas`].
    pub fallbacks: Vec<usize>,
}

/// Through which owner the read goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The one that coordinated the write.
    Writer,
    /// Any other that is there, each as often.
    Another,
}

/// See the module's picture.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Everybody who is in one of the lists; the first is the writer.
    pub replicas: Vec<Replica>,
    /// Each is as likely.
    pub lists: Vec<Places>,
    /// How many owners a list has.
    pub n: usize,
    /// Whether owners that are away are read all the same, as if they had come back right after the write.
    pub returning: bool,
}

/// For each (r, w), after how long reads would have been fresh: one entry a roll, shortest first.
#[derive(Clone, Debug)]
pub struct Needs {
    n: usize,
    needs: Vec<Vec<f64>>,
}

/// One slot in one roll: by when it holds the write, and by when the writer knows.
#[derive(Clone, Copy)]
struct Slot {
    durable: f64,
    known: f64,
}

/// One whom the read may ask.
#[derive(Clone, Copy)]
struct Asked {
    durable: f64,
    /// R.
    asked: f64,
    /// R + S.
    answered: f64,
    /// When it is asked because others are late; `None`: it is no owner, and is not.
    late: Option<f64>,
}

impl Asked {
    /// It is asked because others are late, and answers before the slowest of them. `None`: it is not, or does not.
    fn hedged(self, slowest: f64) -> Option<Asked> {
        let late = self.late?;
        let hedge = Asked { asked: late + self.asked, answered: late + self.answered, ..self };
        (hedge.answered < slowest).then_some(hedge)
    }
}

impl Scene {
    /// Rolls the dice so often. `None`: nobody is there to read, or there is no list.
    ///
    /// The same seed gives the same answer.
    pub fn predict(&self, reader: Reader, rolls: usize, rng: &mut Rng) -> Option<Needs> {
        let lists: Vec<(&Places, Vec<usize>)> = self
            .lists
            .iter()
            .map(|list| (list, self.readers(list, reader)))
            .filter(|(_, readers)| !readers.is_empty())
            .collect();
        if lists.is_empty() {
            return None;
        }
        let mut needs = vec![Vec::with_capacity(rolls); self.n * self.n];
        let (slots, known, asked) = (Vec::new(), Vec::new(), Vec::new());
        let mut dice = Dice { scene: self, slots, known, asked, rng };
        for _ in 0..rolls {
            let (list, readers) = &lists[dice.rng.usize(..lists.len())];
            let reader = readers[dice.rng.usize(..readers.len())];
            dice.roll(list, reader, &mut needs);
        }
        needs.iter_mut().for_each(|needs| needs.sort_unstable_by(f64::total_cmp));
        Some(Needs { n: self.n, needs })
    }

    /// Which of a list's owners may be the reader, by their place in it.
    fn readers(&self, list: &Places, reader: Reader) -> Vec<usize> {
        let fits = |owner: &Owner| match reader {
            Reader::Writer => owner.replica == 0,
            Reader::Another => owner.replica != 0 && (!owner.away || self.returning),
        };
        (0..list.owners.len()).filter(|at| fits(&list.owners[*at])).collect()
    }
}

struct Dice<'a> {
    scene: &'a Scene,
    slots: Vec<Slot>,
    /// When the writer knows of so many slots.
    known: Vec<f64>,
    asked: Vec<Asked>,
    rng: &'a mut Rng,
}

impl Dice<'_> {
    fn roll(&mut self, list: &Places, reader: usize, needs: &mut [Vec<f64>]) {
        self.write(list);
        self.read(list, reader);
        let n = self.scene.n;
        for r in 1..=n {
            let held = self.held(r);
            for w in 1..=n {
                // What cannot be acknowledged, or answered, is no stale read: it is none at all.
                let acked = self.known.get(w - 1).filter(|at| at.is_finite());
                if let (Some(held), Some(acked)) = (held, acked) {
                    needs[(r - 1) * n + w - 1].push((held - acked).max(0.0));
                }
            }
        }
    }

    /// When each slot holds the write.
    fn write(&mut self, list: &Places) {
        self.slots.clear();
        let mut spares = list.fallbacks.iter().copied();
        for owner in &list.owners {
            let holder = if owner.away { spares.next() } else { Some(owner.replica) };
            let slot = holder.map(|holder| {
                let replica = &self.scene.replicas[holder];
                let durable = replica.way.draw(self.rng) + replica.disk.draw(self.rng);
                Slot { durable, known: durable + replica.way.draw(self.rng) }
            });
            let never = Slot { durable: f64::INFINITY, known: f64::INFINITY };
            self.slots.push(slot.unwrap_or(never));
        }
        self.known.clear();
        self.known.extend(self.slots.iter().map(|slot| slot.known));
        self.known.sort_unstable_by(f64::total_cmp);
    }

    /// Whom the read asks, in its order: the reader itself, the other owners, and who stands in for one.
    fn read(&mut self, list: &Places, reader: usize) {
        self.asked.clear();
        let (owners, from) = (&list.owners, list.owners[reader].replica);
        for at in std::iter::once(reader).chain((0..owners.len()).filter(|at| *at != reader)) {
            let owner = owners[at];
            let durable = match (owner.away, self.scene.returning) {
                (false, _) => self.slots[at].durable,
                (true, false) => continue,
                (true, true) => self.rng.f64() * owner.backlog,
            };
            let (asked, answered) = match at == reader {
                true => (0.0, 0.0),
                false => self.there_and_back(owner.replica, from),
            };
            let late = Some(self.scene.replicas[owner.replica].late);
            self.asked.push(Asked { durable, asked, answered, late });
        }
        if self.scene.returning {
            return;
        }
        let away = (0..owners.len()).filter(|at| owners[*at].away);
        for (at, spare) in away.zip(&list.fallbacks) {
            let (asked, answered) = self.there_and_back(*spare, from);
            let durable = self.slots[at].durable;
            self.asked.push(Asked { durable, asked, answered, late: None });
        }
    }

    /// R, and R + S.
    fn there_and_back(&mut self, to: usize, from: usize) -> (f64, f64) {
        let way = &self.scene.replicas[if to == 0 { from } else { to }].way;
        let there = way.draw(self.rng);
        (there, there + way.draw(self.rng))
    }

    /// When a read that asks r must begin to find the write; `None`: so many cannot be asked.
    fn held(&self, r: usize) -> Option<f64> {
        let missed = |asked: &Asked| asked.durable - asked.asked;
        let first = self.asked.get(..r)?;
        let slow = (0..r).max_by(|a, b| first[*a].answered.total_cmp(&first[*b].answered))?;
        let hedge = self.asked.get(r).and_then(|spare| spare.hedged(first[slow].answered));
        // Whoever is slowest is not waited for where the hedge answers before it.
        let counted = (0..r).filter(|at| hedge.is_none() || *at != slow).map(|at| &first[at]);
        counted.chain(&hedge).map(missed).reduce(f64::min)
    }
}

impl Needs {
    fn of(&self, r: usize, w: usize) -> &[f64] {
        &self.needs[(r - 1) * self.n + w - 1]
    }

    /// The chance that a read at r, begun so many microseconds after a write at w was acknowledged, misses it. `None`:
    /// no such write, or read, would be answered. `r` and `w` are 1 to n.
    pub fn stale(&self, r: usize, w: usize, after: f64) -> Option<f64> {
        let needs = self.of(r, w);
        let fresh = needs.partition_point(|need| *need <= after);
        (!needs.is_empty()).then(|| (needs.len() - fresh) as f64 / needs.len() as f64)
    }

    /// After how many microseconds this share of the reads is fresh. `None`: no such write, or read, would be
    /// answered; or nobody knows when.
    pub fn fresh_after(&self, r: usize, w: usize, share: f64) -> Option<f64> {
        let needs = self.of(r, w);
        let at = (needs.len() as f64 * share).ceil() as usize;
        needs.get(at.saturating_sub(1)).copied().filter(|need| need.is_finite())
    }
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
