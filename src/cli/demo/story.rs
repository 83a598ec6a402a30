//! The story that the demo tells, act by act, and the claims that it makes on the way.

use super::claims::Claims;
use super::dumps::{Promises, compare};
use super::fleet::Fleet;
use super::gaps::{NOTABLE, StallProbe};
use super::lines::{self, Lines};
use super::load::{BUCKET, Load, Pulse, item};
use super::look;
use crate::Error;
use crate::cli::args::DemoArgs;
use crate::cli::failure::{Failure, Result};
use crate::cli::local::LocalNode;
use crate::cli::output::say;
use crate::cli::probe::until;
use crate::cli::progress;
use crate::cli::units::{show_count, show_duration};
use crate::client::{Bytes, Client, Consistency, Context};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// N of the bucket.
const REPLICAS: u8 = 3;
/// The longest time without a success that is promised when a node dies.
const GAP_LIMIT: Duration = Duration::from_secs(2);
/// How soon the survivors must see that it is dead.
const DEATH_LIMIT: Duration = Duration::from_secs(15);
/// How soon everybody must see everybody.
const GREETING_LIMIT: Duration = Duration::from_secs(15);
/// How soon hints must have drained, and how soon the replicas must agree.
const HEALING_LIMIT: Duration = Duration::from_secs(25);

/// A demo under way.
pub(super) struct Story {
    /// The lines of the files that were named, if any were.
    named: Option<Lines>,
    fleet: Fleet,
    claims: Claims,
    began: Instant,
}

/// An item with a life of its own, beside the lines: its key, and what was seen of it.
struct Guest {
    key: String,
    seen: Context,
}

impl Story {
    /// Reads the files that were named, and prepares the nodes' folders.
    pub fn new(args: DemoArgs) -> Result<Story> {
        let named = match &args.logs[..] {
            [] => None,
            files => Some(lines::of_named(files)?),
        };
        let fleet = Fleet::new(args.nodes, args.dir.as_deref())?;
        Ok(Story { named, fleet, claims: Claims::default(), began: Instant::now() })
    }

    /// Where node 1 is seen.
    pub fn url(&self) -> String {
        format!("http://{}/", self.fleet.node(0).http)
    }

    /// Says that it took too long.
    pub fn out_of_time(&mut self, limit: Duration) -> Result<()> {
        self.claims.check("the demo ends in time", Err(format!("not within {} s", limit.as_secs())))
    }

    /// Whether every claim held.
    pub fn verdict(&mut self) -> Result<()> {
        let (held, failed) = (self.claims.held(), self.claims.failed());
        let took = show_duration(self.began.elapsed());
        if failed == 0 {
            return say(format!("\n{held} of {held} claims hold ({took})"));
        }
        self.fleet.keep();
        let next = format!("look into the nodes' logs in {}", self.fleet.dir().display());
        Err(Failure::new(
            "failed",
            format!("{failed} of {} claims do not hold", held + failed),
            &next,
        ))
    }

    /// Keeps what the nodes wrote, for somebody should look at it.
    pub fn keep(&mut self) {
        self.fleet.keep();
    }

    fn victim(&self) -> usize {
        self.fleet.len() - 1
    }

    fn survivors(&self) -> Vec<LocalNode> {
        self.fleet.nodes().take(self.victim()).cloned().collect()
    }

    fn claim(&mut self, claim: &str, verdict: Result<String, String>) -> Result<()> {
        self.claims.check(claim, verdict)
    }

    /// All acts.
    pub async fn tell(&mut self) -> Result<()> {
        let probe = StallProbe::start()?;
        self.rise().await?;
        let client = self.client().await?;
        client.create_bucket(BUCKET).n(REPLICAS).r(2).w(2).await?;
        let name = self.fleet.node(self.victim()).name.clone();
        let cart = self.invite(&client, "demo/cart").await?;
        let ticket = self.invite(&client, "demo/ticket").await?;
        let pulses = [self.key("demo/pulse-a").await?, self.key("demo/pulse-b").await?];
        let before = look::identity(self.fleet.node(self.victim())).await;

        let load = Arc::new(self.load(&client)?);
        let pulse = Pulse::start(&load, pulses);
        self.write(&load).await?;
        self.fleet.bury(self.victim())?;
        self.death(&load).await?;
        self.read(&load).await?;
        self.levels(&client, &cart).await?;
        self.siblings(&client, &cart).await?;
        self.delete(&client, &ticket).await?;
        self.hints_wait().await?;

        self.return_of(&name, before).await?;
        let mut promises = load.promises();
        match pulse.stop().await {
            Ok(beats) => {
                self.gap(&load, &probe, beats.len())?;
                promises.extend(beats);
            }
            Err(reason) => self.claim("writes go on all the time", Err(reason))?,
        }
        self.hints_drain().await?;
        promises.insert(item(&cart.key.clone().into(), &Bytes::new()), Some("resolved".into()));
        promises.insert(item(&ticket.key.clone().into(), &Bytes::new()), None);
        self.agreement(promises).await?;
        self.afterwards(&client, &cart, &ticket).await
    }

    /// A key that the node which will be killed has a replica of.
    async fn key(&self, stem: &str) -> Result<String> {
        let owner = &self.fleet.node(self.victim()).name;
        look::key_owned_by(self.fleet.node(0), owner, stem)
            .await
            .map_err(|reason| Failure::new("internal", reason, "look into the nodes' logs"))
    }

    async fn invite(&self, client: &Client, stem: &str) -> Result<Guest> {
        let key = self.key(stem).await?;
        let seen = client.put(BUCKET, &key, "first").w(2).await?.context;
        Ok(Guest { key, seen })
    }

    async fn rise(&mut self) -> Result<()> {
        let bar = progress::spinner(&format!("starting {} nodes", self.fleet.len()));
        self.fleet.start().await?;
        let count = self.fleet.len();
        let fleet = &self.fleet;
        let all_alive = || async {
            for node in fleet.nodes() {
                let states = look::states(node).await?;
                let alive = states.iter().filter(|(_, state)| state == "alive").count();
                if alive != count {
                    return Err(format!("{} sees {alive} of {count} alive", node.name));
                }
            }
            Ok(())
        };
        let seen = until(GREETING_LIMIT, all_alive).await;
        bar.finish_and_clear();
        let pids: Vec<String> = (0..count).map(|index| self.fleet.pid(index).to_string()).collect();
        let evidence = format!("{count} processes, pids {}", pids.join(", "));
        self.claim("the nodes are ready and see each other", seen.map(|()| evidence))
    }

    async fn client(&self) -> Result<Client> {
        let nodes = self.fleet.nodes().map(|node| node.native.to_string());
        Ok(Client::builder().nodes(nodes).name("quorate demo").build().await?)
    }

    fn load(&mut self, client: &Client) -> Result<Load> {
        let own = self.fleet.nodes().map(LocalNode::log);
        let lines =
            self.named.take().unwrap_or_else(|| lines::of_this_machine(&own.collect::<Vec<_>>()));
        let Lines { lines, files, left_out } = lines;
        let older = if left_out > 0 {
            format!(" (the newest; {} older ones are left out)", show_count(left_out))
        } else {
            String::new()
        };
        say(format!(
            "     storing {} lines of {files} files{older}",
            show_count(lines.len() as u64)
        ))?;
        let victim = self.fleet.node(self.victim()).clone();
        let trigger = move || match victim.signal(Signal::KILL) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{} was dead before", victim.name)),
            Err(failure) => Err(failure.to_string()),
        };
        let third = lines.len().div_ceil(3);
        Ok(Load::new(client.clone(), lines, third, Box::new(trigger)))
    }

    async fn write(&mut self, load: &Arc<Load>) -> Result<()> {
        let total = load.promises().len();
        let bar = progress::bar(total as u64, "writing");
        let began = Instant::now();
        let written = load.write_all(&bar).await;
        bar.finish_and_clear();
        let took = show_duration(began.elapsed());
        let name = self.fleet.node(self.victim()).name.clone();
        let killed = load.shot().and_then(|shot| {
            let after = load.acked().saturating_sub(shot.acked);
            if after == 0 || shot.in_flight == 0 {
                return Err(format!("{} in flight, {after} acknowledged after it", shot.in_flight));
            }
            Ok(format!(
                "SIGKILL to {name} after {} acknowledgements with {} lines in flight; {} came after it",
                show_count(shot.acked as u64),
                shot.in_flight,
                show_count(after as u64)
            ))
        });
        self.claim("a node was killed while writes were in flight", killed)?;
        let again = load.offered_again();
        let evidence =
            format!("{} in {took}, {again} had to be offered again", show_count(total as u64));
        self.claim("every line was acknowledged at W=2", written.map(|()| evidence))
    }

    async fn death(&mut self, load: &Load) -> Result<()> {
        let name = self.fleet.node(self.victim()).name.clone();
        let bar = progress::spinner(&format!("waiting until {name} is seen dead"));
        let survivors = self.survivors();
        let dead = || async {
            for node in &survivors {
                let states = look::states(node).await?;
                match states.iter().find(|(member, _)| *member == name) {
                    Some((_, state)) if state == "dead" => {}
                    Some((_, state)) => {
                        return Err(format!("{} says {name} is {state}", node.name));
                    }
                    None => return Err(format!("{} does not know {name}", node.name)),
                }
            }
            Ok(())
        };
        let shot = load.shot();
        let seen = match &shot {
            Ok(_) => until(DEATH_LIMIT, dead).await,
            Err(_) => Err("nobody was killed".to_string()),
        };
        bar.finish_and_clear();
        let verdict = seen.and(shot).and_then(|shot| {
            let took = shot.at.elapsed();
            if took > DEATH_LIMIT {
                return Err(format!("only after {}", show_duration(took)));
            }
            Ok(format!("{} after the kill at the latest", show_duration(took)))
        });
        self.claim("the survivors see that it is dead", verdict)
    }

    async fn read(&mut self, load: &Arc<Load>) -> Result<()> {
        let total = load.promises().len() as u64;
        let bar = progress::bar(total, "reading");
        let began = Instant::now();
        let read = load.read_all(&bar).await;
        bar.finish_and_clear();
        let took = show_duration(began.elapsed());
        let evidence = format!("{} at R=2 in {took}, byte for byte", show_count(total));
        self.claim("every acknowledged line is read back while it is dead", read.map(|()| evidence))
    }

    async fn levels(&mut self, client: &Client, guest: &Guest) -> Result<()> {
        let one = client.get(BUCKET, &guest.key).consistency(Consistency::One).await;
        let one = one.map_err(|error| error.to_string());
        let written = client.put(BUCKET, "demo/one", "x").consistency(Consistency::One).await;
        let one = one.and(written.map_err(|error| error.to_string()));
        let evidence = "a read and a write".to_string();
        self.claim("ONE works with a dead replica", one.map(|_| evidence))?;
        let all = client.get(BUCKET, &guest.key).consistency(Consistency::All).await;
        let verdict = match all {
            Err(error) => missed(&error),
            Ok(_) => Err("it was answered".to_string()),
        };
        self.claim("ALL fails with a clear error", verdict)
    }

    async fn siblings(&mut self, client: &Client, cart: &Guest) -> Result<()> {
        let verdict = fight(&self.survivors()[0], client, cart).await;
        self.claim(
            "two writers with one stale context become siblings, and one write resolves them",
            verdict,
        )
    }

    async fn delete(&mut self, client: &Client, ticket: &Guest) -> Result<()> {
        let verdict = async {
            client.delete(BUCKET, &ticket.key).context(&ticket.seen).w(2).await?;
            client.get(BUCKET, &ticket.key).r(2).await
        };
        let verdict = match verdict.await {
            Ok(got) if got.is_empty() => Ok("a read at R=2 finds nothing".to_string()),
            Ok(got) => Err(format!("a read at R=2 finds {} values", got.siblings.len())),
            Err(error) => Err(error.to_string()),
        };
        self.claim("a delete removes what it has seen, while a replica is away", verdict)
    }

    async fn hints_wait(&mut self) -> Result<()> {
        let name = self.fleet.node(self.victim()).name.clone();
        let mut pending = Ok(0);
        for node in self.survivors() {
            let hints = look::hints(&node).await;
            pending = pending.and_then(|sum| Ok(sum + hints?));
        }
        let verdict = pending.and_then(|pending| match pending {
            0 => Err("there are none".to_string()),
            _ => Ok(format!("{} items on the survivors' disks", show_count(pending))),
        });
        self.claim(&format!("what {name} misses waits for it as hints"), verdict)
    }

    async fn return_of(
        &mut self,
        name: &str,
        before: Result<(String, String), String>,
    ) -> Result<()> {
        let bar = progress::spinner(&format!("restarting {name}"));
        let began = Instant::now();
        let restarted =
            self.fleet.restart(self.victim()).await.map_err(|failure| failure.to_string());
        bar.finish_and_clear();
        let took = show_duration(began.elapsed());
        let after = look::identity(self.fleet.node(self.victim())).await;
        let same = restarted.and(before).and_then(|before| {
            let after = after?;
            if before == after {
                Ok(format!("ready after {took}, id {}, lineage {}", after.0, after.1))
            } else {
                Err(format!("it was {before:?} and is {after:?}"))
            }
        });
        self.claim(&format!("{name} is back with the same data"), same)
    }

    fn gap(&mut self, load: &Load, probe: &StallProbe, beats: usize) -> Result<()> {
        let (gap, stalled) = load.gaps().longest(Instant::now(), &probe.stalls());
        let mut text = show_duration(gap.max(NOTABLE));
        if !stalled.is_zero() {
            text += &format!(
                " (and {} in which the machine itself stood still)",
                show_duration(stalled)
            );
        }
        let verdict = if gap <= GAP_LIMIT {
            let small = show_count(beats as u64);
            Ok(format!("at most {text} between two of them, {small} small ones kept the pulse"))
        } else {
            Err(format!("{text} without one"))
        };
        self.claim("acknowledgements never pause for more than 2 s", verdict)
    }

    async fn hints_drain(&mut self) -> Result<()> {
        let bar = progress::spinner("waiting until the hints have drained");
        let began = Instant::now();
        let fleet = &self.fleet;
        let none = || async {
            for node in fleet.nodes() {
                match look::hints(node).await? {
                    0 => {}
                    pending => return Err(format!("{} still keeps {pending}", node.name)),
                }
            }
            Ok(())
        };
        let drained = until(HEALING_LIMIT, none).await;
        bar.finish_and_clear();
        let evidence = format!("none is left {} later", show_duration(began.elapsed()));
        self.claim("the hints drain", drained.map(|()| evidence))
    }

    async fn agreement(&mut self, promises: Promises) -> Result<()> {
        let bar = progress::spinner("comparing the replicas");
        let fleet = &self.fleet;
        let agree = || async {
            let mut dumps = BTreeMap::new();
            for node in fleet.nodes() {
                dumps.insert(node.name.clone(), look::dump(node).await?);
            }
            compare(&dumps, &promises, usize::from(REPLICAS))
        };
        let agreed = until(HEALING_LIMIT, agree).await;
        bar.finish_and_clear();
        let evidence = agreed.map(|items| {
            format!(
                "{} items compared key by key, {} of them acknowledged",
                show_count(items as u64),
                show_count(promises.len() as u64)
            )
        });
        self.claim("all three replicas hold the same, and all that was acknowledged", evidence)
    }

    async fn afterwards(&mut self, client: &Client, cart: &Guest, ticket: &Guest) -> Result<()> {
        let verdict = async {
            let node = self.fleet.node(self.victim());
            for client in [client, &look::only(node).await?] {
                let ticket = client.get(BUCKET, &ticket.key).consistency(Consistency::All).await;
                let ticket = ticket.map_err(|error| error.to_string())?;
                if !ticket.is_empty() {
                    return Err("the deleted item is back".to_string());
                }
                let cart = client.get(BUCKET, &cart.key).consistency(Consistency::All).await;
                let cart = cart.map_err(|error| error.to_string())?;
                if cart.siblings.len() != 1 || cart.siblings[0].value != "resolved" {
                    return Err(format!("the resolved item has {} values", cart.siblings.len()));
                }
            }
            Ok(format!("reads at ALL, also through {}", node.name))
        };
        let verdict = verdict.await;
        self.claim("what was deleted stays deleted, what was resolved stays resolved", verdict)
    }
}

/// Two writers, one stale context, one node; then somebody who saw both.
async fn fight(node: &LocalNode, client: &Client, cart: &Guest) -> Result<String, String> {
    let through = look::only(node).await?;
    let told = |error: Error| error.to_string();
    for value in ["hers", "his"] {
        through.put(BUCKET, &cart.key, value).context(&cart.seen).w(2).await.map_err(told)?;
    }
    let both = client.get(BUCKET, &cart.key).r(2).await.map_err(told)?;
    let mut values: Vec<&[u8]> = both.siblings.iter().map(|sibling| &sibling.value[..]).collect();
    values.sort_unstable();
    if values != [&b"hers"[..], b"his"] {
        return Err(format!("a read finds {} values", values.len()));
    }
    client.put(BUCKET, &cart.key, "resolved").context(&both.context).w(2).await.map_err(told)?;
    let one = client.get(BUCKET, &cart.key).r(2).await.map_err(told)?;
    match one.value().map_err(told)? {
        Some(value) if value == "resolved" => Ok("2 values, then 1".to_string()),
        _ => Err("the resolving write is not what is read".to_string()),
    }
}

/// Whether an error tells how many replicas were needed and how many there were.
fn missed(error: &Error) -> Result<String, String> {
    match error.counts() {
        Some((required, received)) if required == usize::from(REPLICAS) && received < required => {
            Ok(error.to_string())
        }
        _ => Err(format!("the error is `{error}`")),
    }
}
