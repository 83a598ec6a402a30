//! Operations, done.

use super::super::answer;
use super::show::of_field;
use super::text::shown;
use super::words::{self, Assign, Collect, Count, Elements, Fields};
use super::{Asked, answered};
use crate::Result;
use crate::id::DataType;
use crate::version::OperationId;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

/// Does what the body says; `name` is the client's name for it, if it may come again.
pub(super) async fn apply(
    asked: &Asked,
    body: &[u8],
    name: Option<OperationId>,
) -> Result<Response<Body>> {
    let Asked { typed, kind, bucket, key, r, w } = asked;
    let (r, w) = (Some(*r), Some(*w));
    let object = match kind {
        DataType::Counter => {
            let Count { increment } = words::read(body, r#"{"increment": 1}"#)?;
            let counters = typed.counters(bucket).quorums(r, w);
            let value = match name {
                Some(name) => counters.add_once(key, increment, name).await?,
                None => counters.add(key, increment).await?,
            };
            json!({ "value": value })
        }
        DataType::Set => {
            let collect: Collect = words::read(body, r#"{"add": ["a"], "remove": ["b"]}"#)?;
            let (add, remove) = collect.members()?;
            let sets = typed.sets(bucket).quorums(r, w);
            json!({ "removed": sets.change(key, add, remove).await? })
        }
        DataType::Register => {
            let Assign { assign } = words::read(body, r#"{"assign": "text"}"#)?;
            typed.registers(bucket).quorums(r, w).assign(key, assign.bytes()?).await?;
            json!({})
        }
        DataType::Hll => {
            let elements: Elements = words::read(body, r#"{"add": ["a"]}"#)?;
            typed.hlls(bucket).quorums(r, w).add(key, elements.elements()?).await?;
            json!({})
        }
        DataType::Map => return fields(asked, body, name).await,
    };
    Ok(answer::json_with(StatusCode::OK, &answered(*kind, object)))
}

/// One field after the other, each with an outcome of its own; the first that failed says what the whole answers.
async fn fields(asked: &Asked, body: &[u8], name: Option<OperationId>) -> Result<Response<Body>> {
    let Asked { typed, kind, bucket, key, r, w } = asked;
    let fields: Fields = words::read(body, r#"{"fields": {"f": {"increment": 1}}}"#)?;
    let maps = typed.maps(bucket).quorums(Some(*r), Some(*w));
    let (mut outcomes, mut failed) = (Vec::<Value>::new(), None);
    for (field, update) in fields.updates()? {
        let done = match (update, name) {
            (None, _) => maps.remove(key, [field.clone()]).await.map(|_| None),
            (Some(update), None) => maps.update(key, &field, update).await,
            (Some(update), Some(name)) => maps.update_once(key, &field, update, name).await,
        };
        outcomes.push(match done {
            Ok(Some(value)) => of_field(&field, &value),
            Ok(None) => json!({ "field": shown(&field) }),
            Err(error) => {
                let outcome =
                    json!({ "field": shown(&field), "error": answer::error_object(&error) });
                failed.get_or_insert(error);
                outcome
            }
        });
    }
    let object = answered(*kind, json!({ "fields": outcomes }));
    Ok(match failed {
        None => answer::json_with(StatusCode::OK, &object),
        Some(error) => answer::failed_with(&error, object),
    })
}
