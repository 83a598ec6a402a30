//! Quorate: its client library, QUORUM for both, no retries. A write carries the context of that key's last write, as a
//! well-behaved client's does.

use super::Connection;
use crate::Load;
use anyhow::Result;
use bytes::Bytes;
use quorate::client::{Client, Consistency, Context, ExecutionProfile, RetryPolicy};

const BUCKET: &str = "bench";

#[derive(Clone)]
pub struct Quorate(Client);

impl Connection for Quorate {
    type Seen = Context;

    async fn open(node: &str, load: &Load) -> Result<Self> {
        let profile = ExecutionProfile {
            consistency: Some(Consistency::Quorum),
            timeout: load.request_limit(),
            // What a retry hides would be missing from the figures.
            retries: RetryPolicy::never(),
            ..ExecutionProfile::default()
        };
        let builder = Client::builder().nodes([node]).profile(profile);
        Ok(Quorate(builder.in_flight(load.in_flight).name("peers").build().await?))
    }

    async fn look(&mut self, key: &str) -> Result<Context> {
        Ok(self.0.get(BUCKET, key).await?.context)
    }

    async fn put(&mut self, key: &str, value: Bytes, seen: &mut Context) -> Result<()> {
        *seen = self.0.put(BUCKET, key, value).context(seen).await?.context;
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Result<usize> {
        let got = self.0.get(BUCKET, key).await?;
        Ok(got.siblings.first().map_or(0, |version| version.value.len()))
    }
}
