//! Cassandra: CQL with prepared statements, QUORUM for both. One session, and so one connection for requests, per client.

use super::Connection;
use crate::Load;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use scylla::client::PoolSize;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::host_filter::AllowListHostFilter;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// What the data live in; made by the first connection.
const SCHEMA: [&str; 2] = [
    "CREATE KEYSPACE IF NOT EXISTS bench WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}",
    "CREATE TABLE IF NOT EXISTS bench.items (key text PRIMARY KEY, value blob)",
];

#[derive(Clone)]
pub struct Cassandra(Arc<Prepared>);

struct Prepared {
    session: Session,
    put: PreparedStatement,
    get: PreparedStatement,
}

impl Connection for Cassandra {
    type Seen = ();

    async fn open(node: &str, _load: &Load) -> Result<Self> {
        // The driver would open a connection to every node it hears of.
        let only = AllowListHostFilter::new([node])?;
        let session = SessionBuilder::new()
            .known_node(node)
            .host_filter(Arc::new(only))
            .pool_size(PoolSize::PerHost(NonZeroUsize::MIN))
            .build()
            .await?;
        for statement in SCHEMA {
            session.query_unpaged(statement, ()).await?;
        }
        let mut put = session.prepare("INSERT INTO bench.items (key, value) VALUES (?, ?)").await?;
        let mut get = session.prepare("SELECT value FROM bench.items WHERE key = ?").await?;
        put.set_consistency(Consistency::Quorum);
        get.set_consistency(Consistency::Quorum);
        Ok(Cassandra(Arc::new(Prepared { session, put, get })))
    }

    async fn look(&mut self, _key: &str) -> Result<()> {
        Ok(())
    }

    async fn put(&mut self, key: &str, value: Bytes, _seen: &mut ()) -> Result<()> {
        let Prepared { session, put, .. } = &*self.0;
        session.execute_unpaged(put, (key, value)).await.context("INSERT")?;
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Result<usize> {
        let Prepared { session, get, .. } = &*self.0;
        let rows = session.execute_unpaged(get, (key,)).await.context("SELECT")?;
        let value = rows.into_rows_result()?.maybe_first_row::<(Bytes,)>()?;
        Ok(value.map_or(0, |(value,)| value.len()))
    }
}
