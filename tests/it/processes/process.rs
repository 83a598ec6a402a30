//! Processes whose end can be waited for, whoever's children they are.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

/// One process; its number cannot come to mean another while this is held.
pub struct Process(OwnedFd);

impl Process {
    /// A process that is there; our own child is until somebody has waited for it.
    pub fn open(pid: Pid) -> Process {
        Process(pidfd_open(pid, PidfdFlags::empty()).expect("a process that is there"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.0, signal).expect("our own child hears signals");
    }

    /// Waits until it has ended and its ports and locks are free. False: it has not within `limit`.
    pub fn ended(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("a few minutes");
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Err(Errno::INTR) => {}
                ready => return ready.expect("a descriptor can be polled") > 0,
            }
        }
    }
}

/// A child that ends with the test.
pub struct Guard(pub Child);

impl Guard {
    /// Waits for it to end by itself. False: it has not within `limit`.
    pub fn ends(&self, limit: Duration) -> bool {
        Process::open(Pid::from_child(&self.0)).ended(limit)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
