//! What operators look at, as JSON. The shapes are documented with the HTTP interface.

use super::event::ConnectionId;
use super::health::Health;
use super::machine::Node;
use super::shard::{Shard, Turn};
use super::topology::{MemberStatus, flags};
use crate::error::Error;
use crate::id::NodeId;
use crate::message::client::{BackupRequest, Inspect, Reply, RingChange};
use crate::ring::{Goal, Layout, TransitionStep};
use crate::store::{Store, key};
use crate::swim::State;
use crate::time::{Instant, Now};
use serde_json::{Value, json};

/// How many partitions, and items of each, are looked at to tell how large items are.
const SAMPLED_PARTITIONS: usize = 16;
/// See [`SAMPLED_PARTITIONS`].
const SAMPLED_ITEMS: usize = 4;

impl<S: Store> Node<S> {
    pub(super) fn inspect(&mut self, now: Now, connection: ConnectionId, id: u64, what: Inspect) {
        let outbox = &mut self.outbox;
        let answer = match what {
            Inspect::Status => Ok(self.status(now.instant)),
            Inspect::Members => Ok(self.members(now)),
            Inspect::Ring => self.ring(),
            Inspect::Info => Ok(self.about(now)),
            Inspect::Hints => self.with_shard(|shard| Ok(shard.hints_json())),
            Inspect::Buckets => self.buckets(),
            Inspect::Metrics => Ok(self.metrics()),
            Inspect::Local(item) => {
                self.with_turn(now, |shard, turn| shard.local_json(&item, turn))
            }
            Inspect::Dump { bucket, after, limit } => self.with_turn(now, |shard, turn| {
                shard.dump_json(bucket.as_deref(), &after, limit, turn)
            }),
            Inspect::Partitions => self.with_shard(|shard| Ok(shard.partitions_json())),
            Inspect::Plan(change) => self.plan(&change),
            Inspect::Repair { since } => match &mut self.shard {
                Some(shard) => Ok(shard.repair_json(since, now.instant)),
                None => Err(no_cluster()),
            },
            Inspect::Rehearse(part) => match &mut self.shard {
                Some(shard) => shard.rehearse(part, now.instant),
                None => Err(no_cluster()),
            },
            Inspect::Scrub { begin, bytes_per_second } => match &mut self.shard {
                Some(shard) => {
                    let turn = &mut Turn { now, store: &self.store, outbox };
                    Ok(shard.scrub_json(begin && !self.stopping, bytes_per_second, turn))
                }
                None => Err(no_cluster()),
            },
            Inspect::Staleness => match &mut self.shard {
                Some(shard) => {
                    let turn = &mut Turn { now, store: &self.store, outbox };
                    Ok(shard.staleness_json(turn))
                }
                None => Err(no_cluster()),
            },
            Inspect::Backup(BackupRequest::Begin { .. }) if self.stopping => {
                // It would say of its incarnation that it ended cleanly, which a copy never may.
                Err(Error::Overloaded("the node is stopping".into()))
            }
            Inspect::Backup(ask) => return outbox.back_up(connection, id, ask),
            Inspect::Drain { drained } => {
                self.drained = drained.unwrap_or(self.drained);
                Ok(self.drain_json())
            }
            Inspect::AcceptLoss { accept } => match &mut self.shard {
                Some(shard) => {
                    let turn = &mut Turn { now, store: &self.store, outbox };
                    shard.accept_loss(accept, turn)
                }
                None => Err(no_cluster()),
            },
            Inspect::Locate(item) => match &mut self.shard {
                Some(shard) => {
                    let turn = &mut Turn { now, store: &self.store, outbox };
                    return shard.locate(connection, id, item, turn);
                }
                None => Err(no_cluster()),
            },
        };
        let reply = match answer {
            Ok(json) => Reply::Json(json.to_string()),
            Err(error) => Reply::Failed(error),
        };
        self.outbox.reply(connection, id, reply);
    }

    /// Of a drained node whose requests are all answered nothing is lost for anybody when it stops.
    fn drain_json(&self) -> Value {
        let under_way = self.shard.as_ref().map_or(0, Shard::under_way);
        json!({ "name": self.config.name, "drained": self.drained, "requests": under_way })
    }

    fn with_shard(&self, f: impl FnOnce(&Shard) -> Result<Value, Error>) -> Result<Value, Error> {
        self.shard.as_ref().map_or_else(|| Err(no_cluster()), f)
    }

    fn with_turn(
        &mut self,
        now: Now,
        f: impl FnOnce(&Shard, &Turn) -> Result<Value, Error>,
    ) -> Result<Value, Error> {
        let Some(shard) = &self.shard else { return Err(no_cluster()) };
        let outbox = &mut self.outbox;
        f(shard, &Turn { now, store: &self.store, outbox })
    }

    fn status(&self, now: Instant) -> Value {
        let members = self.topology.members();
        let count = |state: State| members.iter().filter(|m| m.state == Some(state)).count();
        let (alive, suspect) = (count(State::Alive), count(State::Suspect));
        let agreement = self.topology.agreement();
        let agreed = agreement.map_or(0, |a| a.layout.members.len());
        let hints = self.shard.as_ref().map_or(0, |shard| shard.hints().total());
        let rebuilding = self.shard.as_ref().map_or(0, Shard::rebuilding);
        let owned = self.shard.as_ref().map_or(0, Shard::owned);
        let unreadable = self.shard.as_ref().map_or(0, Shard::unreadable);
        let verified = self.shard.as_ref().map(|shard| shard.verified_json(now));
        let readiness = self.readiness();
        let health = agreement.map(|a| Health::of(&a.layout, &members)).unwrap_or_default();
        let mut troubles = Vec::new();
        if alive < agreed {
            troubles.push(format!("{} of {agreed} nodes are not alive", agreed - alive));
        }
        troubles.extend(health.words());
        troubles.extend(self.topology.stranded().into_iter().map(|name| {
            format!("{name} was leaving and is dead: start it, or give up what lies on it alone with `quorate remove {name}`")
        }));
        if rebuilding > 0 {
            troubles.push(format!("{rebuilding} of {owned} slots here are rebuilding"));
        }
        if let Some(words) = self.moving_words() {
            troubles.push(words);
        }
        if unreadable > 0 {
            troubles
                .push(format!("{unreadable} records here cannot be read and are being fetched"));
        }
        if hints > 0 {
            troubles.push(format!("{hints} hints wait here for their owners"));
        }
        if hints >= self.config.limits.hint_items {
            troubles.push("this node stands in for no more: it keeps enough for others".into());
        }
        if let Err(why) = &readiness {
            troubles.push(format!("this node is not ready: {why}"));
        }
        let kept = self.shard.as_ref().and_then(Shard::tombstones_kept);
        if let Some(why) = kept.filter(|_| !troubles.is_empty()) {
            troubles.push(format!("tombstones are kept: {why}"));
        }
        let verdict = match troubles.is_empty() {
            true => format!("healthy: {alive} of {agreed} nodes alive, nothing to mend"),
            false => format!("attention: {}", troubles.join("; ")),
        };
        json!({
            "verdict": verdict,
            "healthy": troubles.is_empty(),
            "ready": readiness.is_ok(),
            "reason": readiness.err(),
            "node": self.config.name,
            "cluster": self.topology.cluster().to_string(),
            "epoch": agreement.map_or(0, |a| a.layout.epoch.0),
            "index": agreement.map_or(0, |a| a.index),
            "nodes": {
                "agreed": agreed,
                "alive": alive,
                "suspect": suspect,
                "dead": count(State::Dead),
                "left": count(State::Left),
            },
            "partitions": {
                "total": agreement.map_or(0, |a| a.layout.partitions.count()),
                "owned": owned,
                "rebuilding": rebuilding,
                "to_copy": self.shard.as_ref().map_or(0, |shard| shard.moving().0),
                "to_give": self.shard.as_ref().map_or(0, |shard| shard.moving().1),
                "under_replicated": health.under_replicated,
                "at_risk": health.at_risk,
                "without_copy": health.without_copy,
            },
            "records_unreadable": unreadable,
            "verified": verified,
            "hints_pending": hints,
            "tombstones_kept_because": kept,
            "restored": self.restored_words(),
            "buckets": agreement.map_or(0, |a| a.buckets.buckets.len()),
        })
    }

    /// What is moving, in words; `None` when nothing is.
    fn moving_words(&self) -> Option<String> {
        let layout = &self.topology.agreement()?.layout;
        let name =
            |id: NodeId| layout.member(id).map_or_else(|| id.to_string(), |m| m.name.clone());
        let (copying, remnants) = self.shard.as_ref().map_or((0, 0), Shard::moving);
        let Some(transition) = &layout.transition else {
            let done = self.shard.as_ref().is_none_or(Shard::has_given_away);
            return (!done).then(|| match remnants {
                0 => "what others own now is being looked for here".into(),
                _ => format!("{remnants} partitions that others own now are being given away here"),
            });
        };
        let what = match transition.goal {
            Goal::Rebalance => "partitions are being rebalanced".into(),
            Goal::Back => "what was begun is taken back".into(),
            Goal::Leave(id) => format!("{} is leaving", name(id)),
            Goal::Remove(id) => format!("{} is being removed", name(id)),
            Goal::Out(id) => format!("{} has been dead for long: others take its places", name(id)),
            Goal::Replace { old, new, .. } => {
                format!("{} is taking the place of {}", name(new), name(old))
            }
        };
        let moving = layout.partitions_moving().count();
        let step = match transition.step {
            TransitionStep::Copying if copying > 0 => {
                format!("{copying} slots are still to be copied here")
            }
            TransitionStep::Copying => "new owners are copying".into(),
            TransitionStep::Settling => "copied, and everybody is learning of it".into(),
        };
        Some(format!("{what} ({moving} partitions; {step})"))
    }

    fn members(&mut self, now: Now) -> Value {
        let local_health = self.topology.local_health();
        let turn = &mut Turn { now, store: &self.store, outbox: &mut self.outbox };
        if let Some(shard) = &mut self.shard {
            shard.ask_vitals(turn);
        }
        let vitals = |member: &MemberStatus| match (&self.shard, member.me) {
            (Some(shard), true) => Some(shard.own_vitals(local_health, turn)),
            (Some(shard), false) => shard.vitals_of(member.id, turn),
            (None, _) => None,
        };
        let members: Vec<Value> = self
            .topology
            .members()
            .into_iter()
            .map(|m| {
                let vitals = vitals(&m);
                json!({
                    "name": m.name,
                    "id": m.id.to_string(),
                    "address": m.address.map(|a| a.to_string()),
                    "http": m.http.map(|a| a.to_string()),
                    "zone": m.zone,
                    "state": m.state.map_or("unknown", |state| state.as_str()),
                    "generation": m.lineage.to_string(),
                    "incarnation": m.incarnation,
                    "round_trip_ms": m.round_trip.map(|d| d.as_secs_f64() * 1e3),
                    "index": m.index,
                    "to_copy": m.to_copy,
                    "rebuilding": m.flags & flags::REBUILDING != 0,
                    "local_health": vitals.and_then(|vitals| vitals.local_health),
                    "keys": vitals.and_then(|vitals| vitals.items),
                    "store_bytes": vitals.and_then(|vitals| vitals.used_bytes),
                    "free_bytes": vitals.and_then(|vitals| vitals.free_bytes),
                    "told": vitals.is_some(),
                    "commit": m.commit,
                    "agreed": m.agreed,
                    "me": m.me,
                })
            })
            .collect();
        json!({ "members": members })
    }

    fn ring(&self) -> Result<Value, Error> {
        let agreement = self.topology.agreement().ok_or_else(no_cluster)?;
        let layout = &agreement.layout;
        let name =
            |id: NodeId| layout.member(id).map_or_else(|| id.to_string(), |m| m.name.clone());
        let slots =
            layout.partitions.count() * usize::from(layout.replicas).min(layout.members.len());
        let members: Vec<Value> = layout
            .members
            .iter()
            .map(|m| {
                let owned = layout.partitions_owned(m.id, layout.replicas).count();
                json!({
                    "name": m.name,
                    "id": m.id.to_string(),
                    "zone": m.zone,
                    "weight": m.weight,
                    "owned": owned,
                    "share": owned as f64 / slots.max(1) as f64,
                })
            })
            .collect();
        let table: Vec<Vec<String>> = layout
            .partitions
            .iter()
            .map(|partition| {
                let list = layout.preference_list(partition, layout.replicas);
                list.owners().chain(list.fallbacks()).map(name).collect()
            })
            .collect();
        Ok(json!({
            "epoch": layout.epoch.0,
            "index": agreement.index,
            "change": self.change_json(),
            "former": layout.former.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "leaving": layout.leaving.iter().map(|id| name(*id)).collect::<Vec<_>>(),
            "out": layout.out.iter().map(|id| name(*id)).collect::<Vec<_>>(),
            "ghosts": layout.ghosts.iter().map(|id| name(*id)).collect::<Vec<_>>(),
            "held": layout.held.iter().map(|id| name(*id)).collect::<Vec<_>>(),
            "partitions": layout.partitions.count(),
            "replicas": layout.replicas,
            "members": members,
            "table": table,
        }))
    }

    /// What a change would move. Items and bytes are an estimate: as many a slot as there are in those of this
    /// node.
    fn plan(&self, change: &RingChange) -> Result<Value, Error> {
        let agreement = self.topology.agreement().ok_or_else(no_cluster)?;
        let plan =
            agreement.plan_in(&self.topology.ring_change(change)?, &self.topology.situation())?;
        let layout = &agreement.layout;
        let name =
            |id: NodeId| layout.member(id).map_or_else(|| id.to_string(), |m| m.name.clone());
        let each = self.shard.as_ref().map_or(0.0, Shard::items_a_slot);
        let items = |slots: usize| (slots as f64 * each).round() as u64;
        let size = self.item_bytes(layout);
        let bytes = |slots: usize| (slots as f64 * each * size).round() as u64;
        let moves = plan.moves.iter().map(|m| {
            let from = m.from.map(name);
            json!({
                "from": from,
                "to": name(m.to),
                "slots": m.slots,
                "items": items(m.slots),
                "bytes": bytes(m.slots),
            })
        });
        let members = plan.owned.iter().map(|(id, owned)| {
            json!({ "name": name(*id), "before": owned.before, "after": owned.after })
        });
        let slots: usize = plan.moves.iter().map(|m| m.slots).sum();
        Ok(json!({
            "moves": moves.collect::<Vec<_>>(),
            "members": members.collect::<Vec<_>>(),
            "partitions": plan.partitions,
            "slots": slots,
            "items": items(slots),
            "bytes": bytes(slots),
        }))
    }

    /// How large the items here are, by a few of them.
    fn item_bytes(&self, layout: &Layout) -> f64 {
        let own: Vec<_> = layout.partitions_owned(self.topology.id(), layout.replicas).collect();
        let mut sizes = Vec::new();
        for partition in own.iter().step_by((own.len() / SAMPLED_PARTITIONS).max(1)) {
            let (from, to) = key::partition_range(*partition);
            let page = self.store.scan(&from, &to, SAMPLED_ITEMS).unwrap_or_default();
            for (key, _) in page {
                if let Ok(Some(entry)) = self.store.get(&key) {
                    sizes.push(key.len() + entry.head.len() + entry.body.len());
                }
            }
        }
        sizes.iter().sum::<usize>() as f64 / sizes.len().max(1) as f64
    }

    /// The change of owners under way; null when there is none.
    fn change_json(&self) -> Value {
        let layout = self.topology.agreement().map(|agreement| &agreement.layout);
        let Some((layout, transition)) = layout.and_then(|l| Some((l, l.transition.as_ref()?)))
        else {
            return Value::Null;
        };
        let step = match transition.step {
            TransitionStep::Copying => "copying",
            TransitionStep::Settling => "settling",
        };
        json!({
            "step": step,
            "since": transition.since.0,
            "goal": format!("{:?}", transition.goal),
            "partitions": layout.partitions_moving().count(),
            "words": self.moving_words(),
        })
    }

    fn buckets(&self) -> Result<Value, Error> {
        let agreement = self.topology.agreement().ok_or_else(no_cluster)?;
        let buckets: Vec<Value> = agreement
            .buckets
            .buckets
            .values()
            .map(|bucket| {
                let settings = &bucket.settings;
                json!({
                    "name": bucket.name,
                    "id": bucket.id.to_string(),
                    "n": settings.n,
                    "r": settings.r,
                    "w": settings.w,
                    "conflict": settings.conflict,
                    "type": settings.kind,
                    "ttl_ms": settings.ttl.map(|ttl| ttl.as_millis() as u64),
                })
            })
            .collect();
        Ok(json!({ "buckets": buckets }))
    }

    fn about(&self, now: Now) -> Value {
        json!({
            "name": self.config.name,
            "id": self.topology.id().to_string(),
            "lineage": self.topology.lineage().to_string(),
            "cluster": self.topology.cluster().to_string(),
            "version": env!("CARGO_PKG_VERSION"),
            "address": self.config.address.to_string(),
            "http": self.config.http.map(|a| a.to_string()),
            "zone": self.config.zone,
            "durable_commit": self.store.durable().0,
            // What this node's clock showed when it answered, for whoever compares clocks.
            "wall_ms": now.wall.0,
        })
    }

    fn metrics(&self) -> Value {
        let counters = self.counters();
        json!({
            "turns": counters.turns,
            "events": counters.events,
            "batches": counters.batches,
            "peer_writes": counters.peer_writes,
            "requests": counters.requests.values().sum::<u64>(),
            "read_repairs": counters.read_repairs,
            "hints_stored": counters.hints_stored,
            "hints_replayed": counters.hints_replayed,
            "hints_retargeted": counters.hints_retargeted,
            "hints_pending": counters.hints_pending,
            "hint_ranges": counters.hint_ranges,
            "hints_collapsed": counters.hints_collapsed,
            "hints_left_to_trees": counters.hints_left_to_trees,
            "hints_declined": counters.hints_declined,
            "hints_unreadable": counters.hints_unreadable,
            "partitions_rebuilding": counters.partitions_rebuilding,
            "tombstones_collected": counters.tombstones_collected,
            "collected_forgotten": counters.collected_forgotten,
            "collection_heads": counters.collection_heads,
            "records_unreadable": counters.records_unreadable,
            "records_mended": counters.records_mended,
            "scrubs": counters.scrubs,
            "scrub_bytes": counters.scrub_bytes,
            "scrub_records": counters.scrub_records,
            "scrub_damaged": counters.scrub_damaged,
            "scrub_places": counters.scrub_places,
            "scrub_index": counters.scrub_index,
            "scrub_trees_differed": counters.scrub_trees_differed,
            "sync_rounds": counters.sync_rounds,
            "sync_items": counters.sync_items,
            "restored_items": counters.restored_items,
            "sync_roots": counters.sync_roots,
            "sync_heads": counters.sync_heads,
            "sync_bytes": counters.sync_bytes,
            "tree_heads": counters.tree_heads,
            "attempts_timed_out": counters.attempts_timed_out,
            "forwards": counters.forwards,
            "hedged_reads": counters.hedged_reads,
            "hedges_won": counters.hedges_won,
            "rejected": counters.rejected.values().sum::<u64>(),
        })
    }
}

fn no_cluster() -> Error {
    Error::Unavailable { required: 1, alive: 0 }
}
