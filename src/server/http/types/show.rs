//! Values as JSON.

use super::super::query::Query;
use super::text::shown;
use super::{Asked, answered};
use crate::id::DataType;
use crate::types::{FieldValue, HLL_ERROR};
use crate::{Error, Result};
use serde_json::{Value, json};

/// What a GET answers.
pub(super) async fn value(asked: &Asked, query: &Query) -> Result<Value> {
    let Asked { typed, kind, bucket, key, r, w } = asked;
    let (member, from, field) = (query.bytes("member"), query.bytes("from"), query.bytes("field"));
    for (name, there, of) in [
        ("member", member.is_some(), &[DataType::Set][..]),
        ("field", field.is_some(), &[DataType::Map]),
        ("from", from.is_some(), &[DataType::Set, DataType::Map]),
    ] {
        if there && !of.contains(kind) {
            return Err(Error::Invalid(format!("parameter `{name}` says nothing of a {kind}")));
        }
    }
    let (r, w, from) = (Some(*r), Some(*w), from.unwrap_or_default());
    let object = match kind {
        DataType::Counter => {
            json!({ "value": typed.counters(bucket).quorums(r, w).get(key).await? })
        }
        DataType::Register => {
            let value = typed.registers(bucket).quorums(r, w).get(key).await?;
            json!({ "value": value.map(|value| shown(&value)) })
        }
        DataType::Hll => {
            let count = typed.hlls(bucket).quorums(r, w).count(key).await?;
            json!({ "count": count, "error": HLL_ERROR })
        }
        DataType::Set => {
            let sets = typed.sets(bucket).quorums(r, w);
            match member {
                Some(member) => json!({ "contains": sets.contains(key, member).await? }),
                None => {
                    let mut members = sets.members(key).from(from);
                    let page = members.next_page().await?.unwrap_or_default();
                    let next = members.position().map(|next| shown(next));
                    let page: Value = page.iter().map(|member| shown(member)).collect();
                    json!({ "members": page, "next": next })
                }
            }
        }
        DataType::Map => {
            let maps = typed.maps(bucket).quorums(r, w);
            match field {
                Some(name) => {
                    let found = maps.get(key, &name).await?;
                    json!({ "fields": found.iter().map(|v| of_field(&name, v)).collect::<Value>() })
                }
                None => {
                    let mut fields = maps.fields(key).from(from);
                    let page = fields.next_page().await?.unwrap_or_default();
                    let next = fields.position().map(|next| shown(next));
                    let page: Value =
                        page.iter().map(|(name, value)| of_field(name, value)).collect();
                    json!({ "fields": page, "next": next })
                }
            }
        }
    };
    Ok(answered(*kind, object))
}

/// A field and what it shows.
pub(super) fn of_field(name: &[u8], value: &FieldValue) -> Value {
    let value_shown: Value = match value {
        FieldValue::Counter(number) => (*number).into(),
        FieldValue::Set(members) => members.iter().map(|member| shown(member)).collect(),
        FieldValue::Register(value) => shown(value),
        FieldValue::Flag(up) => (*up).into(),
    };
    json!({ "field": shown(name), "type": value.type_name(), "value": value_shown })
}
