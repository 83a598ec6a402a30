//! All links of a client, and which one is next.

use super::link::{Link, Settings};
use super::options::after;
use super::routing::{Owners, Routing};
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest name in a greeting, in bytes.
const NAME_LIMIT: usize = 64;

/// What a client has put on its wires: far fewer writes than requests, when many are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent, retries too.
    pub requests: u64,
    /// System calls that wrote.
    pub writes: u64,
}

/// The links, node by node in turn: n1, n2, n3, n1, n2, n3, …
pub(super) struct Pool {
    links: Vec<Link>,
    addresses: Vec<String>,
    turn: AtomicUsize,
    /// The same among owners: the turn of all links would favour those that come behind others.
    owner_turn: AtomicUsize,
    changed: Arc<Notify>,
    routing: Arc<Routing>,
}

impl Pool {
    pub(super) fn open(
        addresses: &[String],
        connections: usize,
        in_flight: usize,
        settings: &Settings,
    ) -> Pool {
        let changed = Arc::new(Notify::new());
        let routing = Arc::new(Routing::new(addresses.len()));
        let name = &settings.name;
        let cut = (0..=name.len().min(NAME_LIMIT)).rev().find(|&at| name.is_char_boundary(at));
        let name = &name[..cut.unwrap_or(0)];
        let links = (0..connections)
            .flat_map(|_| addresses.iter().enumerate())
            .map(|(node, address)| {
                let (address, name) = (address.clone(), name.to_owned());
                let settings = Settings { address, name, ..settings.clone() };
                Link::open(node, settings, in_flight, &changed, &routing)
            })
            .collect();
        // Where everybody begins is random, so that a crowd of short-lived clients spreads.
        let turn = AtomicUsize::new(fastrand::usize(..addresses.len()));
        let owner_turn = AtomicUsize::new(fastrand::usize(..addresses.len()));
        Pool { links, addresses: addresses.to_vec(), turn, owner_turn, changed, routing }
    }

    /// Who owns what.
    pub(super) fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The links that are up: the least busy one to an owner, then all in turn, those to nodes not in `tried` first.
    pub(super) fn candidates(
        &self,
        tried: &[usize],
        owners: &Owners,
    ) -> impl Iterator<Item = &Link> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.links.len();
        let in_turn = move || {
            let (before, after) = self.links.split_at(first);
            after.iter().chain(before).filter(|link| link.state.is_up())
        };
        let fresh = move || in_turn().filter(move |link| !tried.contains(&link.node));
        let to_owners =
            move || fresh().filter(move |link| self.routing.is_one_of(link.node, owners));
        let best = if owners.is_empty() { None } else { self.least_busy(to_owners()) };
        let again = in_turn().filter(move |link| tried.contains(&link.node));
        best.into_iter().chain(to_owners()).chain(fresh()).chain(again)
    }

    /// A slow node answers late, so more waits there, and it is given less. Among equals: in turn.
    fn least_busy<'a>(&self, links: impl Iterator<Item = &'a Link> + Clone) -> Option<&'a Link> {
        let least = links.clone().map(|link| link.state.in_flight()).min()?;
        let equals = || links.clone().filter(|link| link.state.in_flight() <= least);
        let turn = self.owner_turn.fetch_add(1, Ordering::Relaxed);
        equals().nth(turn % equals().count().max(1)).or_else(|| links.clone().next())
    }

    pub(super) fn any_up(&self) -> bool {
        self.links.iter().any(|link| link.state.is_up())
    }

    /// Waits until some link is up; `false` if none is by then.
    pub(super) async fn wait_for_one(&self, deadline: Instant) -> bool {
        self.wait_until(deadline, || self.any_up()).await
    }

    /// Waits for the first link, or until every link has failed once.
    pub(super) async fn first_greeting(&self, timeout: Duration) -> Result<()> {
        let any_greeted = || self.links.iter().any(|link| link.state.has_greeted());
        let all_failed = || self.links.iter().all(|link| link.state.why().is_some());
        self.wait_until(after(timeout), || any_greeted() || all_failed()).await;
        if any_greeted() { Ok(()) } else { Err(Error::Unreachable(self.why())) }
    }

    async fn wait_until(&self, deadline: Instant, condition: impl Fn() -> bool) -> bool {
        loop {
            // Listen first, look then: a change in between rings.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if condition() {
                return true;
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return condition();
            }
        }
    }

    /// What the links suffer from, for people.
    pub(super) fn why(&self) -> String {
        let reasons: Vec<_> = self.links[..self.addresses.len()]
            .iter()
            .map(|link| {
                link.state
                    .why()
                    .unwrap_or_else(|| format!("{}: no answer", self.addresses[link.node]))
            })
            .collect();
        reasons.join(", ")
    }

    pub(super) fn nodes_up(&self) -> Vec<String> {
        let up = |node: &usize| self.links.iter().any(|l| l.node == *node && l.state.is_up());
        (0..self.addresses.len()).filter(up).map(|node| self.addresses[node].clone()).collect()
    }

    /// The address of a node of the builder's list.
    #[cfg(feature = "tracing")]
    pub(super) fn address(&self, node: usize) -> Option<&str> {
        self.addresses.get(node).map(String::as_str)
    }

    /// Over all links.
    pub(super) fn traffic(&self) -> Traffic {
        self.links.iter().fold(Traffic::default(), |sum, link| Traffic {
            requests: sum.requests + link.state.sent.load(Ordering::Relaxed),
            writes: sum.writes + link.state.writes.load(Ordering::Relaxed),
        })
    }
}
