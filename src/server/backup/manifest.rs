//! What makes a folder a backup: one JSON file, which sums itself up.
//!
//! ```text
//!   { "manifest": { "format": 1, "name": "n2", …, "log": { "commit": 41, "files": […] } },
//!     "blake3": "…" }                                  of the manifest, keys sorted, without blanks
//! ```

use crate::store::Copied;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

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
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let version = env!("CARGO_PKG_VERSION").into();
        let taken_at = date(now.as_secs());
        Manifest { format: FORMAT, version, cluster, node, name, lineage, taken_at, log: None }
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
    pub(super) fn encode(&self) -> Vec<u8> {
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
    pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, String> {
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

/// Seconds since 1970 as a date and time in UTC. The days of a year are counted from the first of March, so
/// that the leap day comes last: month m then begins on day (153·m + 2) / 5.
fn date(secs: u64) -> String {
    let (days, secs) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
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

    #[test]
    fn seconds_are_dates() {
        for (secs, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date(secs), expected);
        }
    }
}
