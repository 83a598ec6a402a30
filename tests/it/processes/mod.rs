//! Real node processes, real disks, real signals: what a user would try.
//!
//! ```text
//! a test ──┬─ quorate cluster start|kill|wipe|pause …    the binary of this build
//!          ├─ the client library, HTTP, raw sockets      through any node
//!          └─ a watchdog                                 ends the nodes when the test does, however it does
//! ```
//!
//! Clusters live in temporary folders on ports of their own, so tests may run side by side. Longer runs
//! for those who have the time: `QUORATE_KILLS=10`, `QUORATE_ROUNDS=20`, `QUORATE_LOGHUB=<folder of *.log>`.

mod backups;
mod bad_input;
pub mod cluster;
mod commands;
mod consistency;
mod counters;
mod disk;
mod drain;
mod fencing;
mod files;
mod gaps;
mod http;
mod kills;
mod latency;
mod lists;
mod load;
mod log_store;
mod logs;
mod owners;
mod process;
mod rehearsal;
mod resp;
mod restarts;
mod rot;
mod routing;
mod sealed;
mod sessions;
mod staleness;
mod syslog;
mod tools;
mod types;
mod versions;
mod watch;
mod wire;
mod wrecks;
