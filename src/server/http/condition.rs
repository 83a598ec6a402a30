//! `If-Match`: a write that is wanted only where nobody has written since.
//!
//! ```text
//!   PUT, If-Match: c ─► does a quorum hold what c has seen? ─┬─ no  ─► 412, nothing was written
//!                                                            └─ yes ─► the write, with c as its context
//! ```
//!
//! It is a check before the write, and no compare-and-swap: who writes between the two, or at the same time, is not
//! refused. Both values then stand as siblings, as without the check.

use super::answer::CONTEXT;
use super::bridge::Bridge;
use super::kv::{CONTEXT_LIMIT, header, unexpected};
use crate::message::client::{Item, Reply, Request};
use crate::quorum::QuorumRequest;
use crate::version::OperationId;
use crate::{Error, Result};
use axum::http::{HeaderMap, header};
use std::time::Duration;

/// What a write has seen, and whether that is to be checked before.
pub(super) struct Condition<'a> {
    pub context: &'a str,
    is_checked: bool,
}

impl Condition<'_> {
    /// What the headers say.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a condition that is no context, or two contexts.
    pub fn of(headers: &HeaderMap) -> Result<Condition<'_>> {
        let plain = header(headers, &CONTEXT, CONTEXT_LIMIT)?;
        let Some(condition) = header(headers, &header::IF_MATCH, CONTEXT_LIMIT)? else {
            return Ok(Condition { context: plain.unwrap_or_default(), is_checked: false });
        };
        let context = condition.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let context = context.unwrap_or(condition);
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if headers.get_all(header::IF_MATCH).iter().count() > 1 || !context.bytes().all(is_token) {
            let why = "header `if-match`: give it one context, as X-Quorate-Context came";
            return Err(Error::Invalid(why.into()));
        }
        if plain.is_some_and(|plain| plain != context) {
            let why = "`if-match` and `x-quorate-context` are two contexts: give one of them";
            return Err(Error::Invalid(why.into()));
        }
        Ok(Condition { context, is_checked: true })
    }

    /// Asks whether it holds, where there is one.
    ///
    /// # Errors
    /// [`Error::ContextMismatch`], and what a read may end with. Nothing changed.
    pub async fn hold(
        &self,
        bridge: &Bridge,
        item: &Item,
        quorum: QuorumRequest,
        operation: Option<OperationId>,
        timeout: Option<Duration>,
    ) -> Result<()> {
        if !self.is_checked {
            return Ok(());
        }
        let (item, context) = (item.clone(), self.context.to_owned());
        let check = Request::Check { item, quorum, context, operation };
        match bridge.ask(check, timeout).await {
            Reply::Got { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn condition(headers: &[(&'static str, &'static str)]) -> Option<(String, bool)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let condition = Condition::of(&map).ok()?;
        Some((condition.context.to_owned(), condition.is_checked))
    }

    #[test]
    fn a_condition_is_one_context_quoted_or_not() {
        let some = |context: &str, is_checked| Some((context.to_owned(), is_checked));
        assert_eq!(condition(&[]), some("", false));
        assert_eq!(condition(&[("x-quorate-context", "a-b")]), some("a-b", false));
        assert_eq!(condition(&[("if-match", "\"a-b\"")]), some("a-b", true));
        assert_eq!(
            condition(&[("if-match", "a-b"), ("x-quorate-context", "a-b")]),
            some("a-b", true)
        );
        // Nothing was seen, and nothing may be there.
        assert_eq!(condition(&[("if-match", "\"\"")]), some("", true));
        for wrong in ["*", "\"a\", \"b\"", "W/\"a\"", "\"a"] {
            assert_eq!(condition(&[("if-match", wrong)]), None, "{wrong}");
        }
        assert_eq!(condition(&[("if-match", "a"), ("if-match", "b")]), None);
        assert_eq!(condition(&[("if-match", "a"), ("x-quorate-context", "b")]), None);
    }
}
