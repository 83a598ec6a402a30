//! One request at a time, again and again.

use super::super::{Client, Context, RetryPolicy};
use super::tally::Tally;
use super::workload::Act;
use super::{Load, Workload};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Instant, sleep, sleep_until};

/// How often a key is tried to be written before the run.
const PREPARE_ATTEMPTS: u32 = 10;
/// How many items one partition key has, where ranges are read.
const THREAD: usize = 1_000;
/// The longest range that is read.
const RANGE: usize = 100;
/// Nine of ten reads of what was added last are of this share of all.
const LATEST: f64 = 0.1;

/// What all workers of a run share.
pub(super) struct Run {
    pub(super) tally: Mutex<Tally>,
    pub(super) workload: Workload,
    pub(super) rate: Option<f64>,
}

impl Run {
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It reads any key, and writes only its own: every `stride`-th, from `first`.
pub(super) struct Worker {
    client: Client,
    bucket: String,
    mark: u32,
    first: usize,
    stride: usize,
    keys: usize,
    value_bytes: usize,
    /// Whether keys are items of threads.
    threads: bool,
    /// Of its own keys, as far as it has written them.
    contexts: Vec<Context>,
    random: fastrand::Rng,
}

impl Worker {
    pub(super) fn new(client: Client, load: &Load, mark: u32, number: usize) -> Worker {
        let stride = load.clients * load.in_flight;
        Worker {
            client,
            bucket: load.bucket.clone(),
            mark,
            first: number,
            stride,
            keys: load.keys,
            value_bytes: load.value_bytes,
            threads: load.workload == Workload::Ranges,
            contexts: vec![Context::default(); (load.keys - number).div_ceil(stride)],
            random: fastrand::Rng::new(),
        }
    }

    /// Partition key and sort key.
    fn key(&self, index: usize) -> (String, String) {
        let mark = self.mark;
        match self.threads {
            false => (format!("{mark:08x}-{index:08}"), String::new()),
            true => (format!("{mark:08x}-{:08}", index / THREAD), format!("{:04}", index % THREAD)),
        }
    }

    fn own_key(&self, own: usize) -> (String, String) {
        self.key(self.first + own * self.stride)
    }

    /// Bytes that no compression and no deduplication makes cheaper than real ones.
    fn value(&mut self) -> Bytes {
        let mut value = vec![0; self.value_bytes];
        self.random.fill(&mut value);
        value.into()
    }

    /// Writes every key of its own once, before the clock starts.
    pub(super) async fn write_own_keys(&mut self) -> Result<()> {
        for own in 0..self.contexts.len() {
            // One operation for all tries: they are one write.
            let operation = self.client.next_operation();
            let ((key, sort), value) = (self.own_key(own), self.value());
            let mut tried = 0;
            self.contexts[own] = loop {
                let put = self.client.put(&self.bucket, &key, value.clone()).sort(&sort);
                match put.operation(operation).await {
                    Ok(written) => break written.context,
                    Err(error) if error.is_retryable() && tried < PREPARE_ATTEMPTS => {
                        tried += 1;
                        sleep(RetryPolicy::default().pause(tried, self.random.f64())).await;
                    }
                    Err(error) => return Err(error),
                }
            };
        }
        Ok(())
    }

    /// Sends until time is up.
    pub(super) async fn work(mut self, run: Arc<Run>) {
        loop {
            let next = run.tally().next_moment(Instant::now(), run.rate);
            let Some(moment) = next else { return };
            if run.rate.is_some() {
                sleep_until(moment).await;
            }
            let result = match run.workload.act(self.random.u8(..100)) {
                Act::Read => self.read().await,
                Act::ReadLatest => self.read_latest().await,
                Act::ReadRange => self.read_range().await,
                Act::Write => self.write().await,
                Act::Insert => self.insert().await,
                Act::Modify => self.modify().await,
            };
            run.tally().ended(moment, Instant::now(), result.as_ref().err());
            if let Err(Error::Unreachable(_) | Error::Overloaded(_)) = result {
                // Neither takes time by itself: a loop without a pause would starve the nodes.
                sleep(RetryPolicy::default().backoff).await;
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        let index = self.random.usize(..self.keys);
        let key = self.key(index);
        self.see(key).await
    }

    /// One of its own keys, the younger the likelier.
    async fn read_latest(&mut self) -> Result<()> {
        let count = self.contexts.len();
        let mean = count as f64 * LATEST / std::f64::consts::LN_10;
        let back = (-(1.0 - self.random.f64()).ln() * mean) as usize;
        let key = self.own_key(count - 1 - back.min(count - 1));
        self.see(key).await
    }

    async fn see(&self, (key, sort): (String, String)) -> Result<()> {
        match self.client.get(&self.bucket, key).sort(sort).await?.is_empty() {
            false => Ok(()),
            // It was written before, so this is no success.
            true => Err(Error::NotFound("a key that was written".into())),
        }
    }

    async fn read_range(&mut self) -> Result<()> {
        let index = self.random.usize(..self.keys);
        let (key, from) = self.key(index);
        let limit = self.random.usize(1..=RANGE);
        let items = self.client.scan(&self.bucket, key).from(from).limit(limit).await?;
        match items.is_empty() {
            false => Ok(()),
            true => Err(Error::NotFound("an item that was written".into())),
        }
    }

    /// A key that nobody has written yet.
    async fn insert(&mut self) -> Result<()> {
        let ((key, sort), value) = (self.own_key(self.contexts.len()), self.value());
        let written = self.client.put(&self.bucket, key, value).sort(sort).await?;
        self.contexts.push(written.context);
        Ok(())
    }

    /// Reads one of its own keys, and writes it with what the read has shown.
    async fn modify(&mut self) -> Result<()> {
        let own = self.random.usize(..self.contexts.len());
        let ((key, sort), value) = (self.own_key(own), self.value());
        let got = self.client.get(&self.bucket, &key).sort(&sort).await?;
        if got.is_empty() {
            return Err(Error::NotFound("a key that was written".into()));
        }
        let put = self.client.put(&self.bucket, key, value).sort(sort).context(&got.context);
        self.contexts[own] = put.await?.context;
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let own = self.random.usize(..self.contexts.len());
        let ((key, sort), value) = (self.own_key(own), self.value());
        let put = self.client.put(&self.bucket, key, value).sort(sort).context(&self.contexts[own]);
        self.contexts[own] = put.await?.context;
        Ok(())
    }
}
