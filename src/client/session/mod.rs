//! Sessions: who has written reads it, and nobody reads back in time, whichever node answers.
//!
//! ```text
//!   session.put ──▶ n1 ──▶ context kept ─┐
//!   session.get ──▶ n3: behind ──▶ quorum: behind ──▶ all: knows it ──▶ Got
//!                        └── none does until the deadline ──▶ Error::Session
//! ```
//!
//! **Promised**, of every item that the session remembers, for the session's own requests: a read begun after a write
//! was acknowledged knows that write (*read your writes*), and a read begun after another one ended knows all that was
//! seen then (*monotonic reads*). (Terry et al.: Session guarantees for weakly consistent replicated data, 1994.)
//!
//! **Not promised:** anything of a write that ended with an error; of items that were let go, for a session remembers
//! [`SESSION_KEYS`] of them unless told otherwise; of scans and batches, which sessions do not do; and of more than the
//! last [`BEYOND_CAP`](crate::version::BEYOND_CAP) writes of one item beside concurrent ones that were never read.
//!
//! **A deleted item whose tombstone was collected** is a new item with a new life. Where the session last saw nothing,
//! nothing is accepted, and so is a value that it has not seen before; what it has seen go is not. Where it last saw a value
//! and every owner now says that there was never one, the session cannot tell a collected delete from a write that
//! still waits in a hint: it answers [`Error::Session`], and [`Session::forget`] accepts what is there. So does a value
//! that expired.
//!
//! ```no_run
//! # async fn example(client: quorate::client::Client, cookie: Vec<u8>) -> quorate::Result<()> {
//! use quorate::client::Consistency;
//!
//! let session = client.resume(&cookie)?; // or client.session()
//! session.put("carts", "alice", "tea").consistency(Consistency::One).await?;
//! let got = session.get("carts", "alice").consistency(Consistency::One).await?; // never without the tea
//! let cookie = session.export(4096);
//! # drop((got, cookie)); Ok(()) }
//! ```

mod kept;
mod put;
mod table;

pub use put::SessionPut;
pub use table::SESSION_BYTES;

use super::options::{Answer, after, request};
use super::{Client, Get, Got, Put};
use crate::error::{Error, Result};
use crate::message::client::Item;
use crate::quorum::Consistency;
use bytes::Bytes;
use kept::Verdict;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use table::Table;
use tokio::time::Instant;

/// How many items a session remembers unless told otherwise.
pub const SESSION_KEYS: usize = 1024;
/// How often a read is asked at most before it ends as [`Error::Session`]: as it was asked for, of a quorum, and then
/// of all owners, with pauses, for hints may be on their way to them.
pub const SESSION_ROUNDS: u32 = 8;
/// The pause before all owners are asked again; it doubles.
const PAUSE: Duration = Duration::from_millis(20);

/// A session, see the [module](self). Cheap to clone; clones are one session.
#[derive(Clone)]
pub struct Session {
    client: Client,
    table: Arc<Mutex<Table>>,
}

impl Client {
    /// Begins a session that remembers the [`SESSION_KEYS`] items that were used last.
    pub fn session(&self) -> Session {
        self.session_of(SESSION_KEYS)
    }

    /// Begins a session that remembers `keys` items, at least one.
    pub fn session_of(&self, keys: usize) -> Session {
        Session { client: self.clone(), table: Arc::new(Mutex::new(Table::new(keys))) }
    }

    /// Goes on with a session that was [exported](Session::export), here or by another process.
    ///
    /// # Errors
    /// [`Error::Invalid`]: these bytes are no session. Begin a new one; nothing is promised of the old one then.
    pub fn resume(&self, exported: &[u8]) -> Result<Session> {
        let table = Table::import(SESSION_KEYS, exported)?;
        Ok(Session { client: self.clone(), table: Arc::new(Mutex::new(table)) })
    }
}

impl Session {
    /// Reads `key`, no older than what this session has seen of it. Await it to send it.
    pub fn get(&self, bucket: impl Into<String>, key: impl AsRef<[u8]>) -> SessionGet {
        SessionGet { session: self.clone(), get: self.client.get(bucket, key) }
    }

    /// Writes `value`; it replaces what this session has seen of `key`, unless [`SessionPut::context`] says what to
    /// replace. Await it to send it.
    pub fn put(
        &self,
        bucket: impl Into<String>,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
    ) -> SessionPut {
        self.write(self.client.put(bucket, key, value))
    }

    /// Deletes what this session has seen of `key`; a concurrent write survives. Await it to send it.
    pub fn delete(&self, bucket: impl Into<String>, key: impl AsRef<[u8]>) -> SessionPut {
        self.write(self.client.delete(bucket, key))
    }

    fn write(&self, put: Put) -> SessionPut {
        SessionPut::new(self, put)
    }

    /// Lets go of an item: the next read accepts whatever it finds. For after [`Error::Session`].
    pub fn forget(&self, bucket: impl Into<String>, key: impl AsRef<[u8]>, sort: impl AsRef<[u8]>) {
        self.table().forget(&Item {
            bucket: bucket.into(),
            key: Bytes::copy_from_slice(key.as_ref()),
            sort: Bytes::copy_from_slice(sort.as_ref()),
        });
    }

    /// How many items it remembers.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    /// Whether it remembers nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session as bytes, for [`Client::resume`]: the items that were used last, as many as fit into `limit` bytes
    /// (and into [`SESSION_BYTES`]); of the others nothing is promised any more. It holds names and contexts, no values, and it
    /// is neither sealed nor signed: who may change it may void this session's promises, and nothing else.
    pub fn export(&self, limit: usize) -> Vec<u8> {
        self.table().export(limit)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read of a session, sent when it is awaited; made by [`Session::get`].
///
/// # Errors
/// [`Error::Session`]: nobody who answered in time knew all that the session has seen. What else a
/// [`Get`] may end with, where that came before anybody was found to be behind.
#[must_use = "a request does nothing until it is awaited"]
pub struct SessionGet {
    session: Session,
    get: Get,
}

request!(await SessionGet -> Got);

impl SessionGet {
    /// As [`Get::sort`].
    pub fn sort(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.get = self.get.sort(sort);
        self
    }

    /// As [`Get::r`], for the first who are asked.
    pub fn r(mut self, count: u8) -> Self {
        self.get = self.get.r(count);
        self
    }

    /// As [`Get::consistency`], for the first who are asked.
    pub fn consistency(mut self, level: impl Into<Option<Consistency>>) -> Self {
        self.get = self.get.consistency(level);
        self
    }

    /// As [`Get::strict`].
    pub fn strict(mut self, strict: bool) -> Self {
        self.get = self.get.strict(strict);
        self
    }

    /// How long it may take in all, with all who are asked again.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.get = self.get.timeout(timeout);
        self
    }

    async fn send(mut self) -> Result<Got> {
        let (item, options) = self.get.parts();
        let (item, deadline) = (item.clone(), after(options.timeout));
        // What was seen before this read began is what it must know.
        let kept = self.session.table().get(&item);
        let mut pause = PAUSE;
        for round in 0..SESSION_ROUNDS {
            let (_, options) = self.get.parts();
            match round {
                0 => (),
                1 => {
                    options.quorum.count = None;
                    options.quorum.consistency = Some(Consistency::Quorum);
                }
                _ => options.quorum.consistency = Some(Consistency::All),
            }
            options.timeout = deadline.saturating_duration_since(Instant::now());
            let got = match self.get.clone().await {
                Ok(got) => got,
                Err(error) if round == 0 || !error.is_retryable() => return Err(error),
                Err(error) => {
                    return Err(behind(&item, &format!("more could not be asked: {error}")));
                }
            };
            match kept.judge(&got) {
                Verdict::Behind => (),
                Verdict::Unreadable => {
                    return Err(behind(&item, "the node's contexts are newer than this library"));
                }
                Verdict::Descends | Verdict::StillNothing | Verdict::NewLife => {
                    self.session.table().change(&item, |kept| kept.read(&got));
                    return Ok(got);
                }
            }
            if round >= 2 {
                if deadline.saturating_duration_since(Instant::now()) <= pause {
                    break;
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        Err(behind(
            &item,
            "every owner answered, and all of them together know less than was seen before",
        ))
    }
}

/// The bucket may be told; keys are the caller's secret.
fn behind(item: &Item, why: &str) -> Error {
    Error::Session(format!("an item of `{}`: {why}", item.bucket))
}
