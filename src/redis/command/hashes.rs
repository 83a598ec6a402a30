//! Hashes: a field is an item of its own, and counts as a string does.

use super::super::Reply;
use super::super::number::{float, shown};
use super::super::value::{Kind, Text};
use super::super::view::{Stop, View};
use super::sets::{drawn, fits, missing, removed};
use super::{NOT_FLOAT, SYNTAX, arity, is, scan, to_integer};
use bytes::Bytes;
use std::collections::BTreeMap;

pub(super) fn run(view: &mut View, name: &str, args: &[Bytes]) -> Result<Reply, Stop> {
    match name {
        "hset" | "hmset" => set(view, name, &args[2..]),
        "hget" => Ok(Reply::or_nil(view.member(Kind::Hash, &args[2])?.map(Text::shown))),
        "hmget" => {
            if let Some(needed) = missing(view, Kind::Hash, args[2..].iter())? {
                return Err(needed);
            }
            let each = args[2..].iter();
            let each =
                each.map(|f| Ok(Reply::or_nil(view.member(Kind::Hash, f)?.map(Text::shown))));
            each.collect::<Result<_, Stop>>().map(Reply::Array)
        }
        "hdel" => removed(view, Kind::Hash, &args[2..]),
        "hexists" => Ok(Reply::flag(view.member(Kind::Hash, &args[2])?.is_some())),
        "hstrlen" => {
            let text = view.member(Kind::Hash, &args[2])?.map(Text::shown);
            Ok(Reply::count(text.map_or(0, |text| text.len())))
        }
        "hlen" => Ok(Reply::count(view.members(Kind::Hash)?.len())),
        "hgetall" => {
            let pair = |(field, text)| (Reply::Bulk(field), Reply::Bulk(text));
            Ok(Reply::Map(all(view)?.into_iter().map(pair).collect()))
        }
        "hkeys" => Ok(Reply::Array(all(view)?.into_keys().map(Reply::Bulk).collect())),
        "hvals" => Ok(Reply::Array(all(view)?.into_values().map(Reply::Bulk).collect())),
        "hincrby" => {
            let amount = to_integer(&args[3])?;
            fits([&args[2]])?;
            view.count_in(&args[2], amount).map(Reply::Integer)
        }
        "hincrbyfloat" => count_float(view, args),
        "hscan" => {
            let options = scan::Options::read(&args[2..])?;
            options.no_type()?;
            let fields = all(view)?;
            Ok(options.page(fields.keys().cloned().collect(), |field| {
                vec![Reply::Bulk(field.clone()), Reply::Bulk(fields[field].clone())]
            }))
        }
        "hrandfield" => random(view, args),
        _ => Err(format!("ERR unknown command '{name}'").into()),
    }
}

fn all(view: &View) -> Result<BTreeMap<Bytes, Bytes>, Stop> {
    let fields = view.members(Kind::Hash)?.into_iter();
    Ok(fields.map(|(field, text)| (field.clone(), text.shown())).collect())
}

fn set(view: &mut View, name: &str, pairs: &[Bytes]) -> Result<Reply, Stop> {
    if !pairs.len().is_multiple_of(2) {
        return Err(arity(name));
    }
    fits(pairs.iter().step_by(2))?;
    for value in pairs.iter().skip(1).step_by(2) {
        view.room(value.len())?;
    }
    if let Some(needed) = missing(view, Kind::Hash, pairs.iter().step_by(2))? {
        return Err(needed);
    }
    view.open(Kind::Hash)?;
    let mut added = 0;
    for pair in pairs.chunks_exact(2) {
        let before = view.member(Kind::Hash, &pair[0])?.cloned();
        added += i64::from(before.is_none());
        let text = view.field(pair[1].clone(), before.as_ref());
        view.put(pair[0].clone(), Some(text));
    }
    Ok(if name == "hmset" { Reply::OK } else { Reply::Integer(added) })
}

fn count_float(view: &mut View, args: &[Bytes]) -> Result<Reply, Stop> {
    let amount = float(&args[3]).ok_or(NOT_FLOAT)?;
    fits([&args[2]])?;
    let before = view.member(Kind::Hash, &args[2])?.cloned();
    let there = match &before {
        Some(text) => float(&text.shown()).ok_or("ERR hash value is not a float")?,
        None => 0.0,
    };
    let sum = there + amount;
    if !sum.is_finite() {
        return Err("ERR increment would produce NaN or Infinity".into());
    }
    view.open(Kind::Hash)?;
    let shown = Bytes::from(shown(sum));
    let text = view.field(shown.clone(), before.as_ref());
    view.put(args[2].clone(), Some(text));
    Ok(Reply::Bulk(shown))
}

fn random(view: &mut View, args: &[Bytes]) -> Result<Reply, Stop> {
    let (count, with_values) = match &args[2..] {
        [] => (None, false),
        [count] => (Some(to_integer(count)?), false),
        [count, word] if is(word, "withvalues") => (Some(to_integer(count)?), true),
        _ => return Err(SYNTAX.into()),
    };
    let fields = all(view)?;
    let names: Vec<Bytes> = fields.keys().cloned().collect();
    let Some(count) = count else {
        let one = drawn(&mut view.random, names, 1)?.pop();
        return Ok(Reply::or_nil(one));
    };
    let drawn = drawn(&mut view.random, names, count)?;
    Ok(if with_values {
        let pair = |f: Bytes| (Reply::Bulk(f.clone()), Reply::Bulk(fields[&f].clone()));
        Reply::Pairs(drawn.into_iter().map(pair).collect())
    } else {
        Reply::Array(drawn.into_iter().map(Reply::Bulk).collect())
    })
}
