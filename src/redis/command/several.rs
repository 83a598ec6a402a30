//! Commands over several keys: one for each, and an answer made of all. Not at one instant: each key has its own.

use super::super::Reply;
use super::super::number::integer;
use super::{SYNTAX, is};
use crate::redis::pending::Combine;
use bytes::Bytes;
use std::collections::BTreeSet;

/// The first error among them, if there is one.
fn checked(replies: Vec<Reply>, then: impl FnOnce(Vec<Reply>) -> Reply) -> Reply {
    match replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
        Some(error) => error.clone(),
        None => then(replies),
    }
}

/// How many keys there were.
pub(in crate::redis) fn sum() -> Combine {
    Box::new(|replies| {
        checked(replies, |replies| {
            let each = replies.iter().map(|r| if let Reply::Integer(n) = r { *n } else { 0 });
            Reply::Integer(each.sum())
        })
    })
}

/// All of them, in their order.
pub(in crate::redis) fn list() -> Combine {
    Box::new(|replies| checked(replies, Reply::Array))
}

/// That all are written.
pub(in crate::redis) fn all_ok() -> Combine {
    Box::new(|replies| checked(replies, |_| Reply::OK))
}

/// What is done with the members of several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::redis) enum Operation {
    Intersection,
    Union,
    Difference,
    /// How large the intersection is.
    Count,
}

/// The keys, and what becomes of their members; an error: the words are wrong.
pub(in crate::redis) fn members(
    operation: Operation,
    args: &[Bytes],
) -> Result<(Vec<Bytes>, Combine), Reply> {
    let (keys, limit) = match operation {
        Operation::Count => counted(args)?,
        _ => (args[1..].to_vec(), None),
    };
    let combine = move |replies| {
        checked(replies, |replies| {
            let mut sets = replies.into_iter().map(|reply| match reply {
                Reply::Set(members) => members.into_iter().filter_map(bulk).collect(),
                _ => BTreeSet::new(),
            });
            let first: BTreeSet<Bytes> = sets.next().unwrap_or_default();
            let all = sets.fold(first, |all, next| match operation {
                Operation::Union => all.union(&next).cloned().collect(),
                Operation::Difference => all.difference(&next).cloned().collect(),
                _ => all.intersection(&next).cloned().collect(),
            });
            match operation {
                Operation::Count => Reply::count(limit.map_or(all.len(), |l| all.len().min(l))),
                _ => Reply::Set(all.into_iter().map(Reply::Bulk).collect()),
            }
        })
    };
    Ok((keys, Box::new(combine)))
}

fn bulk(reply: Reply) -> Option<Bytes> {
    if let Reply::Bulk(bytes) = reply { Some(bytes) } else { None }
}

/// `SINTERCARD numkeys key … [LIMIT n]`.
fn counted(args: &[Bytes]) -> Result<(Vec<Bytes>, Option<usize>), Reply> {
    let number = integer(&args[1]).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let number = number.ok_or(Reply::error("ERR numkeys should be greater than 0"))?;
    let Some((keys, rest)) = args[2..].split_at_checked(number) else {
        return Err(Reply::error("ERR Number of keys can't be greater than number of args"));
    };
    let limit = match rest {
        [] => None,
        [word, limit] if is(word, "limit") => {
            let limit = integer(limit).and_then(|n| usize::try_from(n).ok());
            Some(limit.ok_or(Reply::error("ERR LIMIT can't be negative"))?).filter(|n| *n > 0)
        }
        _ => return Err(Reply::error(SYNTAX)),
    };
    Ok((keys.to_vec(), limit))
}
