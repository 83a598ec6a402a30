//! What may be asked of each type, as it is written in JSON.

use super::text::Text;
use crate::types::FieldUpdate;
use crate::{Error, Result};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// How many members, elements or fields one request may name.
pub(super) const NAMES_LIMIT: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Count {
    pub(super) increment: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Collect {
    #[serde(default)]
    add: Vec<Text>,
    #[serde(default)]
    remove: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assign {
    pub(super) assign: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Elements {
    add: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// `null`: it is removed.
    fields: BTreeMap<String, Option<Field>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    increment: Option<i64>,
    add: Option<Vec<Text>>,
    remove: Option<Vec<Text>>,
    assign: Option<Text>,
    flag: Option<bool>,
}

/// Reads an operation.
///
/// # Errors
/// [`Error::Invalid`]: it is none of the type; nothing changed.
pub(super) fn read<W: DeserializeOwned>(body: &[u8], example: &str) -> Result<W> {
    serde_json::from_slice(body)
        .map_err(|error| Error::Invalid(format!("the operation: {error}; send {example}")))
}

fn bounded(count: usize) -> Result<()> {
    match count {
        0 => Err(Error::Invalid("an operation without anything to do".into())),
        1..=NAMES_LIMIT => Ok(()),
        _ => {
            Err(Error::Invalid(format!("{count} names in one request: send at most {NAMES_LIMIT}")))
        }
    }
}

impl Collect {
    /// What is added, and what is removed.
    pub(super) fn members(self) -> Result<(Vec<Bytes>, Vec<Bytes>)> {
        bounded(self.add.len() + self.remove.len())?;
        Ok((Text::all(self.add)?, Text::all(self.remove)?))
    }
}

impl Elements {
    pub(super) fn elements(self) -> Result<Vec<Bytes>> {
        bounded(self.add.len())?;
        Text::all(self.add)
    }
}

impl Fields {
    /// Each field and what becomes of it; `None`: it is removed.
    pub(super) fn updates(self) -> Result<Vec<(Bytes, Option<FieldUpdate>)>> {
        bounded(self.fields.len())?;
        let each = self.fields.into_iter().map(|(name, field)| {
            let update = field.map(|field| field.update(&name)).transpose()?;
            Ok((Bytes::from(name), update))
        });
        each.collect()
    }
}

impl Field {
    fn update(self, name: &str) -> Result<FieldUpdate> {
        match self {
            Field { increment: Some(by), add: None, remove: None, assign: None, flag: None } => {
                Ok(FieldUpdate::Increment(by))
            }
            Field { increment: None, add: None, remove: None, assign: Some(value), flag: None } => {
                Ok(FieldUpdate::Assign(value.bytes()?))
            }
            Field { increment: None, add: None, remove: None, assign: None, flag: Some(up) } => {
                Ok(FieldUpdate::Flag(up))
            }
            Field { increment: None, add, remove, assign: None, flag: None }
                if add.is_some() || remove.is_some() =>
            {
                let [add, remove] = [add, remove].map(Option::unwrap_or_default);
                bounded(add.len() + remove.len())?;
                Ok(FieldUpdate::Set { add: Text::all(add)?, remove: Text::all(remove)? })
            }
            _ => Err(Error::Invalid(format!(
                "field `{name}`: say one of increment, assign, flag, or add and remove"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_and_fit() {
        let count = |text: &str| read::<Count>(text.as_bytes(), "").map(|count| count.increment);
        assert_eq!(count(r#"{"increment": -9223372036854775808}"#), Ok(i64::MIN));
        for wrong in ["NaN", "1.5", "1e3", "9223372036854775808", "\"1\"", "null", "true", "[1]"] {
            assert!(count(&format!(r#"{{"increment": {wrong}}}"#)).is_err(), "{wrong}");
        }
        for wrong in ["", "{}", "5", r#"{"increment": 1, "more": 2}"#] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_field_is_told_one_thing() {
        let field = |text: &str| {
            let body = format!(r#"{{"fields": {{"f": {text}}}}}"#);
            read::<Fields>(body.as_bytes(), "")
                .and_then(Fields::updates)
                .map(|mut all| all.remove(0).1)
        };
        assert_eq!(field("null"), Ok(None));
        assert_eq!(field(r#"{"increment": 2}"#), Ok(Some(FieldUpdate::Increment(2))));
        assert_eq!(field(r#"{"flag": false}"#), Ok(Some(FieldUpdate::Flag(false))));
        assert_eq!(field(r#"{"assign": "x"}"#), Ok(Some(FieldUpdate::Assign("x".into()))));
        let set = FieldUpdate::Set { add: vec!["a".into()], remove: vec![] };
        assert_eq!(field(r#"{"add": ["a"]}"#), Ok(Some(set)));
        for wrong in ["{}", r#"{"increment": 1, "assign": "x"}"#, r#"{"add": []}"#, "5"] {
            assert!(field(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_names_so_many_and_no_more() {
        let names = |count: usize| {
            let body = serde_json::json!({ "add": vec!["x"; count] }).to_string();
            read::<Collect>(body.as_bytes(), "").and_then(Collect::members).is_ok()
        };
        assert!(names(NAMES_LIMIT) && !names(NAMES_LIMIT + 1) && !names(0));
    }
}
