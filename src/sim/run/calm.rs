//! After the faults: everything is mended, and all is to come to rest and to be the same everywhere.
//!
//! ```text
//!   mend ─► who waits says for whom ─► whole: ready, alive, no hints, nothing moves ─► no tombstones ─► compare
//! ```

use super::super::workload::{self, KEYS};
use super::{Asked, Run, number};
use crate::message::client::{Inspect, Reply};
use crate::time::Duration;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// How long nodes are left alone to find each other after that.
const LOOKED_FOR: Duration = Duration::from_secs(200);

impl Run {
    pub(super) fn heal(&mut self) -> bool {
        if self.faults.mend_all(&mut self.c) {
            self.oracle.lose_disk();
        }
        self.focus = None;
        self.note(|| "everything is mended".into());
        let began = self.c.now();
        let calm = self.wait_for("calm after everything was mended", |run| {
            if run.c.now().since(began) > LOOKED_FOR {
                run.read_what_nodes_wait_for();
            }
            run.is_whole()?;
            run.no_tombstones_are_left()
        });
        self.redirected.clear();
        self.faults.healed();
        self.note_owners();
        let took = self.c.now().since(began);
        self.note(|| format!("calm after {took:?}"));
        // Nobody answers these any more.
        for (_, asked) in std::mem::take(&mut self.open) {
            *self.report.outcomes.entry("unanswered").or_default() += 1;
            if let Asked::Write(write) = asked {
                self.workload.unknown(write);
            }
        }
        calm
    }

    /// Somebody looks why a node is not ready, and does what it says, where somebody has moved whom it does not know.
    fn read_what_nodes_wait_for(&mut self) {
        let there = self.faults.there(&self.c);
        for node in there.iter().copied() {
            let words = self.c.node(node).and_then(|node| node.readiness().err());
            let asks = |words: &String| words.contains("start this node with --join");
            if !words.as_ref().is_some_and(asks) || self.redirected.contains(&node) {
                continue;
            }
            let members = self.look(node, Inspect::Members);
            let known = members["members"].as_array().into_iter().flatten();
            let known: Vec<_> = known.filter_map(|member| member["address"].as_str()).collect();
            let knows = |other: &usize| {
                let address = self.c.address(*other);
                known.contains(&&*address.to_string()) || self.c.is_told(node, address)
            };
            if !there.iter().all(|other| *other == node || knows(other)) {
                self.redirected.insert(node);
                *self.faults.struck.entry("redirect").or_default() += 1;
                self.note(|| format!("n{node} begins again, with --join"));
                self.c.kill(node);
                self.c.name_others(node);
                self.c.start(node);
            }
        }
    }

    /// Every node is ready and sees all the others alive.
    pub(super) fn is_whole(&mut self) -> Result<(), String> {
        let members = self.members()?;
        for node in members.iter().copied() {
            let ready = self.c.node(node).map(|node| node.readiness());
            match ready {
                Some(Ok(())) => {}
                Some(Err(why)) => return Err(format!("n{node}: {why}")),
                None => return Err(format!("n{node} is down")),
            }
            let status = self.look(node, Inspect::Status);
            if status["nodes"]["alive"] != members.len() {
                return Err(format!("n{node} sees {}", status["nodes"]));
            }
            if status["hints_pending"] != 0 {
                return Err(format!("n{node} keeps {}", self.look(node, Inspect::Hints)));
            }
            if status["records_unreadable"] != 0 {
                return Err(format!("n{node} cannot read {}", status["records_unreadable"]));
            }
            let moving =
                status["partitions"]["to_copy"] != 0 || status["partitions"]["to_give"] != 0;
            if status["partitions"]["rebuilding"] != 0 || status["ready"] != true || moving {
                return Err(format!("n{node}: {status}"));
            }
        }
        Ok(())
    }

    /// Who is a member by now, if nothing is on the move and nobody on the way.
    fn members(&mut self) -> Result<BTreeSet<usize>, String> {
        let there = self.faults.there(&self.c);
        // Whoever is no member any more knows an old ring, or none.
        let rings = there.into_iter().map(|node| self.look(node, Inspect::Ring));
        let newest =
            rings.collect::<Vec<_>>().into_iter().max_by_key(|ring| ring["index"].as_u64());
        let ring = newest.unwrap_or_default();
        let names = |what: &str| -> BTreeSet<usize> {
            let all = ring[what].as_array().into_iter().flatten();
            let name = |m: &Json| number(m["name"].as_str().or(m.as_str())?);
            all.filter_map(name).collect()
        };
        let members = names("members");
        let held = names("held");
        let all = ring["members"].as_array().into_iter().flatten();
        let idle = all.filter(|m| m["owned"] == 0).filter_map(|m| number(m["name"].as_str()?));
        let leaving = names("leaving");
        let out = names("out");
        let there = self.faults.there(&self.c);
        // Who is gone for good waits for nothing; it is still to be removed.
        let waits = |node: &usize| {
            there.contains(node)
                && !held.contains(node)
                && !leaving.contains(node)
                && !out.contains(node)
        };
        let idle: Vec<usize> = idle.filter(waits).collect();
        let seen_to = self.changes.see_to(&mut self.c, &mut self.faults, &members);
        if let (true, Some(node)) = (ring["change"].is_null(), idle.first()) {
            return Err(format!("n{node} has no places yet"));
        }
        match ring["change"].is_null() && leaving.is_empty() && out.is_empty() {
            true => seen_to.map(|()| members),
            false => {
                let mut told = format!("{}, leaving {}", ring["change"]["words"], ring["leaving"]);
                told += &format!(", out {}", ring["out"]);
                for node in self.faults.there(&self.c) {
                    let status = self.look(node, Inspect::Status);
                    let hints = &status["hints_pending"];
                    let (epoch, partitions) = (&status["epoch"], &status["partitions"]);
                    let doubts = &status["records_unreadable"];
                    told += &format!("; n{node} at {epoch}: {partitions}, {hints} hints");
                    told += &format!(", {doubts} unreadable, sees {}", status["nodes"]);
                }
                Err(told)
            }
        }
    }

    /// Everybody is there and nothing is on the move: what was deleted goes for good.
    fn no_tombstones_are_left(&mut self) -> Result<(), String> {
        let items = self.replicas_agree()?;
        let has_value = |item: &Json| {
            let siblings = item["siblings"].as_array().into_iter().flatten();
            siblings.into_iter().any(|sibling| sibling["value"].is_string())
        };
        match items.iter().find(|(_, item)| !has_value(item)) {
            None => Ok(()),
            Some((name, _)) => {
                let kept = self.faults.there(&self.c).into_iter().map(|node| {
                    let status = self.look(node, Inspect::Status);
                    format!("n{node}: {}", status["tombstones_kept_because"])
                });
                let kept: Vec<String> = kept.collect();
                Err(format!("{name} is deleted, and still there: {}", kept.join(", ")))
            }
        }
    }

    pub(super) fn compare(&mut self) {
        for key in 0..KEYS {
            let there = self.faults.there(&self.c);
            let node = there[key % there.len()];
            let read = workload::read_all(key);
            let reply = self.c.ask(node, read);
            let Some(Reply::Got { values, .. }) = reply else {
                self.oracle.object(format!("k{key} cannot be read when all is well: {reply:?}"));
                continue;
            };
            let values = self.values(key, values.iter().map(|version| &version.value[..]));
            self.note(|| format!("finally k{key} is {values:?}"));
            self.oracle.settles(key, &values);
        }
    }

    /// What all hold, by key: each item on three nodes, the same on each.
    fn replicas_agree(&mut self) -> Result<BTreeMap<String, Json>, String> {
        let mut held: BTreeMap<String, Vec<(usize, Json)>> = BTreeMap::new();
        for node in self.faults.there(&self.c) {
            let what = Inspect::Dump { bucket: None, after: Default::default(), limit: 1_000 };
            let dump = self.look(node, what);
            let Some(items) = dump["items"].as_array() else {
                return Err(format!("n{node} shows no dump"));
            };
            for item in items {
                let name = item["key"].as_str().unwrap_or_default().to_owned();
                held.entry(name).or_default().push((node, item.clone()));
            }
        }
        let mut items = BTreeMap::new();
        for (name, copies) in held {
            let nodes: Vec<usize> = copies.iter().map(|(node, _)| *node).collect();
            if copies.len() != 3 || copies.iter().any(|(_, item)| *item != copies[0].1) {
                return Err(format!("{name} on {nodes:?} differs: {copies:?}"));
            }
            items.extend(copies.into_iter().next().map(|(_, item)| (name, item)));
        }
        Ok(items)
    }
}
