//! What a command answers, before it is known which protocol the client speaks.

use bytes::Bytes;
use std::borrow::Cow;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short word of ours.
    Simple(Cow<'static, str>),
    /// An error: its first word is stable.
    Error(Cow<'static, str>),
    /// An integer.
    Integer(i64),
    /// A string of bytes.
    Bulk(Bytes),
    /// A text for people.
    Verbatim(String),
    /// Nothing.
    Nil,
    /// Nothing, where a list could have been.
    NilArray,
    /// A list.
    Array(Vec<Reply>),
    /// Pairs; a flat list in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// Pairs in no order; a flat list in RESP2, a list of pairs in RESP3.
    Pairs(Vec<(Reply, Reply)>),
    /// Each but once; a list in RESP2.
    Set(Vec<Reply>),
}

impl Reply {
    /// `OK`.
    pub(super) const OK: Reply = Reply::Simple(Cow::Borrowed("OK"));

    pub(super) fn bulk(bytes: impl AsRef<[u8]>) -> Reply {
        Reply::Bulk(Bytes::copy_from_slice(bytes.as_ref()))
    }

    pub(super) fn error(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::Error(text.into())
    }

    pub(super) fn flag(is: bool) -> Reply {
        Reply::Integer(is.into())
    }

    pub(super) fn count(count: usize) -> Reply {
        Reply::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(super) fn or_nil(bytes: Option<Bytes>) -> Reply {
        bytes.map_or(Reply::Nil, Reply::Bulk)
    }
}
