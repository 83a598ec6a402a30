//! The real machine on the real disk: opens the store in the data directory, and the node upon it.

use super::directory::DataDirectory;
use super::machine::{Birth, Machine, Opener};
use super::start::StartError;
use crate::config::{Durability, ServerConfig, StoreSection};
use crate::node::{Counters, Effect, Event, Node};
use crate::store::{self, SledStore, StoreError};
use crate::time::{Instant, Now};
use std::path::PathBuf;

/// Opens nodes on one data directory.
#[derive(Debug)]
pub struct NodeOpener {
    path: PathBuf,
    store: StoreSection,
}

impl NodeOpener {
    /// For the data directory of these settings. Nothing is touched yet.
    pub fn new(config: &ServerConfig) -> NodeOpener {
        NodeOpener { path: config.node.data_dir.clone(), store: config.store.clone() }
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
    type Machine = Node<SledStore>;

    fn open(&mut self, birth: Birth) -> Result<Node<SledStore>, StartError> {
        let directory = DataDirectory::prepare(&self.path)?;
        // From here on by its whole name: the process may change its working directory.
        self.path = directory.path().to_owned();
        let options = store::Options { waker: birth.waker, ..self.options() };
        let mut progress =
            |progress: store::Progress| tracing::info!(?progress, "opening the store");
        let (store, opened) = SledStore::open(&self.path, options, &mut progress)
            .map_err(|error| StartError::Data(error.to_string()))?;
        for damage in &opened.damaged {
            tracing::error!(damage, "the store is damaged; the node begins a new lineage");
        }
        for segment in &opened.set_aside {
            tracing::error!(segment = %segment.display(), "beyond repair and set aside");
        }
        let damaged = !opened.damaged.is_empty();
        tracing::info!(
            data = %self.path.display(), clean = opened.clean, replayed = opened.replayed,
            rebuilt = opened.rebuilt, "the store is open"
        );
        Node::open(birth.config, store, damaged, birth.seed, birth.now)
            .map_err(|error| StartError::Node(error.to_string()))
    }

    fn set_aside(&mut self) -> Result<PathBuf, StartError> {
        DataDirectory::prepare(&self.path)?.set_aside()
    }
}

impl Machine for Node<SledStore> {
    fn handle(&mut self, now: Now, event: Event) {
        Node::handle(self, now, event);
    }

    fn end_turn(&mut self, now: Now) {
        Node::end_turn(self, now);
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        Node::poll_effect(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Node::poll_timeout(self)
    }

    fn counters(&self) -> Counters {
        Node::counters(self)
    }

    fn readiness(&self) -> Result<(), String> {
        match crate::store::Store::failed(self.store()) {
            Some(error) => Err(error.to_string()),
            None => Node::readiness(self),
        }
    }

    fn begin_stop(&mut self, now: Now) {
        Node::begin_stop(self, now);
    }

    fn is_stopped(&self) -> bool {
        Node::is_stopped(self)
    }

    fn close(self) -> Result<(), StoreError> {
        self.into_store().close()
    }
}
