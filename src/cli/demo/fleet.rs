//! The demo's nodes: real processes on loopback that never outlive us.
//!
//! * Dropping the fleet kills every process, however we end; should we end without dropping anything,
//!   the kernel kills them.

use crate::cli::failure::{About, Failure, Result};
use crate::cli::local::{Lifetime, LocalNode, Start};
use crate::cli::probe;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

/// How long a node may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Where free ports are looked for: below what the system gives to outgoing connections, so that
/// nobody takes a dead node's port before it is back.
const PORTS: std::ops::Range<u16> = 15_000..31_000;
/// How often another place is tried.
const PORT_TRIES: usize = 200;
/// A demo is over before the usual pause between two comparisons is.
const SETTINGS: &str = "\n[timing]\nsync = \"5s\"\n";

/// The processes and their folder.
#[derive(Debug)]
pub(super) struct Fleet {
    dir: PathBuf,
    temporary: bool,
    nodes: Vec<(LocalNode, Option<Child>)>,
}

impl Fleet {
    /// So many nodes, not yet started, in this folder or in a temporary one.
    pub fn new(count: u8, dir: Option<&Path>) -> Result<Fleet> {
        let temporary = dir.is_none();
        let dir = match dir {
            Some(dir) => dir.to_path_buf(),
            None => {
                let name = format!("quorate-demo-{}-{:08x}", std::process::id(), fastrand::u32(..));
                std::env::temp_dir().join(name)
            }
        };
        std::fs::create_dir_all(&dir).about(dir.display())?;
        let dir = std::fs::canonicalize(&dir).about(dir.display())?;
        if std::fs::read_dir(&dir).about(dir.display())?.next().is_some() {
            let next = "name an empty folder, or leave --dir out";
            return Err(Failure::new("invalid", format!("{} is not empty", dir.display()), next));
        }
        let nodes = free_places(&dir, u16::from(count))?;
        Ok(Fleet { dir, temporary, nodes: nodes.into_iter().map(|node| (node, None)).collect() })
    }

    /// Where they live.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps the folder, for somebody should look into the logs.
    pub fn keep(&mut self) {
        self.temporary = false;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// One of them, from 0.
    pub fn node(&self, index: usize) -> &LocalNode {
        &self.nodes[index].0
    }

    /// All of them.
    pub fn nodes(&self) -> impl Iterator<Item = &LocalNode> {
        self.nodes.iter().map(|(node, _)| node)
    }

    /// The process id of one of them; 0 when it is down.
    pub fn pid(&self, index: usize) -> u32 {
        self.nodes[index].1.as_ref().map_or(0, Child::id)
    }

    /// Starts all of them, the founder first, and waits until they are ready.
    ///
    /// Not from a task: the children die with the thread that starts them.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn(0, Start::Found)?;
        self.wait_ready(0).await?;
        for index in 1..self.nodes.len() {
            self.spawn(index, Start::Join)?;
        }
        for index in 1..self.nodes.len() {
            self.wait_ready(index).await?;
        }
        Ok(())
    }

    /// Starts one again, with what it has.
    pub async fn restart(&mut self, index: usize) -> Result<()> {
        self.spawn(index, Start::Join)?;
        self.wait_ready(index).await
    }

    fn spawn(&mut self, index: usize, role: Start) -> Result<()> {
        let (node, child) = &mut self.nodes[index];
        node.check_ports()?;
        *child = Some(node.spawn(role, Lifetime::WithUs)?);
        Ok(())
    }

    async fn wait_ready(&mut self, index: usize) -> Result<()> {
        let (node, child) = &mut self.nodes[index];
        let http = node.http;
        let ready = probe::until(READY_LIMIT, async || {
            // A process that has ended will never be ready: do not wait for it.
            match child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                Some(status) => Ok(Some(status)),
                None => probe::ready(http).await.map(|()| None),
            }
        });
        let reason = match ready.await {
            Ok(None) => return Ok(()),
            Ok(Some(status)) => format!("ended with {status}"),
            Err(reason) => format!("is not ready after {} s: {reason}", READY_LIMIT.as_secs()),
        };
        let next = format!("look into {}", node.log().display());
        let failure = Failure::new("unavailable", format!("{} {reason}", node.name), &next);
        let details = node.last_words(8);
        self.keep();
        Err(failure.details(details))
    }

    /// Takes note that one of them was killed, so that its process can be forgotten.
    pub fn bury(&mut self, index: usize) -> std::io::Result<()> {
        match self.nodes[index].1.take() {
            Some(mut child) => child.wait().map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Nothing here may fail loudly: whatever cannot be cleaned is left to the system.
        for (_, child) in &mut self.nodes {
            if let Some(child) = child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// Nodes whose ports are all free now.
fn free_places(dir: &Path, count: u16) -> Result<Vec<LocalNode>> {
    for _ in 0..PORT_TRIES {
        let base = fastrand::u16(PORTS.start..PORTS.end - 10 * count);
        let nodes = places(dir, base, count);
        if nodes.iter().all(|node| node.check_ports().is_ok()) {
            return Ok(nodes);
        }
    }
    let next = "stop something that listens on many ports";
    Err(Failure::new("port_in_use", "no free ports were found on 127.0.0.1", next))
}

fn places(dir: &Path, base: u16, count: u16) -> Vec<LocalNode> {
    let address = |number: u16, port| SocketAddr::from(([127, 0, 0, 1], base + 10 * number + port));
    let place = |number: u16| LocalNode {
        name: format!("n{}", number + 1),
        dir: dir.join(format!("n{}", number + 1)),
        native: address(number, 0),
        http: address(number, 1),
        resp: address(number, 2),
        join: (0..count).filter(|other| *other != number).map(|other| address(other, 0)).collect(),
        extra: SETTINGS,
        key_file: None,
    };
    (0..count).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_finds_free_ports_and_leaves_nothing_behind() {
        let fleet = Fleet::new(3, None).unwrap();
        let dir = fleet.dir().to_path_buf();
        assert!(dir.is_dir());
        assert_eq!(fleet.nodes().filter(|node| node.check_ports().is_ok()).count(), 3);
        assert_eq!((fleet.len(), fleet.pid(0)), (3, 0));
        drop(fleet);
        assert!(!dir.exists());
    }

    #[test]
    fn a_folder_that_was_named_must_be_empty_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("demo");
        drop(Fleet::new(3, Some(&place)).unwrap());
        assert!(place.is_dir());
        std::fs::write(place.join("x"), "").unwrap();
        assert_eq!(Fleet::new(3, Some(&place)).unwrap_err().code(), "invalid");
    }
}
