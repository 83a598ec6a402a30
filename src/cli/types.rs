//! Typed buckets: `quorate counter|set|map|register|hll …`.
//!
//! Each run is a process of its own, and so an actor of its own in a counter: scripts that count often do so over HTTP.

use super::args::{
    CounterArgs, CounterCommand, HllArgs, HllCommand, MapArgs, MapCommand, NamesArgs, RegisterArgs,
    RegisterCommand, SetArgs, SetCommand, Spelling, TypedArgs, UpdateArgs,
};
use super::connect::connect;
use super::failure::{Failure, Result};
use super::output::{Format, base64, json, raw, say, show, table};
use crate::client::{Bytes, Client, FieldUpdate, FieldValue};
use serde_json::{Value, json};

/// The client, and the key that was typed.
async fn begin(at: &TypedArgs) -> Result<(Client, Bytes)> {
    let key = at.how.spelling.bytes("key", &at.key)?;
    Ok((connect(&at.how.target).await?, key))
}

fn names(spelling: Spelling, typed: &[String]) -> Result<Vec<Bytes>> {
    typed.iter().map(|name| spelling.bytes("name", name)).collect()
}

/// One answer: a word for people, an object for programs.
fn tell(at: &TypedArgs, name: &str, value: Value) -> Result<()> {
    match at.how.print.output {
        Format::Json => json(&json!({ name: value })),
        Format::Table => say(value),
    }
}

/// `quorate counter …`.
pub(super) async fn counter(args: CounterArgs) -> Result<()> {
    let (CounterCommand::Add { at, .. } | CounterCommand::Get(at)) = &args.command;
    let (client, key) = begin(at).await?;
    let (r, w) = at.how.quorums();
    let counters = client.counter(&at.bucket).quorums(r, w);
    let value = match args.command {
        CounterCommand::Add { by, .. } => counters.add(key, by).await?,
        CounterCommand::Get(_) => counters.get(key).await?,
    };
    tell(at, "value", value.into())
}

/// `quorate set …`.
pub(super) async fn set(args: SetArgs) -> Result<()> {
    let (SetCommand::Add(NamesArgs { at, .. })
    | SetCommand::Remove(NamesArgs { at, .. })
    | SetCommand::Members(at)
    | SetCommand::Contains { at, .. }) = &args.command;
    let spelling = at.how.spelling;
    let (client, key) = begin(at).await?;
    let (r, w) = at.how.quorums();
    let sets = client.set(&at.bucket).quorums(r, w);
    match &args.command {
        SetCommand::Add(NamesArgs { names: members, .. }) => {
            Ok(sets.add(key, names(spelling, members)?).await?)
        }
        SetCommand::Remove(NamesArgs { names: members, .. }) => {
            let removed = sets.remove(key, names(spelling, members)?).await?;
            tell(at, "removed", removed.into())
        }
        SetCommand::Contains { member, .. } => {
            let member = spelling.bytes("member", member)?;
            tell(at, "contains", sets.contains(key, member).await?.into())
        }
        SetCommand::Members(_) => {
            let mut members = sets.members(key);
            while let Some(page) = members.next_page().await? {
                let line = |member: &Bytes| match at.how.print.output {
                    Format::Json => format!("{}\n", json!({ "member": base64(member) })),
                    Format::Table => format!("{}\n", spelling.cell(member)),
                };
                raw(page.iter().map(line).collect::<String>().as_bytes())?;
            }
            Ok(())
        }
    }
}

fn update(spelling: Spelling, what: &UpdateArgs) -> Result<FieldUpdate> {
    Ok(match what {
        UpdateArgs { increment: Some(by), .. } => FieldUpdate::Increment(*by),
        UpdateArgs { assign: Some(value), .. } => FieldUpdate::Assign(spelling.value(value)?),
        UpdateArgs { flag: Some(up), .. } => FieldUpdate::Flag(*up),
        UpdateArgs { add, remove, .. } => {
            FieldUpdate::Set { add: names(spelling, add)?, remove: names(spelling, remove)? }
        }
    })
}

/// `quorate map …`.
pub(super) async fn map(args: MapArgs) -> Result<()> {
    let (MapCommand::Update { at, .. }
    | MapCommand::Remove(NamesArgs { at, .. })
    | MapCommand::Get(at)) = &args.command;
    let spelling = at.how.spelling;
    let (client, key) = begin(at).await?;
    let (r, w) = at.how.quorums();
    let maps = client.map(&at.bucket).quorums(r, w);
    match &args.command {
        MapCommand::Update { field, what, .. } => {
            let field = spelling.bytes("field", field)?;
            let value = maps.update(key, field.clone(), update(spelling, what)?).await?;
            fields(at, &value.map(|value| (field, value)).into_iter().collect::<Vec<_>>())
        }
        MapCommand::Remove(NamesArgs { names: fields, .. }) => {
            let removed = maps.remove(key, names(spelling, fields)?).await?;
            tell(at, "removed", removed.into())
        }
        MapCommand::Get(_) => fields(at, &maps.fields(key).collect().await?),
    }
}

fn fields(at: &TypedArgs, fields: &[(Bytes, FieldValue)]) -> Result<()> {
    let spelling = at.how.spelling;
    if at.how.print.output == Format::Json {
        let field = |(name, value): &(Bytes, FieldValue)| {
            let shown: Value = match value {
                FieldValue::Counter(number) => (*number).into(),
                FieldValue::Flag(up) => (*up).into(),
                FieldValue::Register(value) => base64(value).into(),
                FieldValue::Set(members) => members.iter().map(|m| base64(m)).collect(),
            };
            json!({ "field": base64(name), "type": value.type_name(), "value": shown })
        };
        return json(&json!({ "fields": fields.iter().map(field).collect::<Value>() }));
    }
    let mut table = table(&["field", "type", "value"]);
    for (name, value) in fields {
        let shown = match value {
            FieldValue::Counter(number) => number.to_string(),
            FieldValue::Flag(up) => up.to_string(),
            FieldValue::Register(value) => spelling.cell(value),
            FieldValue::Set(members) => {
                members.iter().map(|member| spelling.cell(member)).collect::<Vec<_>>().join(", ")
            }
        };
        table.add_row([spelling.cell(name), value.type_name().to_owned(), shown]);
    }
    show(&table)
}

/// `quorate register …`.
pub(super) async fn register(args: RegisterArgs) -> Result<()> {
    let (RegisterCommand::Assign { at, .. } | RegisterCommand::Get(at)) = &args.command;
    let spelling = at.how.spelling;
    let (client, key) = begin(at).await?;
    let (r, w) = at.how.quorums();
    let registers = client.register(&at.bucket).quorums(r, w);
    if let RegisterCommand::Assign { value, .. } = &args.command {
        return Ok(registers.assign(key, spelling.value(value)?).await?);
    }
    match registers.get(key).await? {
        Some(value) if at.how.print.output == Format::Json => {
            tell(at, "value", base64(&value).into())
        }
        Some(value) => say(spelling.cell(&value)),
        None => Err(Failure::new(
            "not_found",
            format!("nothing was assigned under `{}` in `{}`", at.key, at.bucket),
            "check the names, or assign a value",
        )),
    }
}

/// `quorate hll …`.
pub(super) async fn hll(args: HllArgs) -> Result<()> {
    let (HllCommand::Add(NamesArgs { at, .. }) | HllCommand::Count(at)) = &args.command;
    let (client, key) = begin(at).await?;
    let (r, w) = at.how.quorums();
    let hlls = client.hll(&at.bucket).quorums(r, w);
    match &args.command {
        HllCommand::Add(NamesArgs { names: elements, .. }) => {
            Ok(hlls.add(key, names(at.how.spelling, elements)?).await?)
        }
        HllCommand::Count(_) => tell(at, "count", hlls.count(key).await?.into()),
    }
}
