//! What a cluster's folder holds: how many nodes, on which ports, and whether it was founded.

use crate::cli::failure::{About, Failure, Result};
use crate::cli::keygen;
use crate::cli::local::LocalNode;
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How many nodes a new cluster has.
const NODES: u16 = 5;
/// Where its ports begin.
const BASE_PORT: u16 = 7600;
/// How far the ports of two nodes are apart.
const PORTS_PER_NODE: u16 = 10;

/// `D/cluster.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    nodes: u16,
    base_port: u16,
    /// n1 has founded the cluster: nobody may do so again.
    founded: bool,
}

/// A cluster in a folder.
#[derive(Debug)]
pub(super) struct Cluster {
    dir: PathBuf,
    facts: Facts,
}

impl Cluster {
    /// The cluster in this folder.
    pub fn open(dir: &Path) -> Result<Cluster> {
        let path = dir.join("cluster.toml");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::new(
                    "not_found",
                    format!("there is no cluster in {}", dir.display()),
                    "begin with `quorate cluster start`, or name its folder with --dir",
                ));
            }
            other => other.about(path.display())?,
        };
        let facts = toml::from_str(&text).map_err(|error| {
            Failure::new("invalid", format!("{}: {error}", path.display()), "mend or remove it")
        })?;
        // Absolute, for it is how processes are recognised from any working directory.
        let dir = fs::canonicalize(dir).about(dir.display())?;
        Ok(Cluster { dir, facts })
    }

    /// The cluster in this folder, or a new one; an old one may grow.
    pub fn open_or_new(dir: &Path, nodes: Option<u16>, base_port: Option<u16>) -> Result<Cluster> {
        let mut cluster = if dir.join("cluster.toml").exists() {
            Cluster::open(dir)?
        } else {
            fs::create_dir_all(dir).about(dir.display())?;
            let dir = fs::canonicalize(dir).about(dir.display())?;
            let (nodes, base_port) = (nodes.unwrap_or(NODES), base_port.unwrap_or(BASE_PORT));
            Cluster { dir, facts: Facts { nodes, base_port, founded: false } }
        };
        let Facts { nodes: has, base_port: base, .. } = cluster.facts;
        if base_port.is_some_and(|port| port != base) {
            return Err(Failure::new(
                "invalid",
                format!("the cluster in {} has base port {base}", cluster.dir.display()),
                "leave --base-port out, or use another --dir",
            ));
        }
        match nodes {
            Some(nodes) if nodes < has => {
                return Err(Failure::new(
                    "invalid",
                    format!("the cluster in {} has {has} nodes already", cluster.dir.display()),
                    "leave --nodes out, or use another --dir",
                ));
            }
            Some(nodes) => cluster.facts.nodes = nodes,
            None => {}
        }
        let highest = u32::from(base) + u32::from(cluster.facts.nodes * PORTS_PER_NODE) + 2;
        if highest > u32::from(u16::MAX) {
            return Err(Failure::new(
                "invalid",
                format!("{} nodes from base port {base} need port {highest}", cluster.facts.nodes),
                "choose a lower --base-port",
            ));
        }
        cluster.save()?;
        Ok(cluster)
    }

    /// Where its key is, or would be.
    fn key_file(&self) -> PathBuf {
        self.dir.join("cluster.key")
    }

    /// The file with its key, where it has one.
    pub fn key(&self) -> Option<PathBuf> {
        Some(self.key_file()).filter(|file| file.exists())
    }

    /// Gives a cluster that is not founded yet a key. One that has a key keeps it.
    ///
    /// # Errors
    /// It is founded and has none: its nodes would not understand each other while some have it.
    pub fn seal(&self) -> Result<()> {
        match (self.key(), self.founded()) {
            (Some(_), _) => Ok(()),
            (None, false) => keygen::write(&self.key_file()),
            (None, true) => {
                let what = format!("the cluster in {} has no key", self.dir.display());
                let next = "to give it one, stop it, `quorate keygen D/cluster.key`, and start it";
                Err(Failure::new("invalid", what, next))
            }
        }
    }

    /// Whether n1 has founded it.
    pub fn founded(&self) -> bool {
        self.facts.founded
    }

    /// Remembers for ever that it was founded.
    pub fn set_founded(&mut self) -> Result<()> {
        self.facts.founded = true;
        self.save()
    }

    fn save(&self) -> Result<()> {
        let text = toml::to_string(&self.facts).expect("three plain fields are TOML");
        let (path, new) = (self.dir.join("cluster.toml"), self.dir.join("cluster.toml.new"));
        fs::write(&new, text).about(new.display())?;
        fs::rename(&new, &path).about(path.display())
    }

    /// The number of a node's port: 0 native, 1 HTTP, 2 RESP.
    pub fn address(&self, number: u16, port: u16) -> SocketAddr {
        let port = self.facts.base_port + number * PORTS_PER_NODE + port;
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// All of them, in order.
    pub fn nodes(&self) -> Vec<LocalNode> {
        (1..=self.facts.nodes).map(|number| self.node(number)).collect()
    }

    fn node(&self, number: u16) -> LocalNode {
        let others = (1..=self.facts.nodes).filter(|other| *other != number);
        LocalNode {
            name: format!("n{number}"),
            dir: self.dir.join(format!("n{number}")),
            native: self.address(number, 0),
            http: self.address(number, 1),
            resp: self.address(number, 2),
            join: others.map(|other| self.address(other, 0)).collect(),
            extra: "",
            key_file: self.key(),
        }
    }

    /// Those with these numbers.
    pub fn select(&self, numbers: &[u16]) -> Result<Vec<LocalNode>> {
        let select = |number: &u16| {
            if *number > self.facts.nodes {
                return Err(Failure::new(
                    "not_found",
                    format!("there is no n{number}: the cluster has {} nodes", self.facts.nodes),
                    "see `quorate cluster status`",
                ));
            }
            Ok(self.node(*number))
        };
        numbers.iter().map(select).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_has_the_ports_of_the_interface() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::open_or_new(&dir.path().join("D"), None, None).unwrap();
        let nodes = cluster.nodes();
        assert_eq!(nodes.len(), 5);
        assert_eq!(nodes[0].native, "127.0.0.1:7610".parse().unwrap());
        assert_eq!(nodes[4].http, "127.0.0.1:7651".parse().unwrap());
        assert_eq!(cluster.address(1, 2), "127.0.0.1:7612".parse().unwrap());
        assert!(nodes[1].dir.is_absolute() && nodes[1].dir.ends_with("D/n2"));
        assert!(!nodes[1].join.contains(&nodes[1].native) && nodes[1].join.len() == 4);
    }

    #[test]
    fn a_folder_remembers_and_may_grow_but_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let open = |nodes, port| Cluster::open_or_new(dir.path(), nodes, port);
        open(Some(3), Some(9000)).unwrap().set_founded().unwrap();
        let again = open(None, None).unwrap();
        assert!(again.founded() && again.nodes().len() == 3);
        assert_eq!(open(Some(4), Some(9000)).unwrap().nodes().len(), 4);
        assert_eq!(open(Some(3), None).unwrap_err().code(), "invalid");
        assert_eq!(open(None, Some(9001)).unwrap_err().code(), "invalid");
        assert_eq!(
            Cluster::open(dir.path()).unwrap().select(&[5]).unwrap_err().code(),
            "not_found"
        );
    }

    #[test]
    fn ports_must_exist() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Cluster::open_or_new(dir.path(), Some(5), Some(65_500)).is_err());
    }

    #[test]
    fn no_cluster_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Cluster::open(dir.path()).unwrap_err().code(), "not_found");
    }
}
