//! One request at a time, again and again.

use crate::Load;
use crate::report::Tally;
use crate::systems::Connection;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often a key is tried to be written before the run.
const PREPARE_ATTEMPTS: u32 = 10;
/// After a failure. Some take no time by themselves: a loop without a pause would starve the servers.
const PAUSE: Duration = Duration::from_millis(25);

/// It reads any key, and writes only its own: every `stride`-th, from `first`.
pub struct Worker<C: Connection> {
    connection: C,
    first: usize,
    stride: usize,
    keys: usize,
    reads: u8,
    value_bytes: usize,
    limit: Duration,
    /// Of its own keys.
    seen: Vec<C::Seen>,
    random: fastrand::Rng,
}

fn key(index: usize) -> String {
    format!("peers-{index:08}")
}

impl<C: Connection> Worker<C> {
    /// The worker of this number, among all connections times in flight.
    pub fn new(connection: C, load: &Load, number: usize) -> Worker<C> {
        let stride = load.connections * load.in_flight;
        Worker {
            connection,
            first: number,
            stride,
            keys: load.keys,
            reads: load.workload.reads(),
            value_bytes: load.value_bytes,
            limit: load.request_limit(),
            seen: vec![C::Seen::default(); (load.keys - number).div_ceil(stride)],
            random: fastrand::Rng::new(),
        }
    }

    /// Bytes that no compression and no deduplication makes cheaper than real ones.
    fn value(&mut self) -> Bytes {
        let mut value = vec![0; self.value_bytes];
        self.random.fill(&mut value);
        value.into()
    }

    /// Writes every key of its own, before the clock starts, and learns what a writer of it must have seen.
    pub async fn prepare(&mut self) -> Result<()> {
        for own in 0..self.seen.len() {
            let mut tried = 1;
            while let Err(error) = self.prepare_one(own).await {
                if tried == PREPARE_ATTEMPTS {
                    return Err(error.context("a key could not be written before the run"));
                }
                tried += 1;
                sleep(PAUSE * tried).await;
            }
        }
        Ok(())
    }

    async fn prepare_one(&mut self, own: usize) -> Result<()> {
        let (key, value) = (key(self.first + own * self.stride), self.value());
        let connection = &mut self.connection;
        let seen = &mut self.seen[own];
        let all = async {
            *seen = connection.look(&key).await?;
            connection.put(&key, value, seen).await?;
            *seen = connection.look(&key).await?;
            Ok(())
        };
        timeout(self.limit, all).await.context("timeout")?
    }

    /// Sends until time is up.
    pub async fn work(mut self, tally: Arc<Mutex<Tally>>) {
        let tally = || tally.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let sent = Instant::now();
            if tally().over(sent) {
                return;
            }
            let limit = self.limit;
            let request = async {
                match self.random.u8(..100) < self.reads {
                    true => self.read().await,
                    false => self.write().await,
                }
            };
            let result = timeout(limit, request).await.context("timeout").and_then(|ended| ended);
            tally().ended(sent, Instant::now(), result.as_ref().err());
            if result.is_err() {
                sleep(PAUSE).await;
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        let key = key(self.random.usize(..self.keys));
        let bytes = self.connection.get(&key).await?;
        // It was written before the clock started, so anything else is no success.
        ensure!(bytes >= self.value_bytes, "a key that was written is not there");
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let own = self.random.usize(..self.seen.len());
        let (key, value) = (key(self.first + own * self.stride), self.value());
        self.connection.put(&key, value, &mut self.seen[own]).await
    }
}
