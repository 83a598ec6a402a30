//! What makes a folder a backup: one JSON file, which sums itself up.
//!
//! ```text
//!   { "manifest": { "format": 1, "name": "n2", …, "log": { "commit": 41, "files": […] } },
//!     "blake3": "…" }                                  of the manifest, keys sorted, without blanks
//! ```

use crate::store::Copied;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::SystemTime;

/// The newest form of a manifest, and the one that is written.
const FORMAT: u32 = 1;

/// Whose backup this is, and what it consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// Of the program that wrote it.
    version: String,
    cluster: String,
    node: String,
    name: String,
    lineage: String,
    taken_at: String,
    /// What the store says of it; none before it is copied.
    pub(super) log: Option<Copied>,
}

impl Manifest {
    /// Of a backup that begins now.
    pub(in crate::server) fn begin(
        cluster: String,
        node: String,
        name: String,
        lineage: String,
    ) -> Manifest {
        let version = env!("CARGO_PKG_VERSION").into();
        let taken_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Manifest { format: FORMAT, version, cluster, node, name, lineage, taken_at, log: None }
    }

    /// Whose it is, by name.
    pub(in crate::server) fn name(&self) -> &str {
        &self.name
    }

    /// The newest commit in it.
    pub(super) fn commit(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.commit.0)
    }

    /// What people want to know of it.
    pub fn summary(&self) -> Value {
        json!({
            "name": self.name,
            "node": self.node,
            "cluster": self.cluster,
            "lineage": self.lineage,
            "taken_at": self.taken_at,
            "version": self.version,
            "commit": self.commit(),
            "files": self.log.as_ref().map_or(0, |log| log.files.len()),
            "bytes": self.log.as_ref().map_or(0, Copied::bytes),
        })
    }

    /// The content of the file.
    pub(in crate::server) fn encode(&self) -> Vec<u8> {
        let manifest = serde_json::to_value(self).expect("a manifest is plain data");
        let sealed = json!({ "manifest": manifest, "blake3": sum(&manifest) });
        let mut text = serde_json::to_vec_pretty(&sealed).expect("a value is JSON");
        text.push(b'\n');
        text
    }

    /// What the file says, if nobody has changed it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(in crate::server) fn decode(bytes: &[u8]) -> Result<Manifest, String> {
        let sealed: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let manifest = &sealed["manifest"];
        if sealed["blake3"] != sum(manifest) {
            return Err("it does not match its checksum".into());
        }
        match manifest["format"].as_u64() {
            Some(format) if format <= FORMAT.into() => {}
            format => {
                let format = format.map_or("?".to_string(), |format| format.to_string());
                return Err(format!("it has format {format}, this program knows up to {FORMAT}"));
            }
        }
        serde_json::from_value(manifest.clone()).map_err(|error| error.to_string())
    }
}

/// The keys of a JSON object are sorted, so its text is always the same.
fn sum(manifest: &Value) -> String {
    blake3::hash(manifest.to_string().as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let log = Copied {
            format: 1,
            commit: crate::store::CommitNumber(41),
            sequence: 57,
            files: Vec::new(),
        };
        let text = |text: &str| text.to_string();
        let begun = Manifest::begin(text("c"), text("n"), text("n2"), text("l"));
        Manifest { log: Some(log), ..begun }
    }

    #[test]
    fn a_manifest_comes_back_and_none_that_was_changed() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest()));
        let text = String::from_utf8(bytes).unwrap();
        for (old, new) in [("41", "40"), ("\"n2\"", "\"n3\""), ("\"format\": 1", "\"format\": 0")] {
            assert!(text.contains(old), "{text}");
            assert!(Manifest::decode(text.replace(old, new).as_bytes()).is_err());
        }
        for length in 0..text.trim_end().len() {
            assert!(Manifest::decode(&text.as_bytes()[..length]).is_err());
        }
    }

    #[test]
    fn a_newer_form_is_refused() {
        let newer = Manifest { format: FORMAT + 1, ..manifest() };
        assert!(Manifest::decode(&newer.encode()).unwrap_err().contains("format 2"));
    }
}
