//! Values of buckets with a type: `QUORATE.INCRBY`, `QUORATE.SADD` and the others, each named as the Redis command that it
//! is most like.
//!
//! A change makes the bucket, of its type, where there is none.

use super::super::Reply;
use super::super::engine::Engine;
use super::super::retry;
use super::super::session::Levels;
use super::everything::NO_NAME;
use crate::error::{Error, Result};
use crate::id::DataType;
use crate::types::{BucketKind, FieldUpdate, FieldValue, Typed, TypedObjects};
use crate::version::OperationId;
use bytes::Bytes;

const NO_INTEGER: &str = "ERR value is not an integer or out of range";
const NO_FLAG: &str = "ERR a flag is 1 or 0";
const NO_OPERATION: &str = "ERR an operation's name is 1 to 128 visible ASCII characters";
/// As long may an operation's name be.
const NAME_LIMIT: usize = 128;

/// What a command is about.
struct Asked<'a, O> {
    typed: &'a Typed<O>,
    bucket: &'a str,
    key: &'a Bytes,
    /// What stands behind the key.
    rest: &'a [Bytes],
    levels: Levels,
}

/// Runs one of them; the table has counted the words.
pub(super) async fn run<O: TypedObjects>(
    engine: &Engine<O>,
    name: &str,
    args: &[Bytes],
    levels: Levels,
) -> Result<Reply> {
    let Ok(bucket) = std::str::from_utf8(&args[1]) else { return Ok(Reply::error(NO_NAME)) };
    let typed = &engine.0.typed;
    if name == "quorate.type" {
        return kind(typed, bucket).await;
    }
    let asked = Asked { typed, bucket, key: &args[2], rest: &args[3..], levels };
    match name {
        "quorate.incrby" => asked.count().await,
        "quorate.sadd" | "quorate.srem" | "quorate.sismember" => asked.collect(name).await,
        "quorate.assign" => asked.assign().await,
        "quorate.pfadd" => asked.pfadd().await,
        "quorate.read" => asked.read().await,
        _ => asked.field(name).await,
    }
}

/// `QUORATE.TYPE bucket`
async fn kind<O: TypedObjects>(typed: &Typed<O>, bucket: &str) -> Result<Reply> {
    Ok(Reply::Simple(match retry::read(|| typed.kind_of(bucket)).await? {
        BucketKind::Missing => "none".into(),
        BucketKind::Plain => "bytes".into(),
        BucketKind::Typed(kind) => kind.name().into(),
    }))
}

impl<O: TypedObjects> Asked<'_, O> {
    /// `QUORATE.INCRBY bucket key amount [operation]`
    async fn count(&self) -> Result<Reply> {
        let (amount, operation) = match counted(self.rest) {
            Ok(counted) => counted,
            Err(text) => return Ok(Reply::error(text)),
        };
        let Levels { read, write } = self.levels;
        let counters = self.typed.counters(self.bucket).quorums(Some(read), Some(write));
        let sum = match operation {
            Some(name) => retry::repeated(|| counters.add_once(self.key, amount, name)).await?,
            None => retry::once(|| counters.add(self.key, amount)).await?,
        };
        Ok(Reply::Integer(sum))
    }

    /// `QUORATE.SADD bucket key member…`, `QUORATE.SREM`, `QUORATE.SISMEMBER bucket key member`
    async fn collect(&self, name: &str) -> Result<Reply> {
        let Levels { read, write } = self.levels;
        let sets = self.typed.sets(self.bucket).quorums(Some(read), Some(write));
        let members = || self.rest.iter().cloned();
        Ok(match name {
            "quorate.sadd" => {
                retry::repeated(|| sets.add(self.key, members())).await?;
                Reply::OK
            }
            "quorate.srem" => {
                Reply::count(retry::repeated(|| sets.remove(self.key, members())).await?)
            }
            _ => Reply::flag(retry::read(|| sets.contains(self.key, &self.rest[0])).await?),
        })
    }

    /// `QUORATE.ASSIGN bucket key value`
    async fn assign(&self) -> Result<Reply> {
        let Levels { read, write } = self.levels;
        let registers = self.typed.registers(self.bucket).quorums(Some(read), Some(write));
        retry::repeated(|| registers.assign(self.key, self.rest[0].clone())).await?;
        Ok(Reply::OK)
    }

    /// `QUORATE.PFADD bucket key element…`
    async fn pfadd(&self) -> Result<Reply> {
        let Levels { read, write } = self.levels;
        let hlls = self.typed.hlls(self.bucket).quorums(Some(read), Some(write));
        retry::repeated(|| hlls.add(self.key, self.rest)).await?;
        Ok(Reply::OK)
    }

    /// Those of a map: `bucket key field …`
    async fn field(&self, name: &str) -> Result<Reply> {
        let Levels { read, write } = self.levels;
        let maps = self.typed.maps(self.bucket).quorums(Some(read), Some(write));
        let (field, words) = (&self.rest[0], &self.rest[1..]);
        let mut operation = None;
        let update = match name {
            "quorate.hget" => {
                let value = retry::read(|| maps.get(self.key, field)).await?;
                return Ok(value.map_or(Reply::Nil, shown));
            }
            "quorate.hdel" => {
                let removed = retry::repeated(|| maps.remove(self.key, self.rest.to_vec()));
                return Ok(Reply::count(removed.await?));
            }
            "quorate.hincrby" => match counted(words) {
                Ok((amount, name)) => {
                    operation = name;
                    FieldUpdate::Increment(amount)
                }
                Err(text) => return Ok(Reply::error(text)),
            },
            "quorate.hset" => FieldUpdate::Assign(words[0].clone()),
            "quorate.hflag" => match &words[0][..] {
                b"1" => FieldUpdate::Flag(true),
                b"0" => FieldUpdate::Flag(false),
                _ => return Ok(Reply::error(NO_FLAG)),
            },
            "quorate.hsadd" => FieldUpdate::Set { add: words.to_vec(), remove: Vec::new() },
            _ => FieldUpdate::Set { add: Vec::new(), remove: words.to_vec() },
        };
        let counts = matches!(update, FieldUpdate::Increment(_));
        let update = || update.clone();
        let value = match operation {
            Some(name) => {
                let once = || maps.update_once(self.key, field, update(), name);
                retry::repeated(once).await?
            }
            None if counts => retry::once(|| maps.update(self.key, field, update())).await?,
            None => retry::repeated(|| maps.update(self.key, field, update())).await?,
        };
        Ok(value.map_or(Reply::Nil, shown))
    }

    /// `QUORATE.READ bucket key`: what is shown there.
    async fn read(&self) -> Result<Reply> {
        let Asked { typed, bucket, key, levels, .. } = *self;
        let (r, w) = (Some(levels.read), Some(levels.write));
        let kind = match retry::read(|| typed.kind_of(bucket)).await? {
            BucketKind::Typed(kind) => kind,
            BucketKind::Missing => return Err(Error::NotFound(format!("bucket `{bucket}`"))),
            BucketKind::Plain => {
                let why = format!("bucket `{bucket}` holds bytes: QUORATE.GET reads them");
                return Err(Error::Invalid(why));
            }
        };
        Ok(match kind {
            DataType::Counter => {
                let counters = typed.counters(bucket).quorums(r, w);
                Reply::Integer(retry::read(|| counters.get(key)).await?)
            }
            DataType::Register => {
                let registers = typed.registers(bucket).quorums(r, w);
                Reply::or_nil(retry::read(|| registers.get(key)).await?)
            }
            DataType::Hll => {
                let hlls = typed.hlls(bucket).quorums(r, w);
                let count = retry::read(|| hlls.count(key)).await?;
                Reply::Integer(i64::try_from(count).unwrap_or(i64::MAX))
            }
            DataType::Set => {
                let sets = typed.sets(bucket).quorums(r, w);
                let members = retry::read(|| sets.members(key).collect()).await?;
                Reply::Set(members.into_iter().map(Reply::Bulk).collect())
            }
            DataType::Map => {
                let maps = typed.maps(bucket).quorums(r, w);
                let fields = retry::read(|| maps.fields(key).collect()).await?;
                let pair = |(name, value)| (Reply::Bulk(name), shown(value));
                Reply::Map(fields.into_iter().map(pair).collect())
            }
        })
    }
}

/// `amount [operation]`
fn counted(words: &[Bytes]) -> std::result::Result<(i64, Option<OperationId>), &'static str> {
    let text = |word: &Bytes| std::str::from_utf8(word).ok().map(str::to_owned);
    let amount = words.first().and_then(text).and_then(|word| word.parse().ok());
    let operation = match words.get(1).map(text) {
        None => None,
        Some(Some(name))
            if (1..=NAME_LIMIT).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Some(OperationId::of_name(&name))
        }
        Some(_) => return Err(NO_OPERATION),
    };
    Ok((amount.ok_or(NO_INTEGER)?, operation))
}

fn shown(value: FieldValue) -> Reply {
    match value {
        FieldValue::Counter(sum) => Reply::Integer(sum),
        FieldValue::Register(bytes) => Reply::Bulk(bytes),
        FieldValue::Flag(is) => Reply::flag(is),
        FieldValue::Set(members) => Reply::Set(members.into_iter().map(Reply::Bulk).collect()),
    }
}
