//! Strings and numbers.

use super::super::Reply;
use super::super::number::shown;
use super::super::value::Text;
use super::super::view::{Stop, View};
use super::{SYNTAX, When, arity, is, to_float, to_integer};
use bytes::Bytes;

pub(super) fn run(view: &mut View, name: &str, args: &[Bytes]) -> Result<Reply, Stop> {
    match name {
        "get" => Ok(Reply::or_nil(view.string()?)),
        // What is no string counts as nothing here, as in Redis.
        "mget" => match view.string() {
            Err(Stop::Say(_)) => Ok(Reply::Nil),
            other => Ok(Reply::or_nil(other?)),
        },
        "mset" => view.set(args[2].clone(), None).map(|()| Reply::OK),
        "set" => set(view, args),
        "getset" => {
            let before = view.string()?;
            view.set(args[2].clone(), None)?;
            Ok(Reply::or_nil(before))
        }
        "getdel" => {
            let before = view.string()?;
            if before.is_some() {
                view.remove()?;
            }
            Ok(Reply::or_nil(before))
        }
        "getex" => getex(view, args),
        "setex" | "psetex" => {
            let when = When { seconds: name == "setex", from_now: true };
            let at = when.positive(&args[2], view.now, name)?;
            view.set(args[3].clone(), Some(at)).map(|()| Reply::OK)
        }
        "strlen" => Ok(Reply::count(view.string()?.map_or(0, |text| text.len()))),
        "append" => {
            let before = view.string()?.unwrap_or_default();
            view.room(before.len() + args[2].len())?;
            let text = Bytes::from([&before[..], &args[2]].concat());
            let length = text.len();
            replace(view, text)?;
            Ok(Reply::count(length))
        }
        "setrange" => setrange(view, args),
        "getrange" | "substr" => {
            let (from, to) = (to_integer(&args[2])?, to_integer(&args[3])?);
            let text = view.string()?.unwrap_or_default();
            Ok(Reply::Bulk(range(&text, from, to)))
        }
        "incr" => view.count(1).map(Reply::Integer),
        "decr" => view.count(-1).map(Reply::Integer),
        "incrby" => {
            let amount = to_integer(&args[2])?;
            view.count(amount).map(Reply::Integer)
        }
        "decrby" => {
            let amount = to_integer(&args[2])?.checked_neg();
            view.count(amount.ok_or("ERR decrement would overflow")?).map(Reply::Integer)
        }
        _ => {
            let amount = to_float(&args[2]);
            let before = match view.string()? {
                Some(text) => to_float(&text)?,
                None => 0.0,
            };
            let sum = before + amount?;
            if !sum.is_finite() {
                return Err("ERR increment would produce NaN or Infinity".into());
            }
            let text = Bytes::from(shown(sum));
            replace(view, text.clone())?;
            Ok(Reply::Bulk(text))
        }
    }
}

/// Another value, that expires when the one before did.
fn replace(view: &mut View, text: Bytes) -> Result<(), Stop> {
    let at = view.text()?.and_then(|text: &Text| text.expiry.at);
    view.set(text, at)
}

fn set(view: &mut View, args: &[Bytes]) -> Result<Reply, Stop> {
    let (mut at, mut keep, mut get, mut only_if_there) = (None, false, false, false);
    let mut rest = &args[3..];
    while let [word, behind @ ..] = rest {
        rest = behind;
        if let Some(when) = When::option(word) {
            let [number, behind @ ..] = rest else { return Err(SYNTAX.into()) };
            if at.is_some() || keep {
                return Err(SYNTAX.into());
            }
            at = Some((when, number));
            rest = behind;
        } else if is(word, "keepttl") && at.is_none() {
            keep = true;
        } else if is(word, "get") {
            get = true;
        } else if is(word, "xx") {
            only_if_there = true;
        } else if is(word, "nx") {
            return Err(super::table::NOT_EXISTS.into());
        } else {
            return Err(SYNTAX.into());
        }
    }
    let at = at.map(|(when, number)| when.positive(number, view.now, "set")).transpose()?;
    let before = if get { view.string()? } else { None };
    let is_there = match only_if_there || keep {
        true => view.shape()?.is_some(),
        false => true,
    };
    if only_if_there && !is_there {
        return Ok(Reply::or_nil(before));
    }
    let at = if keep { view.expires_at()?.flatten() } else { at };
    view.set(args[2].clone(), at)?;
    if at.is_some_and(|at| at <= view.now) {
        view.remove()?;
    }
    Ok(if get { Reply::or_nil(before) } else { Reply::OK })
}

fn getex(view: &mut View, args: &[Bytes]) -> Result<Reply, Stop> {
    let change = match &args[2..] {
        [] => None,
        [word] if is(word, "persist") => Some(None),
        [word, number] => {
            let when = When::option(word).ok_or(SYNTAX)?;
            Some(Some((when, number)))
        }
        _ => return Err(SYNTAX.into()),
    };
    let text = view.string()?;
    if text.is_none() {
        return Ok(Reply::Nil);
    }
    match change {
        Some(None) if view.expires_at()?.flatten().is_some() => view.expire(None)?,
        None | Some(None) => {}
        Some(Some((when, number))) => {
            let at = when.positive(number, view.now, "getex")?;
            view.expire(Some(at))?;
        }
    }
    Ok(Reply::or_nil(text))
}

fn setrange(view: &mut View, args: &[Bytes]) -> Result<Reply, Stop> {
    if args.len() != 4 {
        return Err(arity("setrange"));
    }
    let offset =
        usize::try_from(to_integer(&args[2])?).map_err(|_| "ERR offset is out of range")?;
    let before = view.string()?;
    if args[3].is_empty() {
        return Ok(Reply::count(before.map_or(0, |text| text.len())));
    }
    let end = offset.saturating_add(args[3].len());
    if end > 512 << 20 {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
    }
    view.room(end)?;
    let mut text = before.unwrap_or_default().to_vec();
    text.resize(text.len().max(end), 0);
    text[offset..end].copy_from_slice(&args[3]);
    let length = text.len();
    replace(view, text.into())?;
    Ok(Reply::count(length))
}

/// Both ends count, and from the end where negative.
fn range(text: &Bytes, from: i64, to: i64) -> Bytes {
    let length = text.len() as i64;
    if from < 0 && to < 0 && from > to {
        return Bytes::new();
    }
    let place = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at };
    let (from, to) = (place(from), place(to).min(length - 1));
    if from > to || length == 0 {
        return Bytes::new();
    }
    text.slice(from as usize..=to as usize)
}
