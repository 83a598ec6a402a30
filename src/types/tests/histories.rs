//! Random histories on three replicas that meet now and then: answers get lost, writes get lost, processes restart.
//!
//! The oracles know no version and no vector: of a counter, which amounts were counted; of a set, which adds there were
//! and which of them a removal had seen.

use crate::error::Error;
use crate::types::memory::Memory;
use crate::types::{FieldUpdate, FieldValue, Objects, Typed};
use crate::version::OperationId;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NODES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A change at a node: of what, and how its write ends.
    Change {
        node: usize,
        what: u8,
        end: End,
    },
    Meet(usize, usize),
    Restart(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Well,
    /// It happens, and nobody is told.
    Lost,
    /// It does not happen, and nobody is told.
    Vanished,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![4 => Just(End::Well), 1 => Just(End::Lost), 1 => Just(End::Vanished)];
    let step = prop_oneof![
        6 => (0..NODES, any::<u8>(), end).prop_map(|(node, what, end)| Step::Change { node, what, end }),
        3 => (0..NODES, 0..NODES).prop_map(|(one, other)| Step::Meet(one, other)),
        1 => (0..NODES).prop_map(Step::Restart),
    ];
    vec(step, 0..60)
}

struct World {
    memories: Vec<Memory>,
    typed: Vec<Typed<Memory>>,
}

fn typed(memory: &Memory) -> Typed<Memory> {
    Typed::new(memory.clone(), Arc::default(), || 1)
}

impl World {
    fn new() -> World {
        let memories: Vec<Memory> = (0..NODES).map(|n| Memory::new(n as u64 + 1)).collect();
        let typed = memories.iter().map(typed).collect();
        World { memories, typed }
    }

    fn prepare(&self, node: usize, end: End) {
        self.memories[node].lose(u64::from(end == End::Lost));
        self.memories[node].vanish(u64::from(end == End::Vanished));
    }

    fn meet(&self, one: usize, other: usize) -> bool {
        if one != other {
            self.memories[one].meet(&self.memories[other]);
        }
        one != other
    }

    fn restart(&mut self, node: usize) {
        self.typed[node] = typed(&self.memories[node]);
    }

    fn all_meet(&self, mut met: impl FnMut(usize, usize)) {
        for _ in 0..2 {
            for node in 1..NODES {
                self.meet(0, node);
                met(0, node);
            }
        }
    }
}

/// As it was prepared to end.
fn ended<T: std::fmt::Debug>(result: Result<T, Error>, end: End) -> Result<(), TestCaseError> {
    let unknown = matches!(result, Err(Error::OutcomeUnknown { .. }));
    prop_assert!(
        if end == End::Well { result.is_ok() } else { unknown },
        "{:?}: {:?}",
        end,
        result
    );
    Ok(())
}

fn run(test: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test)
}

async fn counting(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new();
    let mut expected = 0;
    // What was named, and by how much: each is done until somebody says that it is.
    let mut named: BTreeMap<OperationId, (i64, bool)> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Meet(one, other) => drop(world.meet(one, other)),
            Step::Restart(node) => world.restart(node),
            Step::Change { node, what, end } => {
                world.prepare(node, end);
                let (by, counters) = (i64::from(what) - 100, world.typed[node].counters("counter"));
                let open =
                    named.iter().find(|(_, (_, done))| !done).map(|(name, one)| (*name, one.0));
                match (what % 3, open) {
                    (0, _) => {
                        ended(counters.add("k", by).await, end)?;
                        expected += if end == End::Vanished { 0 } else { by };
                    }
                    // Again, wherever we are now.
                    (1, Some((name, by))) => {
                        ended(counters.add_once("k", by, name).await, end)?;
                        named.insert(name, (by, end == End::Well));
                    }
                    _ => {
                        let name = world.memories[node].operation();
                        ended(counters.add_once("k", by, name).await, end)?;
                        named.insert(name, (by, end == End::Well));
                    }
                }
            }
        }
    }
    world.prepare(0, End::Well);
    for (name, (by, _)) in &named {
        // Also those that are done: it changes nothing.
        world.typed[0].counters("counter").add_once("k", *by, *name).await.expect("it is done");
        expected += by;
    }
    world.all_meet(|_, _| {});
    for typed in &world.typed {
        prop_assert_eq!(typed.counters("counter").get("k").await, Ok(expected));
    }
    Ok(())
}

/// Adds and removals by their identities: a member is there as long as one of its adds is that no removal has seen.
#[derive(Clone, Default)]
struct Seen {
    adds: BTreeSet<(u8, u64)>,
    removed: BTreeSet<u64>,
}

impl Seen {
    fn remove(&mut self, member: u8) {
        let adds = self.adds.iter().filter(|(of, _)| *of == member).map(|(_, add)| *add);
        self.removed.extend(adds);
    }

    fn join(&mut self, other: &Seen) {
        self.adds.extend(&other.adds);
        self.removed.extend(&other.removed);
    }

    fn members(&self) -> Vec<Bytes> {
        let there = self.adds.iter().filter(|(_, add)| !self.removed.contains(add));
        let there: BTreeSet<u8> = there.map(|(member, _)| *member).collect();
        there.into_iter().map(|member| vec![member].into()).collect()
    }
}

/// A set, or the small one in a map's field.
async fn collecting(steps: Vec<Step>, small: bool) -> Result<(), TestCaseError> {
    let mut world = World::new();
    let mut oracle = vec![Seen::default(); NODES];
    let meet = |oracle: &mut Vec<Seen>, one: usize, other: usize| {
        let theirs = oracle[other].clone();
        oracle[one].join(&theirs);
        oracle[other] = oracle[one].clone();
    };
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Meet(one, other) => {
                world.meet(one, other);
                meet(&mut oracle, one, other);
            }
            Step::Restart(node) => world.restart(node),
            Step::Change { node, what, end } => {
                let (member, adds) = (what % 4, what < 160);
                let name = vec![Bytes::from(vec![member])];
                let was_there = oracle[node].members().contains(&name[0]);
                // A removal of what is not there writes nothing, so there is nothing to lose.
                let end = if small || adds || was_there { end } else { End::Well };
                world.prepare(node, end);
                let typed = &world.typed[node];
                let (add, remove) = if adds { (name, vec![]) } else { (vec![], name) };
                let result = match (small, adds) {
                    (true, _) => {
                        let update = FieldUpdate::Set { add, remove };
                        typed.maps("map").update("k", "f", update).await.map(drop)
                    }
                    (false, true) => typed.sets("set").add("k", add).await,
                    (false, false) => typed.sets("set").remove("k", remove).await.map(drop),
                };
                ended(result, end)?;
                if end == End::Vanished {
                    continue;
                }
                if adds {
                    // What it has read of the member it replaces.
                    oracle[node].remove(member);
                    oracle[node].adds.insert((member, number as u64));
                } else {
                    oracle[node].remove(member);
                }
            }
        }
    }
    (0..NODES).for_each(|node| world.prepare(node, End::Well));
    world.all_meet(|one, other| meet(&mut oracle, one, other));
    for (typed, oracle) in world.typed.iter().zip(&oracle) {
        let members = match small {
            false => typed.sets("set").members("k").collect().await,
            true => typed.maps("map").get("k", "f").await.map(|field| match field {
                None => Vec::new(),
                Some(FieldValue::Set(members)) => members,
                Some(other) => panic!("no set: {other:?}"),
            }),
        };
        prop_assert_eq!(members, Ok(oracle.members()));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_counter_is_exact(steps in steps()) {
        run(counting(steps))?;
    }

    #[test]
    fn a_set_holds_what_nobody_who_saw_it_has_removed(steps in steps()) {
        run(collecting(steps, false))?;
    }

    #[test]
    fn so_does_a_small_set_in_a_field(steps in steps()) {
        run(collecting(steps, true))?;
    }
}
