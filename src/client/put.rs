//! Writing one item: a value, or a tombstone.

use super::attempts::Effect;
use super::options::{Options, request};
use super::{Client, Context, Written};
use crate::error::Result;
use crate::message::client::{Expiry, Item, Reply, Request};
use crate::time::{HybridTime, WallClock};
use crate::version::OperationId;
use bytes::Bytes;

/// A write, sent when it is awaited; made by [`Client::put`] and [`Client::delete`].
///
/// # Errors
/// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown): the write may be stored, now or later. Nothing
/// else leaves that open, except a [`Error::Internal`](crate::Error::Internal).
/// [`Error::Unreachable`](crate::Error::Unreachable): it never left this process. A write never ends as
/// `Timeout`.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Put {
    client: Client,
    item: Item,
    value: Option<Bytes>,
    context: Context,
    operation: Option<OperationId>,
    expires_at: Option<Expiry>,
    options: Options,
}

request!(timeout for Put);
request!(quorum for Put);
request!(await Put -> Written);

impl Put {
    pub(super) fn new(client: &Client, bucket: String, key: &[u8], value: Option<Bytes>) -> Put {
        let item = Item { bucket, key: Bytes::copy_from_slice(key), sort: Bytes::new() };
        Put {
            client: client.clone(),
            item,
            value,
            context: Context::default(),
            operation: None,
            expires_at: None,
            options: Options::of(client),
        }
    }

    /// The item's sort key; none unless said.
    pub fn sort(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.item.sort = Bytes::copy_from_slice(sort.as_ref());
        self
    }

    /// How many replicas must have it durably; beats the consistency level.
    pub fn w(mut self, count: u8) -> Self {
        self.options.quorum.count = Some(count);
        self
    }

    /// What the writer has seen of this key: that is replaced, and nothing else.
    pub fn context(mut self, context: &Context) -> Self {
        self.context = context.clone();
        self
    }

    /// The name of this write, instead of a new one: a write with the id of an earlier one *is* that
    /// earlier one. See [`Client::next_operation`].
    pub fn operation(mut self, operation: OperationId) -> Self {
        self.operation = Some(operation);
        self
    }

    /// When it expires: from then on it is as if it had been deleted. Without this or [`ttl`](Put::ttl) the
    /// bucket says.
    pub fn expires_at(mut self, time: WallClock) -> Self {
        self.expires_at = Some(Expiry::At(time.0));
        self
    }

    /// How long it lives, from when its coordinator takes the write.
    pub fn ttl(mut self, ttl: impl Into<Option<std::time::Duration>>) -> Self {
        self.expires_at = ttl.into().map(|ttl| Expiry::After(millis(ttl)));
        self
    }

    /// What is written, and what the writer has seen of it.
    pub(super) fn parts(&self) -> (&Item, &Context) {
        (&self.item, &self.context)
    }

    /// Whether it is a delete.
    pub(super) fn is_delete(&self) -> bool {
        self.value.is_none()
    }

    async fn send(self) -> Result<Written> {
        let required = self.options.required();
        let request = Request::Put {
            item: self.item,
            quorum: self.options.quorum,
            value: self.value,
            context: self.context.as_str().into(),
            // Drawn once for all attempts: this is what makes them one write.
            operation: self.operation.unwrap_or_else(|| self.client.next_operation()),
            expires_at: self.expires_at,
            // Who names an operation does it to try again.
            tried_since: self.operation.map(|_| HybridTime::default()),
        };
        let effect = Effect::Changes { required };
        match self.client.execute(&request, effect, self.options.deadline()).await? {
            Reply::Written { context, info } => {
                Ok(Written { context: Context::from_node(context), info })
            }
            other => Err(super::execute::unexpected(&other)),
        }
    }
}

/// A duration as it travels.
pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
