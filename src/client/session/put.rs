//! A session's write: it replaces what the session has seen, and is demanded from then on.

use super::Session;
use crate::client::options::request;
use crate::client::{Context, Put, Written};
use crate::error::Result;
use crate::quorum::Consistency;
use std::time::Duration;

/// A write of a session, sent when it is awaited; made by [`Session::put`] and [`Session::delete`].
///
/// # Errors
/// Those of a [`Put`]. After one the session demands nothing of this write, also where its outcome is unknown.
#[must_use = "a request does nothing until it is awaited"]
pub struct SessionPut {
    session: Session,
    put: Put,
    explicit: bool,
}

request!(await SessionPut -> Written);

impl SessionPut {
    pub(super) fn new(session: &Session, put: Put) -> SessionPut {
        SessionPut { session: session.clone(), put, explicit: false }
    }

    /// As [`Put::sort`].
    pub fn sort(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.put = self.put.sort(sort);
        self
    }

    /// As [`Put::w`].
    pub fn w(mut self, count: u8) -> Self {
        self.put = self.put.w(count);
        self
    }

    /// As [`Put::consistency`].
    pub fn consistency(mut self, level: impl Into<Option<Consistency>>) -> Self {
        self.put = self.put.consistency(level);
        self
    }

    /// As [`Put::strict`].
    pub fn strict(mut self, strict: bool) -> Self {
        self.put = self.put.strict(strict);
        self
    }

    /// What it replaces, instead of all that the session has seen.
    pub fn context(mut self, context: &Context) -> Self {
        self.put = self.put.context(context);
        self.explicit = true;
        self
    }

    /// As [`Put::ttl`].
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.put = self.put.ttl(ttl);
        self
    }

    /// As [`Put::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.put = self.put.timeout(timeout);
        self
    }

    async fn send(mut self) -> Result<Written> {
        let item = self.put.parts().0.clone();
        if !self.explicit {
            let seen = self.session.table().get(&item).context();
            self.put = self.put.context(&seen);
        }
        let (before, delete) = (self.put.parts().1.clone(), self.put.is_delete());
        let written = self.put.await?;
        self.session.table().change(&item, |kept| kept.wrote(&written.context, &before, delete));
        Ok(written)
    }
}
