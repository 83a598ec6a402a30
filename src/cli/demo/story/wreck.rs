//! The third chapter: what may be asked of a cluster of which a node is dead, and what it then owes.

use super::{Guest, REPLICAS, Story};
use crate::Error;
use crate::cli::demo::load::BUCKET;
use crate::cli::demo::look;
use crate::cli::failure::Result;
use crate::cli::local::LocalNode;
use crate::cli::units::show_count;
use crate::client::{Client, Consistency};

impl Story {
    pub(super) async fn levels(&mut self, client: &Client, guest: &Guest) -> Result<()> {
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

    pub(super) async fn siblings(&mut self, client: &Client, cart: &Guest) -> Result<()> {
        let verdict = fight(&self.survivors()[0], client, cart).await;
        self.claim(
            "two writers with one stale context become siblings, and one write resolves them",
            verdict,
        )
    }

    pub(super) async fn delete(&mut self, client: &Client, ticket: &Guest) -> Result<()> {
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

    pub(super) async fn hints_wait(&mut self) -> Result<()> {
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
