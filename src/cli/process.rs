//! A process of this machine that may be nobody's child: signals that reach it and no other, and its end.
//!
//! A number is given to another process when its owner is gone; a descriptor is not.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// One process, as long as this is held: its number cannot come to mean another.
#[derive(Debug)]
pub(super) struct Process(OwnedFd);

impl Process {
    /// Whoever has this number now, if somebody has.
    pub fn open(pid: Pid) -> io::Result<Option<Process>> {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => Ok(Some(Process(descriptor))),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a signal. Returns whether anybody was there to hear it.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it has ended, which is after its ports and locks are free; a zombie has. False: it has
    /// not within `limit`.
    pub fn ended(&self, limit: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_signalled_and_its_end_is_waited_for() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let process = Process::open(pid).unwrap().expect("it runs");
        assert!(!process.ended(Duration::from_millis(1)).unwrap());
        assert!(process.signal(Signal::TERM).unwrap());
        assert!(process.ended(Duration::from_secs(10)).unwrap(), "a zombie has ended");
        child.wait().unwrap();
        assert!(process.ended(Duration::ZERO).unwrap());
        assert!(!process.signal(Signal::KILL).unwrap(), "nobody hears it");
        assert!(Process::open(pid).unwrap().is_none());
    }
}
