//! The real machine on the real disk: opens the store in the data directory, and the node upon it.

use super::backup::{Copying, Manifest};
use super::directory::DataDirectory;
use super::machine::{Birth, Machine, Opener};
use super::restored::{Restored, began_with_backup};
use super::start::StartError;
use crate::Error;
use crate::config::{Durability, ServerConfig, StoreSection};
use crate::id::Epoch;
use crate::message::client::{BackupRequest, Reply};
use crate::node::{Counters, Effect, Event, Node};
use crate::store::{self, CommitNumber, SledStore, Store, StoreError};
use crate::time::{Instant, Now};
use std::path::PathBuf;
use std::time::Duration;

/// How often progress is told while a log is read.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Tells now and then how far it is.
pub(super) fn tell(doing: &'static str) -> impl FnMut(store::Progress) {
    let mut told = std::time::Instant::now();
    move |progress| {
        if told.elapsed() >= TELL_EVERY {
            told = std::time::Instant::now();
            tracing::info!(?progress, doing);
        }
    }
}

/// Opens nodes on one data directory.
#[derive(Debug)]
pub struct NodeOpener {
    name: String,
    path: PathBuf,
    store: StoreSection,
}

impl NodeOpener {
    /// For the data directory of these settings. Nothing is touched yet.
    pub fn new(config: &ServerConfig) -> NodeOpener {
        NodeOpener {
            name: config.node.name.clone(),
            path: config.node.data_dir.clone(),
            store: config.store.clone(),
        }
    }

    fn options(&self) -> store::Options {
        store::Options {
            durability: match self.store.durability {
                Durability::Sync => store::Durability::Sync,
                Durability::Interval(interval) => store::Durability::Interval(interval),
            },
            segment_bytes: self.store.segment_bytes.0,
            index_cache_bytes: self.store.cache_bytes.0,
            reserve_bytes: self.store.reserve_bytes.0,
            ..store::Options::default()
        }
    }
}

impl Opener for NodeOpener {
    type Machine = RealNode;

    fn open(&mut self, birth: Birth) -> Result<RealNode, StartError> {
        let directory = DataDirectory::prepare(&self.path)?;
        // From here on by its whole name: the process may change its working directory.
        self.path = directory.path().to_owned();
        let mut config = birth.config;
        let hidden = |error| StartError::Data(format!("{}: {error}", self.path.display()));
        if config.bootstrap && began_with_backup(&self.path).map_err(hidden)? {
            tracing::warn!(
                "a restored backup lies here, or was set aside: this node founds no cluster, it joins one"
            );
            config.bootstrap = false;
        }
        let waker = birth.waker;
        let options = store::Options { waker: waker.clone(), ..self.options() };
        let (store, opened) = SledStore::open(&self.path, options, &mut tell("opening the store"))
            .map_err(|error| StartError::Data(error.to_string()))?;
        for damage in &opened.damaged {
            tracing::warn!(why = damage, "the node begins a new lineage");
        }
        for segment in &opened.set_aside {
            tracing::error!(segment = %segment.display(), "beyond repair and set aside");
        }
        let damaged = !opened.damaged.is_empty();
        tracing::info!(
            data = %self.path.display(), clean = opened.clean, replayed = opened.replayed,
            rebuilt = opened.rebuilt, "the store is open"
        );
        let mut node = Node::open(config, store, damaged, birth.seed, birth.now)
            .map_err(|error| StartError::Node(error.to_string()))?;
        let lineage = node.lineage();
        node.store_mut().set_lineage(lineage);
        let restored = Restored::find(&self.path, &self.name, &mut node, waker).map_err(hidden)?;
        let name = self.name.clone();
        let forget_damage_above = damaged.then_some(opened.durable);
        let path = self.path.clone();
        let copying = None;
        Ok(RealNode { node, name, path, restored, forget_damage_above, copying })
    }

    fn set_aside(&mut self) -> Result<PathBuf, StartError> {
        DataDirectory::prepare(&self.path)?.set_aside()
    }
}

/// The node on its disk.
pub struct RealNode {
    node: Node<SledStore>,
    /// The store was damaged when it opened: once more than this is durable, the new lineage is, and the
    /// damage is dealt with.
    forget_damage_above: Option<CommitNumber>,
    name: String,
    path: PathBuf,
    /// A restored backup that lies beside the store.
    restored: Option<Restored>,
    /// The newest backup of this run.
    copying: Option<Copying>,
}

impl RealNode {
    fn begin_backup(&mut self, dir: String) -> Reply {
        if let Some(other) = self.copying.as_ref().filter(|copying| copying.is_under_way()) {
            let why = format!("a backup into {} is under way", other.dir());
            return Reply::Failed(Error::Overloaded(why));
        }
        let node = &self.node;
        let (cluster, id, lineage) = (node.cluster(), node.id(), node.lineage());
        let (cluster, id, lineage) = (cluster.to_string(), id.to_string(), lineage.to_string());
        let manifest = Manifest::begin(cluster, id, self.name.clone(), lineage);
        match Copying::begin(node.store().backup(), dir, self.path.clone(), manifest) {
            Ok(copying) => self.copying.insert(copying).reply(),
            Err(error) => Reply::Failed(Error::Internal(error.to_string())),
        }
    }
}

impl Machine for RealNode {
    fn handle(&mut self, now: Now, event: Event) {
        self.node.handle(now, event);
    }

    fn end_turn(&mut self, now: Now) {
        if let Some(restored) = &mut self.restored {
            restored.attend(&mut self.node);
        }
        self.node.end_turn(now);
        let durable = self.node.store().durable();
        if self.forget_damage_above.take_if(|above| durable > *above).is_some()
            && let Err(error) = self.node.store_mut().forget_damage()
        {
            tracing::error!(%error, "the damage will be told again at the next start");
        }
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.node.poll_effect()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.node.poll_timeout()
    }

    fn epoch(&self) -> Epoch {
        self.node.epoch()
    }

    fn counters(&self) -> Counters {
        Counters { store: self.node.store().stats(), ..self.node.counters() }
    }

    fn readiness(&self) -> Result<(), String> {
        self.node.readiness()
    }

    fn backup(&mut self, ask: BackupRequest) -> Reply {
        match ask {
            BackupRequest::Begin { dir } => self.begin_backup(dir),
            BackupRequest::Look { dir } => match &self.copying {
                Some(copying) if copying.dir() == dir => copying.reply(),
                _ => Reply::Failed(Error::NotFound(format!(
                    "no backup into {dir} was begun since the node started"
                ))),
            },
        }
    }

    fn begin_stop(&mut self, now: Now) {
        self.node.begin_stop(now);
    }

    fn is_stopped(&self) -> bool {
        self.node.is_stopped()
    }

    fn close(self) -> Result<(), StoreError> {
        // What is lent is closed with the node.
        let store = self.node.into_store();
        if let Some(restored) = self.restored {
            restored.end();
        }
        store.close()
    }
}
