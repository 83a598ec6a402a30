//! Writers that do not mind a dying node, and readers that check what they read.
//!
//! ```text
//! lines ──┬─ writer ─┐  put, W=2
//!         ├─ writer ─┼──────────────▶ client ──▶ n1 n2 n3
//!         └─ writer ─┘     ▲
//!                          └─ the one that gets ack number K pulls the trigger, while the others
//!                             have requests in flight
//! pulse ──── one small write every few milliseconds, until told to stop
//! ```

use super::dumps::{ItemKey, Promises};
use super::gaps::Gaps;
use super::lines::Line;
use crate::client::{Bytes, Client};
use indicatif::ProgressBar;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Where everything is stored.
pub(super) const BUCKET: &str = "logs";
/// How many lines are on their way at a time.
const WRITERS: usize = 32;
/// How many reads are.
const READERS: usize = 64;
/// How long one line may take to be acknowledged, over all retries.
const LINE_LIMIT: Duration = Duration::from_secs(20);
/// How long a pulse rests.
const PULSE_REST: Duration = Duration::from_millis(5);

/// What was so when the trigger was pulled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shot {
    /// Lines acknowledged before.
    pub acked: usize,
    /// Lines on their way at that moment.
    pub in_flight: usize,
    /// When.
    pub at: Instant,
}

type Trigger = Box<dyn FnOnce() -> Result<(), String> + Send>;

/// All lines, and how far they are.
pub(super) struct Load {
    client: Client,
    lines: Vec<Line>,
    next: AtomicUsize,
    acked: AtomicUsize,
    in_flight: AtomicUsize,
    /// Times that a line had to be offered again, beyond what the client library does by itself.
    offered_again: AtomicU64,
    gaps: Gaps,
    trigger_at: usize,
    trigger: Mutex<Option<Trigger>>,
    shot: Mutex<Option<Result<Shot, String>>>,
}

impl Load {
    /// These lines, through this client. The trigger is pulled when `trigger_at` are acknowledged.
    pub fn new(client: Client, lines: Vec<Line>, trigger_at: usize, trigger: Trigger) -> Load {
        Load {
            client,
            lines,
            next: AtomicUsize::new(0),
            acked: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            offered_again: AtomicU64::new(0),
            gaps: Gaps::new(Instant::now()),
            trigger_at,
            trigger: Mutex::new(Some(trigger)),
            shot: Mutex::new(None),
        }
    }

    /// How many lines were acknowledged so far.
    pub fn acked(&self) -> usize {
        self.acked.load(SeqCst)
    }

    /// How often a line was offered again.
    pub fn offered_again(&self) -> u64 {
        self.offered_again.load(SeqCst)
    }

    /// When there was no success.
    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// What was so when the trigger was pulled.
    pub fn shot(&self) -> Result<Shot, String> {
        let shot = self.shot.lock().unwrap_or_else(PoisonError::into_inner);
        shot.clone().unwrap_or_else(|| Err("it never came to that".to_string()))
    }

    /// What every acknowledged line must be from now on.
    pub fn promises(&self) -> Promises {
        let promise = |line: &Line| (item(&line.source, &line.number), Some(line.text.clone()));
        self.lines.iter().map(promise).collect()
    }

    /// Writes every line until it is acknowledged.
    pub async fn write_all(self: &Arc<Self>, bar: &ProgressBar) -> Result<(), String> {
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (load, bar) = (self.clone(), bar.clone());
            writers.spawn(async move {
                while let Some(line) = load.lines.get(load.next.fetch_add(1, SeqCst)) {
                    load.in_flight.fetch_add(1, SeqCst);
                    let done = load.put(&line.source, &line.number, &line.text, LINE_LIMIT).await;
                    load.in_flight.fetch_sub(1, SeqCst);
                    done?;
                    let acked = load.acked.fetch_add(1, SeqCst) + 1;
                    bar.inc(1);
                    if acked == load.trigger_at {
                        load.pull(acked);
                    }
                }
                Ok(())
            });
        }
        all(writers).await
    }

    fn pull(&self, acked: usize) {
        let trigger = self.trigger.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(trigger) = trigger {
            let in_flight = self.in_flight.load(SeqCst);
            let shot = trigger().map(|()| Shot { acked, in_flight, at: Instant::now() });
            *self.shot.lock().unwrap_or_else(PoisonError::into_inner) = Some(shot);
        }
    }

    /// One write, offered under one operation id until it is acknowledged.
    async fn put(
        &self,
        key: &Bytes,
        sort: &Bytes,
        value: &Bytes,
        limit: Duration,
    ) -> Result<(), String> {
        let operation = self.client.next_operation();
        let deadline = Instant::now() + limit;
        loop {
            let put = self.client.put(BUCKET, key, value.clone()).sort(sort).w(2);
            match put.operation(operation).await {
                Ok(_) => {
                    self.gaps.success(Instant::now());
                    return Ok(());
                }
                Err(error) if error.is_retryable() && Instant::now() < deadline => {
                    self.offered_again.fetch_add(1, SeqCst);
                }
                Err(error) => return Err(format!("{}: {error}", item(key, sort))),
            }
        }
    }

    /// Reads every line at R=2 and compares it.
    pub async fn read_all(self: &Arc<Self>, bar: &ProgressBar) -> Result<(), String> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut readers = JoinSet::new();
        for _ in 0..READERS {
            let (load, next, bar) = (self.clone(), next.clone(), bar.clone());
            readers.spawn(async move {
                while let Some(line) = load.lines.get(next.fetch_add(1, SeqCst)) {
                    load.read(line).await?;
                    bar.inc(1);
                }
                Ok(())
            });
        }
        all(readers).await
    }

    async fn read(&self, line: &Line) -> Result<(), String> {
        let name = item(&line.source, &line.number);
        let get = self.client.get(BUCKET, &line.source).sort(&line.number).r(2);
        let got = get.await.map_err(|error| format!("{name}: {error}"))?;
        match &got.siblings[..] {
            [one] if one.value == line.text => Ok(()),
            [_] => Err(format!("{name} is not what was acknowledged")),
            [] => Err(format!("{name} is gone")),
            several => Err(format!("{name} has {} values", several.len())),
        }
    }
}

/// The name of a line.
pub(super) fn item(key: &Bytes, sort: &Bytes) -> ItemKey {
    ItemKey { bucket: BUCKET.into(), key: key.clone(), sort: sort.clone() }
}

/// Waits for all; the first error ends the others.
async fn all<T: 'static>(mut tasks: JoinSet<Result<T, String>>) -> Result<(), String> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| format!("a task of ours failed: {error}"))??;
    }
    Ok(())
}

/// Small writes without end.
pub(super) struct Pulse {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<Vec<(ItemKey, Bytes)>, String>>,
}

impl Pulse {
    /// Begins, a writer a key.
    pub fn start(load: &Arc<Load>, keys: [String; 2]) -> Pulse {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for key in keys.map(Bytes::from) {
            let (load, stop) = (load.clone(), stop.clone());
            tasks.spawn(async move {
                let mut acked = Vec::new();
                let mut beat = interval(PULSE_REST);
                beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stop.load(SeqCst) {
                    let sort = Bytes::from(format!("{:010}", acked.len()));
                    let value = Bytes::from(format!("beat {}", acked.len()));
                    load.put(&key, &sort, &value, LINE_LIMIT).await?;
                    acked.push((item(&key, &sort), value));
                    beat.tick().await;
                }
                Ok(acked)
            });
        }
        Pulse { stop, tasks }
    }

    /// Ends. Returns what was acknowledged.
    pub async fn stop(mut self) -> Result<Promises, String> {
        self.stop.store(true, SeqCst);
        let mut promises = Promises::new();
        while let Some(ended) = self.tasks.join_next().await {
            let acked = ended.map_err(|error| format!("a task of ours failed: {error}"))??;
            promises.extend(acked.into_iter().map(|(item, value)| (item, Some(value))));
        }
        Ok(promises)
    }
}
