//! What can go wrong for a caller, told by what the caller may do next and whether anything changed.
//!
//! Every error has a stable [`code`](Error::code): the same word on the command line, over HTTP and in
//! the client library.

use serde::{Deserialize, Serialize};

/// The result of anything a caller may ask of Quorate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Error {
    /// The request makes no sense as it stands. Nothing changed; mend it before trying again.
    #[error("invalid: {0}")]
    Invalid(String),
    /// There is no such thing. Nothing changed.
    #[error("not_found: {0}")]
    NotFound(String),
    /// The key holds several concurrent values, and one was asked for. Nothing changed.
    #[error("siblings: {count} concurrent values; read them with their context and write one back")]
    Siblings {
        /// How many there are.
        count: usize,
    },
    /// The key already holds as many siblings as one key may. Nothing changed.
    #[error(
        "too_many_siblings: the key holds {count}; read it and write one value with its context"
    )]
    TooManySiblings {
        /// How many there are.
        count: usize,
    },
    /// Larger than the limit. Nothing changed.
    #[error(
        "too_large: {what} has {size} bytes, the limit is {limit}; store less or raise the limit"
    )]
    TooLarge {
        /// Which part of the request.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Too few replicas can be reached to even try. Nothing changed; try again, or ask for less.
    #[error(
        "unavailable: needs {required} replicas, {alive} can be reached; try again, or ask for a lower consistency"
    )]
    Unavailable {
        /// How many the consistency level needs.
        required: usize,
        /// How many could be asked.
        alive: usize,
    },
    /// A read met too few replicas. Nothing changed; try again, or ask for less.
    #[error(
        "quorum_not_met: required {required}, received {received}; try again, or ask for a lower consistency"
    )]
    QuorumNotMet {
        /// How many the consistency level needs.
        required: usize,
        /// How many answered.
        received: usize,
    },
    /// What is there is not what the context has seen: somebody has written or deleted. Nothing changed.
    #[error(
        "context_mismatch: what is there is not what this context has seen; read it again, and decide again"
    )]
    ContextMismatch,
    /// A write may have been stored, and may appear at any later time. Retrying it with the same
    /// operation id is safe; so is reading.
    #[error(
        "outcome_unknown: required {required}, received {received}; the write may still appear: read it, or retry with the same operation id"
    )]
    OutcomeUnknown {
        /// How many durable copies the consistency level needs.
        required: usize,
        /// How many were confirmed in time.
        received: usize,
    },
    /// A read did not finish within its deadline. Nothing changed.
    #[error(
        "timeout: required {required}, received {received} in time; try again, or allow more time"
    )]
    Timeout {
        /// How many the consistency level needs.
        required: usize,
        /// How many answered in time.
        received: usize,
    },
    /// A queue on the way is full. Nothing changed; wait a moment.
    #[error("overloaded: {0}; wait and try again")]
    Overloaded(String),
    /// The node takes no writes, for its disk is (nearly) full or failed. Nothing changed.
    #[error("disk_full: {0}; free space or ask another node")]
    DiskFull(String),
    /// Another change of the cluster is under way. Nothing changed; wait for it, or abort it.
    #[error("change_in_progress: {0}; wait for it to end, or abort it")]
    ChangeInProgress(String),
    /// The caller may not do this. Nothing changed.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// No node could be reached, or the connection broke before anything was sent.
    #[error("unreachable: {0}; check the address and that a node is up")]
    Unreachable(String),
    /// A bug or a broken machine on the other side: see its log.
    #[error("internal: {0}")]
    Internal(String),
    /// No answer in time that knew all that the caller's session has seen. Nothing changed; try again, or let the
    /// session forget the key. Made by the client library alone; no node sends it.
    #[error(
        "session: {0}; try again when more owners can be reached, or let the session forget the key"
    )]
    Session(String),
}

impl Error {
    /// The stable word for this error, with which its text begins.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Invalid(_) => "invalid",
            Error::NotFound(_) => "not_found",
            Error::Siblings { .. } => "siblings",
            Error::TooManySiblings { .. } => "too_many_siblings",
            Error::TooLarge { .. } => "too_large",
            Error::Unavailable { .. } => "unavailable",
            Error::QuorumNotMet { .. } => "quorum_not_met",
            Error::ContextMismatch => "context_mismatch",
            Error::OutcomeUnknown { .. } => "outcome_unknown",
            Error::Timeout { .. } => "timeout",
            Error::Overloaded(_) => "overloaded",
            Error::DiskFull(_) => "disk_full",
            Error::ChangeInProgress(_) => "change_in_progress",
            Error::Forbidden(_) => "forbidden",
            Error::Unreachable(_) => "unreachable",
            Error::Internal(_) => "internal",
            Error::Session(_) => "session",
        }
    }

    /// `(required, received)` where the error is about a count of replicas.
    pub fn counts(&self) -> Option<(usize, usize)> {
        match *self {
            Error::Unavailable { required, alive } => Some((required, alive)),
            Error::QuorumNotMet { required, received }
            | Error::OutcomeUnknown { required, received }
            | Error::Timeout { required, received } => Some((required, received)),
            _ => None,
        }
    }

    /// Whether sending the same request again, with the same operation id, can help and cannot harm.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Error::Unavailable { .. }
                | Error::QuorumNotMet { .. }
                | Error::OutcomeUnknown { .. }
                | Error::Timeout { .. }
                | Error::Overloaded(_)
                | Error::Unreachable(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_begins_with_its_code() {
        for error in [
            Error::Invalid("x".into()),
            Error::Siblings { count: 2 },
            Error::ContextMismatch,
            Error::Session("x".into()),
            Error::TooLarge { what: "value".into(), size: 2, limit: 1 },
            Error::OutcomeUnknown { required: 2, received: 1 },
            Error::Timeout { required: 2, received: 1 },
        ] {
            assert!(error.to_string().starts_with(&format!("{}:", error.code())));
        }
    }
}
