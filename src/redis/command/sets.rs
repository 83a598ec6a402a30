//! Sets: a member is an item of its own.

use super::super::Reply;
use super::super::value::{Kind, MEMBER_LIMIT, Text};
use super::super::view::{Stop, View};
use super::{SYNTAX, scan, to_integer};
use bytes::Bytes;
use std::collections::BTreeSet;

/// How often a member may be drawn again at most.
const DRAWS_LIMIT: usize = 1 << 20;

pub(super) fn run(view: &mut View, name: &str, args: &[Bytes]) -> Result<Reply, Stop> {
    match name {
        "sadd" => {
            let members = &args[2..];
            fits(members)?;
            let mut added = BTreeSet::new();
            let needed = missing(view, Kind::Set, members.iter())?;
            if let Some(needed) = needed {
                return Err(needed);
            }
            for member in members {
                if view.member(Kind::Set, member)?.is_none() {
                    added.insert(member);
                }
            }
            if !added.is_empty() {
                view.open(Kind::Set)?;
            }
            let count = added.len();
            for member in added {
                view.put(member.clone(), Some(Text::default()));
            }
            Ok(Reply::count(count))
        }
        "srem" => removed(view, Kind::Set, &args[2..]),
        "sismember" => Ok(Reply::flag(view.member(Kind::Set, &args[2])?.is_some())),
        "smismember" => {
            if let Some(needed) = missing(view, Kind::Set, args[2..].iter())? {
                return Err(needed);
            }
            let each = args[2..].iter();
            let each = each.map(|m| Ok(Reply::flag(view.member(Kind::Set, m)?.is_some())));
            each.collect::<Result<_, Stop>>().map(Reply::Array)
        }
        "scard" => Ok(Reply::count(view.members(Kind::Set)?.len())),
        "smembers" => Ok(Reply::Set(all(view)?.into_iter().map(Reply::Bulk).collect())),
        "sscan" => {
            let options = scan::Options::read(&args[2..])?;
            options.no_type()?;
            Ok(options.page(all(view)?, |member| vec![Reply::Bulk(member.clone())]))
        }
        "spop" => pop(view, args),
        _ => random(view, args),
    }
}

fn all(view: &View) -> Result<Vec<Bytes>, Stop> {
    Ok(view.members(Kind::Set)?.into_iter().map(|(member, _)| member.clone()).collect())
}

/// All names that must be known and are not, at once.
pub(super) fn missing<'a>(
    view: &View,
    kind: Kind,
    members: impl Iterator<Item = &'a Bytes>,
) -> Result<Option<Stop>, Stop> {
    let mut needed = Vec::new();
    for member in members {
        match view.member(kind, member) {
            Err(Stop::Need(super::super::view::Need::Members(one))) => needed.extend(one),
            Err(other) => return Err(other),
            Ok(_) => {}
        }
    }
    let need = super::super::view::Need::Members(needed);
    Ok((need != super::super::view::Need::Members(Vec::new())).then_some(Stop::Need(need)))
}

/// What is longer cannot be stored.
pub(super) fn fits<'a>(members: impl IntoIterator<Item = &'a Bytes>) -> Result<(), Stop> {
    match members.into_iter().find(|member| member.len() > MEMBER_LIMIT) {
        Some(long) => Err(format!(
            "TOOLARGE a member or field has {} bytes, the limit is {MEMBER_LIMIT}; nothing has changed",
            long.len()
        )
        .into()),
        None => Ok(()),
    }
}

/// Removes what is there, and says how many these were.
pub(super) fn removed(view: &mut View, kind: Kind, members: &[Bytes]) -> Result<Reply, Stop> {
    if let Some(needed) = missing(view, kind, members.iter())? {
        return Err(needed);
    }
    let mut count = 0;
    for member in members {
        if view.member(kind, member)?.is_some() {
            view.put(member.clone(), None);
            count += 1;
        }
    }
    Ok(Reply::Integer(count))
}

fn pop(view: &mut View, args: &[Bytes]) -> Result<Reply, Stop> {
    let count = match &args[2..] {
        [] => None,
        [count] => {
            let count = super::super::number::integer(count).and_then(|n| usize::try_from(n).ok());
            Some(count.ok_or("ERR value is out of range, must be positive")?)
        }
        _ => return Err(SYNTAX.into()),
    };
    let mut members = all(view)?;
    view.random.shuffle(&mut members);
    members.truncate(count.unwrap_or(1));
    for member in &members {
        view.put(member.clone(), None);
    }
    Ok(match count {
        None => Reply::or_nil(members.pop()),
        Some(_) => Reply::Set(members.into_iter().map(Reply::Bulk).collect()),
    })
}

/// So many of them: each at most once, or, where negative, drawn anew each time.
pub(super) fn drawn(
    random: &mut fastrand::Rng,
    mut all: Vec<Bytes>,
    count: i64,
) -> Result<Vec<Bytes>, Stop> {
    let number = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count >= 0 {
        random.shuffle(&mut all);
        all.truncate(number);
        return Ok(all);
    }
    if number > DRAWS_LIMIT {
        return Err("ERR value is out of range".into());
    }
    if all.is_empty() {
        return Ok(all);
    }
    Ok((0..number).map(|_| all[random.usize(..all.len())].clone()).collect())
}

fn random(view: &mut View, args: &[Bytes]) -> Result<Reply, Stop> {
    match &args[2..] {
        [] => {
            let members = all(view)?;
            let count = members.len();
            Ok(if count == 0 {
                Reply::Nil
            } else {
                Reply::Bulk(members[view.random.usize(..count)].clone())
            })
        }
        [count] => {
            let count = to_integer(count)?;
            let members = all(view)?;
            let members = drawn(&mut view.random, members, count)?;
            Ok(Reply::Array(members.into_iter().map(Reply::Bulk).collect()))
        }
        _ => Err(SYNTAX.into()),
    }
}
