//! Redis: a put is SET and WAIT 1 in one packet, so that one replica has it too; a get is GET from the primary.
//!
//! WAIT blocks its whole connection until the replica has answered. So multiplexing helps gets only.

use super::Connection;
use crate::Load;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, cmd, pipe};

#[derive(Clone)]
pub struct Redis {
    connection: MultiplexedConnection,
    /// How long WAIT waits, ms.
    limit: u64,
}

impl Connection for Redis {
    type Seen = ();

    async fn open(node: &str, load: &Load) -> Result<Self> {
        let info = format!("redis://{node}/").into_connection_info()?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(tcp))?;
        // The worker has a limit of its own, the same for all systems.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let limit = u64::try_from(load.request_limit().as_millis())?.max(1);
        Ok(Redis { connection, limit })
    }

    async fn look(&mut self, _key: &str) -> Result<()> {
        Ok(())
    }

    async fn put(&mut self, key: &str, value: Bytes, _seen: &mut ()) -> Result<()> {
        let mut packet = pipe();
        packet.cmd("SET").arg(key).arg(&value[..]).ignore();
        packet.cmd("WAIT").arg(1).arg(self.limit);
        let (replicas,): (u64,) = packet.query_async(&mut self.connection).await?;
        ensure!(replicas >= 1, "no replica has it");
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Result<usize> {
        let value: Option<Vec<u8>> =
            cmd("GET").arg(key).query_async(&mut self.connection).await.context("GET")?;
        Ok(value.map_or(0, |value| value.len()))
    }
}
