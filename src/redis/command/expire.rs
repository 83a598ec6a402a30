//! When keys expire.

use super::super::Reply;
use super::super::view::{Stop, View};
use super::When;
use bytes::Bytes;

pub(super) fn run(view: &mut View, name: &str, args: &[Bytes]) -> Result<Reply, Stop> {
    match name {
        "expire" | "pexpire" | "expireat" | "pexpireat" => expire(view, name, args),
        "persist" => {
            let had = view.expires_at()?.flatten().is_some();
            if had {
                view.expire(None)?;
            }
            Ok(Reply::flag(had))
        }
        _ => {
            let now = view.now;
            let Some(at) = view.expires_at()? else { return Ok(Reply::Integer(-2)) };
            let Some(at) = at else { return Ok(Reply::Integer(-1)) };
            let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
            Ok(Reply::Integer(match name {
                "ttl" => ms((at - now + 500) / 1_000),
                "pttl" => ms(at - now),
                "expiretime" => ms((at + 500) / 1_000),
                _ => ms(at),
            }))
        }
    }
}

fn expire(view: &mut View, name: &str, args: &[Bytes]) -> Result<Reply, Stop> {
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for word in &args[3..] {
        match word.to_ascii_lowercase().as_slice() {
            b"nx" => nx = true,
            b"xx" => xx = true,
            b"gt" => gt = true,
            b"lt" => lt = true,
            _ => {
                let word = String::from_utf8_lossy(word).into_owned();
                return Err(format!("ERR Unsupported option {word}").into());
            }
        }
    }
    if nx && (xx || gt || lt) {
        return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
    }
    if gt && lt {
        return Err("ERR GT and LT options at the same time are not compatible".into());
    }
    let when = When { seconds: !name.starts_with('p'), from_now: !name.ends_with("at") };
    let at = when.read(&args[2], view.now, name)?;
    let Some(before) = view.expires_at()? else { return Ok(Reply::Integer(0)) };
    let before = before.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
    let may = (!nx || before.is_none())
        && (!xx || before.is_some())
        && (!gt || before.is_some_and(|before| at > before))
        && (!lt || before.is_none_or(|before| at < before));
    if may {
        view.expire(Some(u64::try_from(at).unwrap_or(0)))?;
    }
    Ok(Reply::flag(may))
}
