//! Harm that an operator does to this node on purpose, where `node.enable_chaos` allows it.
//!
//! ```text
//!   kill        SIGKILL, as if the power had gone
//!   pause       SIGSTOP, and SIGCONT by a child of its own after a while
//!   partition   no frame and no datagram comes in from a node or goes out to one; clients are served as ever
//!   heal        the end of a partition
//! ```

use rustix::process::{Signal, getpid, kill_process};
use std::io;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a pause takes.
const PAUSE: Duration = Duration::from_secs(10);
/// After how long a partition heals by itself.
const PARTITION: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    Kill,
    Pause,
    Partition,
    Heal,
}

impl Harm {
    /// As the path names it.
    pub(super) fn named(name: &str) -> Option<Harm> {
        Some(match name {
            "kill" => Harm::Kill,
            "pause" => Harm::Pause,
            "partition" => Harm::Partition,
            "heal" => Harm::Heal,
            _ => return None,
        })
    }
}

/// Shared by the thread that is told and the one that is cut off.
#[derive(Debug)]
pub(super) struct Chaos {
    began: Instant,
    /// In milliseconds since then; 0: it is not cut off.
    cut_until: AtomicU64,
}

impl Chaos {
    pub(super) fn new() -> Chaos {
        Chaos { began: Instant::now(), cut_until: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Does it, and says for how long; a kill does not come back.
    ///
    /// # Errors
    /// The system refused, or has no `sh` that would end the pause. Nothing has happened then.
    pub(super) fn harm(&self, harm: Harm) -> io::Result<Duration> {
        match harm {
            Harm::Kill => {
                kill_process(getpid(), Signal::KILL)?;
                Ok(Duration::ZERO)
            }
            Harm::Pause => {
                // Who stands still cannot wake himself.
                let wake = format!("sleep {}; kill -CONT {}", PAUSE.as_secs(), getpid());
                let mut waker = Command::new("sh");
                let waker = waker.args(["-c", &wake]).stdin(Stdio::null()).stdout(Stdio::null());
                let mut waker = waker.stderr(Stdio::null()).spawn()?;
                kill_process(getpid(), Signal::STOP)?;
                let _ = waker.wait();
                Ok(PAUSE)
            }
            Harm::Partition => {
                let until = self.now() + PARTITION.as_millis() as u64;
                self.cut_until.store(until, Ordering::Relaxed);
                Ok(PARTITION)
            }
            Harm::Heal => {
                self.cut_until.store(0, Ordering::Relaxed);
                Ok(Duration::ZERO)
            }
        }
    }

    /// Whether nothing passes between this node and others.
    pub(super) fn is_cut_off(&self) -> bool {
        let until = self.cut_until.load(Ordering::Relaxed);
        until != 0 && self.now() < until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_ends_when_it_is_healed_and_by_itself() {
        let mut chaos = Chaos::new();
        assert!(!chaos.is_cut_off());
        chaos.harm(Harm::Partition).expect("it needs nothing");
        assert!(chaos.is_cut_off());
        chaos.harm(Harm::Heal).expect("it needs nothing");
        assert!(!chaos.is_cut_off());
        chaos.harm(Harm::Partition).expect("it needs nothing");
        chaos.began -= PARTITION;
        assert!(!chaos.is_cut_off(), "after a minute");
    }
}
