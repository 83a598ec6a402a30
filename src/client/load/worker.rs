//! One request at a time, again and again.

use super::super::{Client, Context, RetryPolicy};
use super::tally::Tally;
use super::{Load, Workload};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Instant, sleep, sleep_until};

/// How often a key is tried to be written before the run.
const PREPARE_ATTEMPTS: u32 = 10;

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
            contexts: vec![Context::default(); (load.keys - number).div_ceil(stride)],
            random: fastrand::Rng::new(),
        }
    }

    fn key(&self, index: usize) -> String {
        format!("{:08x}-{index:08}", self.mark)
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
            let (key, value) = (self.key(self.first + own * self.stride), self.value());
            let mut tried = 0;
            self.contexts[own] = loop {
                let put = self.client.put(&self.bucket, &key, value.clone()).operation(operation);
                match put.await {
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
            let read = self.random.u8(..100) < run.workload.reads();
            let result = if read { self.read().await } else { self.write().await };
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
        match self.client.get(&self.bucket, key).await?.is_empty() {
            false => Ok(()),
            // It was written before the clock started, so this is no success.
            true => Err(Error::NotFound("a key that was written".into())),
        }
    }

    async fn write(&mut self) -> Result<()> {
        let own = self.random.usize(..self.contexts.len());
        let (key, value) = (self.key(self.first + own * self.stride), self.value());
        let put = self.client.put(&self.bucket, key, value).context(&self.contexts[own]);
        self.contexts[own] = put.await?.context;
        Ok(())
    }
}
