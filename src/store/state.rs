//! The small files beside the log: how the last run ended, and what was found damaged.
//!
//! ```text
//!   running ──orderly close──► clean      the index's files were synced: trust it, wherever
//!      │
//!      ├─ process died, same boot ──►     the page cache survived: trust it from "applied" on
//!      └─ machine died, another boot ──►  trust only the log: rebuild
//! ```

use super::CommitNumber;
use super::disk::{Disk, read_all};
use std::io;
use xxhash_rust::xxh3::xxh3_64;

const STATE: &str = "STATE";
const DAMAGE: &str = "DAMAGE";

/// How the last run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Whether it was closed in order, with everything synced.
    pub(crate) clean: bool,
    /// Which boot of the machine it ran in; empty when that cannot be known.
    pub(crate) boot: String,
    /// The last sequence number, when clean.
    pub(crate) sequence: u64,
    /// The last commit number, when clean.
    pub(crate) commit: CommitNumber,
    /// An index that has applied less than this points into segments that are gone.
    pub(crate) floor: u64,
    /// The oldest segment that there must be.
    pub(crate) oldest: u32,
}

impl State {
    /// Nothing when there is no such file, or when it is damaged: then the index is not trusted.
    pub(crate) fn read(disk: &dyn Disk) -> io::Result<Option<State>> {
        let Some(text) = read_text(disk, STATE)? else { return Ok(None) };
        Ok(parse(&text))
    }

    /// Returns when it is durable.
    pub(crate) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let how = if self.clean { "clean" } else { "running" };
        let boot = if self.boot.is_empty() { "unknown" } else { &self.boot };
        let (sequence, commit, floor) = (self.sequence, self.commit.0, self.floor);
        let oldest = self.oldest;
        let line = format!("{how} {boot} {sequence} {commit} {floor} {oldest}");
        write_text(disk, STATE, &format!("{line}\n{:016x}\n", xxh3_64(line.as_bytes())))
    }

    /// Whether the page cache of the last run can still be there.
    pub(crate) fn is_same_boot(&self, boot: &str) -> bool {
        !boot.is_empty() && self.boot == boot
    }
}

fn parse(text: &str) -> Option<State> {
    let (line, sum) = text.trim_end().split_once('\n')?;
    if u64::from_str_radix(sum, 16).ok()? != xxh3_64(line.as_bytes()) {
        return None;
    }
    let mut words = line.split(' ');
    let clean = words.next()? == "clean";
    let boot = words.next().filter(|boot| *boot != "unknown").unwrap_or_default().to_owned();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (sequence, commit, floor) = (number()?, CommitNumber(number()?), number()?);
    let oldest = u32::try_from(number()?).ok()?;
    Some(State { clean, boot, sequence, commit, floor, oldest })
}

/// What earlier starts found damaged and nobody has acted on: it must not be forgotten by a crash.
pub(crate) fn read_damage(disk: &dyn Disk) -> io::Result<Vec<String>> {
    let text = read_text(disk, DAMAGE)?.unwrap_or_default();
    Ok(text.lines().map(str::to_owned).collect())
}

/// Remembers damage durably.
pub(crate) fn write_damage(disk: &dyn Disk, damage: &[String]) -> io::Result<()> {
    write_text(disk, DAMAGE, &damage.iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// Which boot of the machine this is; empty when it does not say.
pub(crate) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

fn read_text(disk: &dyn Disk, name: &str) -> io::Result<Option<String>> {
    let bytes = match disk.open(name) {
        Ok(file) => read_all(&*file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn write_text(disk: &dyn Disk, name: &str, text: &str) -> io::Result<()> {
    let new = format!("{name}.tmp");
    let file = disk.create(&new)?;
    file.append(text.as_bytes())?;
    file.sync()?;
    disk.rename(&new, name)?;
    disk.sync_dir()
}
