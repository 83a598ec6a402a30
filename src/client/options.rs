//! What every request may say of itself.

use super::Client;
use crate::quorum::{Consistency, QuorumRequest};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// The future of a request. It owns all that it needs, so it may be spawned.
pub type Answer<T> = Pin<Box<dyn Future<Output = crate::Result<T>> + Send>>;

/// The longest timeout that makes a difference: later moments may be beyond the clock's end.
pub(super) const FAR_AWAY: Duration = Duration::from_secs(30 * 86_400);

/// The moment `timeout` from now.
pub(super) fn after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(FAR_AWAY)
}

/// The part that requests have in common.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) quorum: QuorumRequest,
    pub(super) timeout: Duration,
}

impl Options {
    pub(super) fn of(client: &Client) -> Options {
        let profile = &client.profile;
        Options {
            quorum: QuorumRequest {
                consistency: profile.consistency,
                count: None,
                strict: profile.strict,
            },
            timeout: profile.timeout,
        }
    }

    /// When it must be over, if it starts now.
    pub(super) fn deadline(&self) -> Instant {
        after(self.timeout)
    }

    /// How many replicas this asks for, as far as a client can know: it knows no bucket's N.
    pub(super) fn required(&self) -> usize {
        match (self.quorum.count, self.quorum.consistency) {
            (Some(count), _) => usize::from(count),
            (None, Some(Consistency::Two)) => 2,
            (None, Some(Consistency::Three)) => 3,
            _ => 1,
        }
    }
}

/// The methods that requests share, and an `await` that calls `send`.
macro_rules! request {
    (timeout for $name:ident) => {
        impl $name {
            /// How long it may take in all, retries included.
            pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
                self.options.timeout = timeout;
                self
            }
        }
    };
    (quorum for $name:ident) => {
        impl $name {
            /// How many replicas must answer, by name; see
            /// [`Consistency`](crate::quorum::Consistency). `None` leaves it to the bucket.
            pub fn consistency(
                mut self,
                level: impl Into<Option<crate::quorum::Consistency>>,
            ) -> Self {
                self.options.quorum.consistency = level.into();
                self
            }

            /// Owners only: no fallback may stand in.
            pub fn strict(mut self, strict: bool) -> Self {
                self.options.quorum.strict = strict;
                self
            }
        }
    };
    (await $name:ident -> $output:ty) => {
        impl std::future::IntoFuture for $name {
            type Output = crate::Result<$output>;
            type IntoFuture = super::Answer<$output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.send())
            }
        }
    };
}

pub(super) use request;
