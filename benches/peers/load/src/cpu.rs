//! CPU time: of servers by their `/proc/PID/stat`, of this process by `getrusage`.
//!
//! A server's time is counted in ticks of the kernel (mostly 10 ms): runs of seconds are exact enough. Children that a server
//! has waited for (a rewrite of Redis's log, say) are its work, too.

use anyhow::{Context as _, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{SysconfVar, sysconf};
use std::fs;
use std::time::Duration;

/// Where `utime`, `stime`, `cutime` and `cstime` are, counted from the field behind the name.
const FIRST_TIME: usize = 11;

/// What everybody on this machine has used so far, and what the machine was kept from using (steal).
pub fn of_the_machine() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    seconds(busy_ticks(&stat).with_context(|| format!("/proc/stat: {stat}"))?)
}

fn seconds(ticks: u64) -> Result<Duration> {
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK)?.context("the kernel has no clock tick")?;
    Ok(Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64))
}

/// What these processes have used so far.
///
/// # Errors
/// One of them is gone: then the run says nothing.
pub fn of_processes(pids: &[u32]) -> Result<Duration> {
    let mut ticks = 0;
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("the server process {pid} is gone"))?;
        ticks += ticks_of(&stat).with_context(|| format!("the server process {pid} is dead"))?;
    }
    seconds(ticks)
}

/// What this process has used so far.
pub fn of_this_process() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0)
    };
    Ok(Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time())))
}

fn ticks_of(stat: &str) -> Option<u64> {
    // The name may hold anything, spaces and brackets too; nothing behind it does.
    let (_, fields) = stat.rsplit_once(')')?;
    // Whoever started it may not have looked yet: a dead process keeps its line until then.
    if fields.trim_start().starts_with(['Z', 'X']) {
        return None;
    }
    let times: Vec<u64> = fields
        .split_whitespace()
        .skip(FIRST_TIME)
        .take(4)
        .map_while(|field| field.parse().ok())
        .collect();
    (times.len() == 4).then(|| times.iter().sum())
}

fn busy_ticks(stat: &str) -> Option<u64> {
    let times: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = times[..] else {
        return None;
    };
    Some(user + nice + system + irq + softirq + steal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_busy_with_all_but_waiting() {
        let stat = "cpu  1 20 300 9999 9999 4000 50000 600000 9 9\ncpu0 1 1 1";
        assert_eq!(busy_ticks(stat), Some(654_321));
        assert_eq!(busy_ticks("cpu  1 2 3"), None);
        assert_eq!(busy_ticks(""), None);
    }

    #[test]
    fn times_are_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 5 0 99";
        for name in ["redis-server", "a b", "x) S 1 (y"] {
            assert_eq!(ticks_of(&format!("77 ({name}) {rest}")), Some(127), "{name}");
        }
        assert_eq!(ticks_of(&format!("77 (dead) {}", rest.replace('S', "Z"))), None);
        assert_eq!(ticks_of("77 (short) S 1 2"), None);
        assert_eq!(ticks_of(""), None);
    }

    #[test]
    fn this_process_is_seen_from_both_sides() {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(200) {}
        let own = of_this_process().expect("getrusage");
        let seen = of_processes(&[std::process::id()]).expect("/proc");
        assert!(
            own >= Duration::from_millis(50) && own.abs_diff(seen) < Duration::from_millis(100)
        );
        assert!(of_processes(&[u32::MAX]).is_err());
    }
}
