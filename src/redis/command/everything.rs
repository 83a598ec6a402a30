//! Commands over all keys of the bucket, page by page; and those on buckets of any kind.
//!
//! A bucket has no list of its keys: all partitions are gone through. `DBSIZE` and `KEYS` take that long.

use super::super::engine::Engine;
use super::super::lane::Call;
use super::super::retry::{self, told};
use super::super::session::Levels;
use super::super::value::key_of;
use super::super::{BUCKET, Reply, glob};
use super::scan::Options;
use super::session::stopped;
use super::typed;
use crate::client::Item;
use crate::error::Result;
use crate::types::{Change, Objects, TypedObjects};
use bytes::Bytes;
use std::sync::Mutex;

/// How many keys are asked for at once, and looked at at once.
const PAGE: u32 = 500;
/// How many keys one `SCAN` goes through at most, where most of them are no more.
const LISTED: usize = 1_000;
/// How many cursors of scans are remembered; the oldest is forgotten, and says so.
const CURSORS: usize = 10_000;

/// Where scans stand: a cursor is a number for Redis's clients, and a place of the store is not.
#[derive(Debug, Default)]
pub(in crate::redis) struct Cursors(Mutex<(u64, std::collections::BTreeMap<u64, Bytes>)>);

impl Cursors {
    fn put(&self, place: Bytes) -> u64 {
        let mut inner = self.0.lock().unwrap_or_else(|e| e.into_inner());
        inner.0 += 1;
        let number = inner.0;
        inner.1.insert(number, place);
        if inner.1.len() > CURSORS {
            inner.1.pop_first();
        }
        number
    }

    fn get(&self, number: u64) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).1.get(&number).cloned()
    }
}

/// Runs one of them.
pub(in crate::redis) async fn run<O: TypedObjects>(
    engine: Engine<O>,
    name: &'static str,
    args: Vec<Bytes>,
    levels: Levels,
) -> Reply {
    let done = match name {
        "scan" => scan(&engine, &args, levels).await,
        "keys" => keys(&engine, Some(&args[1]), levels)
            .await
            .map(|keys| Reply::Array(keys.into_iter().map(Reply::Bulk).collect())),
        "dbsize" => keys(&engine, None, levels).await.map(|keys| Reply::count(keys.len())),
        "randomkey" => keys(&engine, None, levels).await.map(|mut keys| {
            engine.random().shuffle(&mut keys);
            Reply::or_nil(keys.pop())
        }),
        "flushall" | "flushdb" => flush(&engine, levels).await,
        "quorate.get" => get(&engine, &args, levels).await,
        "quorate.put" | "quorate.del" => put(&engine, name, &args, levels).await,
        _ => typed::run(&engine, name, &args, levels).await,
    };
    done.unwrap_or_else(|error| Reply::Error(told(&error)))
}

/// What these keys are; those that do not exist are left out.
async fn types<O: Objects>(
    engine: &Engine<O>,
    keys: Vec<Bytes>,
    levels: Levels,
) -> Result<Vec<(Bytes, String)>> {
    let asked: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let args = vec![Bytes::from_static(b"TYPE"), key.clone()];
            let Levels { read, write } = levels;
            (key, engine.call(Call { name: "type", args, read, write }))
        })
        .collect();
    let mut found = Vec::new();
    for (key, reply) in asked {
        match reply.await {
            Reply::Simple(kind) if kind != "none" => found.push((key, kind.into_owned())),
            Reply::Error(text) => return Err(crate::Error::Unreachable(text.into_owned())),
            _ => {}
        }
    }
    Ok(found)
}

async fn page<O: Objects>(
    engine: &Engine<O>,
    after: Bytes,
    limit: u32,
    levels: Levels,
) -> Result<(Vec<Bytes>, Option<Bytes>)> {
    let objects = &engine.0.objects;
    let page = retry::read(|| objects.keys(BUCKET, after.clone(), limit, levels.read));
    let page = page.await?;
    Ok((page.keys.iter().map(key_of).collect(), page.next.filter(|next| *next != after)))
}

/// All keys that fit.
async fn keys<O: Objects>(
    engine: &Engine<O>,
    pattern: Option<&Bytes>,
    levels: Levels,
) -> Result<Vec<Bytes>> {
    let (mut after, mut all) = (Bytes::new(), Vec::new());
    loop {
        let (mut keys, next) = page(engine, after, PAGE, levels).await?;
        keys.retain(|key| pattern.is_none_or(|pattern| glob::matches(pattern, key)));
        all.extend(types(engine, keys, levels).await?.into_iter().map(|(key, _)| key));
        match next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

async fn scan<O: Objects>(engine: &Engine<O>, args: &[Bytes], levels: Levels) -> Result<Reply> {
    let options = match Options::read(&args[1..]) {
        Ok(options) => options,
        Err(stop) => return Ok(stopped(stop)),
    };
    let cursors = &engine.0.settings.cursors;
    let after = match options.cursor {
        0 => Bytes::new(),
        number => match cursors.get(number) {
            Some(place) => place,
            None => {
                return Ok(Reply::error(
                    "ERR invalid cursor: it is of another node, or too old; begin again with SCAN 0",
                ));
            }
        },
    };
    let of_type = options.of_type.as_ref().map(|kind| kind.to_ascii_lowercase());
    let (mut after, mut listed, mut counted) = (after, 0, 0);
    let mut found = Vec::new();
    let cursor = loop {
        let limit = u32::try_from(options.count - counted).unwrap_or(PAGE).min(PAGE);
        let (keys, next) = page(engine, after, limit, levels).await?;
        listed += keys.len();
        let (fitting, others): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| options.fits(key));
        let there = types(engine, fitting, levels).await?;
        counted += others.len() + there.len();
        found.extend(there);
        match next {
            None => break 0,
            Some(place) if counted >= options.count || listed >= LISTED => {
                break cursors.put(place);
            }
            Some(place) => after = place,
        }
    };
    found.retain(|(_, kind)| of_type.as_ref().is_none_or(|t| t == kind.as_bytes()));
    let keys = found.into_iter().map(|(key, _)| Reply::Bulk(key)).collect();
    Ok(Reply::Array(vec![Reply::bulk(cursor.to_string()), Reply::Array(keys)]))
}

async fn flush<O: Objects>(engine: &Engine<O>, levels: Levels) -> Result<Reply> {
    let mut after = Bytes::new();
    loop {
        let (keys, next) = page(engine, after, PAGE, levels).await?;
        let deleting: Vec<_> = keys
            .into_iter()
            .map(|key| {
                let args = vec![Bytes::from_static(b"DEL"), key];
                let Levels { read, write } = levels;
                engine.call(Call { name: "del", args, read, write })
            })
            .collect();
        for deleted in deleting {
            if let error @ Reply::Error(_) = deleted.await {
                return Ok(error);
            }
        }
        match next {
            Some(next) => after = next,
            None => return Ok(Reply::OK),
        }
    }
}

/// What `QUORATE.*` names.
fn item(args: &[Bytes], sort: Option<&Bytes>) -> Option<Item> {
    let bucket = String::from_utf8(args[1].to_vec()).ok()?;
    Some(Item { bucket, key: args[2].clone(), sort: sort.cloned().unwrap_or_default() })
}

pub(super) const NO_NAME: &str = "ERR a bucket's name has 1 to 64 of a-z 0-9 . _ -";

async fn get<O: Objects>(engine: &Engine<O>, args: &[Bytes], levels: Levels) -> Result<Reply> {
    let Some(item) = item(args, args.get(3)) else { return Ok(Reply::error(NO_NAME)) };
    let objects = &engine.0.objects;
    let object = retry::read(|| objects.read(item.clone(), levels.read)).await?;
    let mut all = vec![Reply::bulk(object.context)];
    all.extend(object.values.into_iter().map(Reply::Bulk));
    Ok(Reply::Array(all))
}

/// `QUORATE.PUT bucket key context value [sort]`, `QUORATE.DEL bucket key context [sort]`; answers with the new context.
async fn put<O: Objects>(
    engine: &Engine<O>,
    name: &str,
    args: &[Bytes],
    levels: Levels,
) -> Result<Reply> {
    let (value, sort) = match name {
        "quorate.put" => (Some(args[4].clone()), args.get(5)),
        _ => (None, args.get(4)),
    };
    let Some(item) = item(args, sort) else { return Ok(Reply::error(NO_NAME)) };
    let Ok(context) = String::from_utf8(args[3].to_vec()) else {
        return Ok(Reply::error("ERR the context is malformed"));
    };
    let objects = &engine.0.objects;
    let operation = objects.operation();
    let change = Change { item, value, context, expires_at: None, operation };
    Ok(Reply::bulk(retry::write(objects, change, levels.write).await?))
}
