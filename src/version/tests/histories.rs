//! Random histories, and the shortest part of one that still fails.

use super::world::{CLIENTS, NODES, Step, With, World};
use crate::version::Conflict;
use fastrand::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Histories for each of the two rules of conflict, unless QUORATE_HISTORIES asks for more.
const HISTORIES: u64 = 5_000;

fn random_step(rng: &mut Rng) -> Step {
    let client = rng.u8(..CLIENTS as u8);
    let node = rng.u8(..NODES as u8);
    let other = rng.u8(..NODES as u8);
    let which = rng.u8(..);
    let with = match rng.u8(..8) {
        0..4 => With::Latest,
        4..6 => With::Stale(which),
        _ => With::Nothing,
    };
    let unflushed = rng.u8(..4) == 0;
    match rng.u8(..100) {
        0..10 => Step::Read { client, node, unflushed },
        10..32 => Step::Put { client, node, with },
        32..38 => Step::Delete { client, node, with },
        38..45 => Step::Retry { write: which, node },
        45..54 => Step::Flush { node },
        54..66 => Step::Send { from: node, to: other, unflushed: rng.bool() },
        66..77 => Step::Deliver { message: which, again: rng.bool() },
        77 => Step::LoseMessage { message: which },
        78..82 => Step::HandOver { from: node, to: other },
        82..85 => Step::Kill { node },
        85..88 => Step::Stop { node, copy: rng.bool() },
        88 => Step::CopyDisk { node },
        89..91 => Step::Restore { node, copy: which },
        91 => Step::Wipe { node },
        92..98 => Step::AskWitnesses { node },
        _ => Step::Collect,
    }
}

fn random_history(seed: u64) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let length = rng.usize(6..50);
    // Few nodes in some histories, so that they meet more often.
    let nodes = rng.u8(2..=NODES as u8);
    // Half of them without anything that forgets: those must come out exactly right.
    let gentle = rng.bool();
    let mut steps = Vec::with_capacity(length);
    while steps.len() < length {
        let step = random_step(&mut rng);
        let forgets = matches!(
            step,
            Step::LoseMessage { .. }
                | Step::Kill { .. }
                | Step::Restore { .. }
                | Step::Wipe { .. }
                | Step::Collect
        );
        if !(gentle && forgets) {
            steps.push(narrowed(step, nodes));
        }
    }
    steps
}

fn narrowed(mut step: Step, nodes: u8) -> Step {
    match &mut step {
        Step::Read { node, .. }
        | Step::Put { node, .. }
        | Step::Delete { node, .. }
        | Step::Retry { node, .. }
        | Step::Flush { node }
        | Step::Kill { node }
        | Step::Stop { node, .. }
        | Step::CopyDisk { node }
        | Step::Restore { node, .. }
        | Step::Wipe { node }
        | Step::AskWitnesses { node } => *node %= nodes,
        Step::Send { from, to, .. } | Step::HandOver { from, to } => {
            *from %= nodes;
            *to %= nodes;
        }
        Step::Deliver { .. } | Step::LoseMessage { .. } | Step::Collect => {}
    }
    step
}

fn play(steps: &[Step], conflict: Conflict) -> Result<World, String> {
    let run = || {
        let mut world = World::new(conflict);
        for (at, step) in steps.iter().enumerate() {
            world.step(*step).map_err(|error| format!("after step {at}: {error}"))?;
        }
        world.heal()?;
        Ok(world)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("a panic".into()))
}

/// Leaves out whatever is not needed to fail.
fn shrunk(mut steps: Vec<Step>, conflict: Conflict) -> Vec<Step> {
    let mut at = 0;
    while at < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(at);
        if play(&fewer, conflict).is_err() {
            steps = fewer;
            at = 0;
        } else {
            at += 1;
        }
    }
    steps
}

fn check_histories(conflict: Conflict) {
    let asked = std::env::var("QUORATE_HISTORIES").ok().and_then(|text| text.parse().ok());
    let histories = asked.unwrap_or(HISTORIES);
    let (mut twice, mut gentle) = (0, 0);
    for seed in 0..histories {
        let steps = random_history(seed);
        match play(&steps, conflict) {
            Ok(world) => {
                let (had_twins, forgetful) = world.reached();
                twice += u64::from(had_twins);
                gentle += u64::from(had_twins && !forgetful);
            }
            Err(first) => {
                let steps = shrunk(steps, conflict);
                let error = play(&steps, conflict).err().unwrap_or(first);
                let lines: Vec<_> =
                    steps.iter().enumerate().map(|(at, s)| format!("{at:3} {s:?}")).collect();
                panic!("seed {seed}, {conflict:?}: {error}\n{}", lines.join("\n"));
            }
        }
    }
    assert!(twice > histories / 10, "the generator reached twins in {twice} histories only");
    assert!(gentle > histories / 50, "and in {gentle} without forgetting");
}

#[test]
fn siblings_agree_with_explicit_sets_in_every_random_history() {
    check_histories(Conflict::Siblings);
}

#[test]
fn lww_agrees_with_explicit_sets_in_every_random_history() {
    check_histories(Conflict::Lww);
}
