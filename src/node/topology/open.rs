//! A directory is opened: whose is it, and what does it still know?

use super::acceptor::Seat;
use super::chain::Chain;
use super::claims::Claims;
use super::identity::{Identity, OpenError, get};
use super::witness::Witness;
use super::{Topology, install, intent, join};
use crate::id::{ClusterId, NodeId};
use crate::node::{Config, Outbox};
use crate::ring::{Agreement, Partitions, Secret};
use crate::store::{CommitNumber, Store, StoreError};
use crate::time::Now;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

impl Topology {
    /// Opens the node that a directory belongs to, or makes it the configured one's.
    ///
    /// `damaged`: the store lost something that it had called durable. The data are kept, but this is a new
    /// life of them: it promises nothing and is fenced until the cluster has admitted it.
    ///
    /// With `config.bootstrap`, a directory that has never been part of a cluster, never asked to be, and is
    /// whole founds one. Nobody hears of it before that is durable.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn open(
        config: &Config,
        store: &dyn Store,
        damaged: bool,
        mut rng: fastrand::Rng,
        now: Now,
        outbox: &mut Outbox,
    ) -> Result<Topology, OpenError> {
        let known: Option<Identity> = read(store, "identity", damaged)?;
        let fresh = known.is_none() || damaged;
        let mut identity = known.clone().unwrap_or_else(|| Identity::draw(&config.name, &mut rng));
        if identity.name != config.name {
            return Err(OpenError::Name { found: identity.name, configured: config.name.clone() });
        }
        if damaged {
            let new = Identity::draw(&config.name, &mut rng);
            identity = Identity { lineage: new.lineage, admitted: false, asked: true, ..identity };
        }
        let installed = match read::<bytes::Bytes>(store, "agreement", damaged)? {
            None => None,
            Some(bytes) => match Agreement::decode(&bytes) {
                Ok(agreement) => Some(Arc::new(agreement)),
                Err(_) if damaged => None,
                Err(_) => return Err(OpenError::Damaged("agreement")),
            },
        };
        let book: Vec<(NodeId, SocketAddr)> =
            read(store, "addresses", damaged)?.unwrap_or_default();
        let acceptor = if damaged { None } else { get(store, "acceptor")? };
        let index = installed.as_ref().map(|agreement| agreement.index);
        let mut topology = Topology {
            chain: Chain::new(Seat::open(acceptor, identity.lineage, index), now.instant),
            witness: Witness::open(store, fresh, damaged, now.instant)?,
            claims: Claims::open(store, identity.lineage, fresh, &mut rng)?,
            config: config.clone(),
            rng,
            identity,
            installed,
            others: BTreeSet::new(),
            learned: None,
            fetch: install::Fetch::default(),
            join: join::Join::default(),
            swim: None,
            look_at: now.instant,
            standing: Default::default(),
            settled: BTreeMap::new(),
            conduct: Default::default(),
            book: book.into_iter().collect(),
            book_changed: false,
            aside: None,
            surviving: Vec::new(),
            overruled: false,
            view_changed: true,
            tickets: 0,
            pending: BTreeMap::new(),
            outcomes: VecDeque::new(),
            rejected: BTreeMap::new(),
        };
        if !topology.swim_identity().is_sound() {
            return Err(OpenError::Config(format!(
                "name `{}`, zone `{}` and address {} must be short, printable and reachable by others",
                config.name, config.zone, config.address
            )));
        }
        topology.note_others();
        topology.begin(store.durable(), now, outbox)?;
        Ok(topology)
    }

    fn begin(
        &mut self,
        opened_at: CommitNumber,
        now: Now,
        outbox: &mut Outbox,
    ) -> Result<(), OpenError> {
        outbox.set_stamp(self.stamp(opened_at));
        self.stage_claim(outbox);
        if self.installed.is_some() {
            outbox.persist(self.identity.put());
            self.book.remove(&self.identity.id);
            if self.is_old_life() {
                let why = "the cluster has admitted another life of this node";
                self.set_aside(why.into(), outbox);
                return Ok(());
            }
            self.judge_witness(now, outbox);
            if self.is_admitted() {
                self.start_swim(now.instant, outbox);
            }
            self.pump(now, outbox);
            return Ok(());
        }
        // One that asked to join may be a member by now, without having heard of it.
        if self.config.bootstrap && !self.identity.asked && !self.identity.admitted {
            let cluster = ClusterId(self.rng.u64(1..));
            let secret = Secret(std::array::from_fn(|_| self.rng.u8(..)));
            let partitions = Partitions::try_from(self.config.partitions)
                .map_err(|why| OpenError::Config(why.to_string()))?;
            let founder = intent::member(&self.as_joiner());
            let replicas = self.config.replicas;
            let agreement = Agreement::found(cluster, secret, replicas, partitions, founder)
                .map_err(|why| OpenError::Config(why.to_string()))?;
            self.learn(now, Arc::new(agreement), outbox);
        } else {
            outbox.persist(self.identity.put());
        }
        Ok(())
    }
}

/// Reads a record of a store that may have lost some.
pub(super) fn read<T: serde::de::DeserializeOwned>(
    store: &dyn Store,
    name: &'static str,
    damaged: bool,
) -> Result<Option<T>, OpenError> {
    match get(store, name) {
        Err(OpenError::Damaged(_) | OpenError::Store(StoreError::Damaged(_))) if damaged => {
            Ok(None)
        }
        other => other,
    }
}
