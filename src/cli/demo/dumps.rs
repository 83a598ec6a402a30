//! Do the replicas agree? Their own records, side by side, key by key, against what was acknowledged.
//!
//! ```text
//! n1  logs/app.log/0000000001  {a:7 "…"} [a:7]  ┐
//! n2  logs/app.log/0000000001  {a:7 "…"} [a:7]  ├ equal, and what the client was promised
//! n3  logs/app.log/0000000001  {a:7 "…"} [a:7]  ┘
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The name of an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ItemKey {
    /// The bucket's name.
    pub bucket: String,
    /// The partition key.
    pub key: Bytes,
    /// The sort key.
    pub sort: Bytes,
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        write!(f, "{}/{}/{}", self.bucket, text(&self.key), text(&self.sort))
    }
}

/// What a replica holds under one name: siblings by dot, and the versions that it has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    siblings: BTreeMap<String, Option<Bytes>>,
    vector: BTreeMap<String, u64>,
}

/// Everything that one replica holds.
pub(super) type Dump = BTreeMap<ItemKey, Record>;

/// What the client was promised: the value that was acknowledged last, or that it was deleted.
pub(super) type Promises = BTreeMap<ItemKey, Option<Bytes>>;

/// A page of `Inspect::Dump`.
#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<DumpedItem>,
}

#[derive(Debug, Deserialize)]
struct DumpedItem {
    bucket: String,
    key: String,
    sort: String,
    siblings: Vec<DumpedSibling>,
    vector: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct DumpedSibling {
    value: Option<String>,
    #[serde(default)]
    tombstone: bool,
    #[serde(default)]
    beaten: bool,
    dot: String,
}

/// Reads a page into a dump.
pub(super) fn add_page(dump: &mut Dump, page: &serde_json::Value) -> Result<(), String> {
    let page: Page =
        Deserialize::deserialize(page).map_err(|error| format!("an odd page: {error}"))?;
    for item in page.items {
        let key =
            ItemKey { bucket: item.bucket, key: decode(&item.key)?, sort: decode(&item.sort)? };
        let mut siblings = BTreeMap::new();
        for sibling in item.siblings.into_iter().filter(|sibling| !sibling.beaten) {
            let value = match (sibling.value, sibling.tombstone) {
                (Some(value), false) => Some(decode(&value)?),
                (None, true) => None,
                _ => return Err(format!("{key}: neither a value nor a tombstone")),
            };
            siblings.insert(sibling.dot, value);
        }
        dump.insert(key, Record { siblings, vector: item.vector });
    }
    Ok(())
}

fn decode(text: &str) -> Result<Bytes, String> {
    STANDARD.decode(text).map(Bytes::from).map_err(|_| format!("`{text}` is not base64"))
}

/// Compares the dumps, by node, with one another and with the promises.
///
/// Returns how many items were compared.
///
/// # Errors
/// How many items differ or are missing, with the first of them.
pub(super) fn compare(
    dumps: &BTreeMap<String, Dump>,
    promises: &Promises,
    replicas: usize,
) -> Result<usize, String> {
    let keys: BTreeSet<&ItemKey> =
        dumps.values().flat_map(Dump::keys).chain(promises.keys()).collect();
    let wrong: Vec<String> = keys
        .iter()
        .filter_map(|key| look_at(key, dumps, promises.get(*key), replicas).err())
        .collect();
    match wrong.first() {
        None => Ok(keys.len()),
        Some(first) => Err(format!("{} of {} items; {first}", wrong.len(), keys.len())),
    }
}

fn look_at(
    key: &ItemKey,
    dumps: &BTreeMap<String, Dump>,
    promise: Option<&Option<Bytes>>,
    replicas: usize,
) -> Result<(), String> {
    let holders: Vec<(&String, &Record)> =
        dumps.iter().filter_map(|(node, dump)| Some((node, dump.get(key)?))).collect();
    let is_gone = |record: &Record| record.siblings.values().flatten().next().is_none();
    if holders.len() < replicas
        && !matches!(promise, Some(Some(_)))
        && holders.iter().all(|(_, record)| is_gone(record))
    {
        // It was deleted, and its tombstones go: a dump reads one node after the other.
        return Ok(());
    }
    if holders.len() < replicas {
        let names: Vec<&str> = holders.iter().map(|(node, _)| node.as_str()).collect();
        return Err(format!("{key} is only on [{}]", names.join(", ")));
    }
    let (first, record) = holders[0];
    if let Some((other, _)) = holders.iter().find(|(_, other)| *other != record) {
        return Err(format!("{key} differs between {first} and {other}"));
    }
    let values: Vec<&Bytes> = record.siblings.values().flatten().collect();
    match promise {
        Some(Some(value)) if values != [value] => {
            Err(format!("{key} holds {} values, not the one that was acknowledged", values.len()))
        }
        Some(None) if !values.is_empty() => Err(format!("{key} was deleted and is back")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(sort: &str) -> ItemKey {
        ItemKey {
            bucket: "logs".into(),
            key: "f".into(),
            sort: Bytes::copy_from_slice(sort.as_bytes()),
        }
    }

    type Siblings<'a> = &'a [(&'a str, Option<&'a str>)];

    fn dump(items: &[(&str, Siblings)]) -> Dump {
        let record = |siblings: Siblings| Record {
            siblings: siblings
                .iter()
                .map(|(dot, value)| {
                    (dot.to_string(), value.map(|value| Bytes::copy_from_slice(value.as_bytes())))
                })
                .collect(),
            vector: BTreeMap::from([("a".to_string(), 1)]),
        };
        items.iter().map(|(sort, siblings)| (key(sort), record(siblings))).collect()
    }

    fn check(dumps: [Dump; 3], promises: &[(&str, Option<&str>)], expected: Result<usize, &str>) {
        let names = ["n1", "n2", "n3"].map(String::from);
        let dumps = names.into_iter().zip(dumps).collect();
        let promises = promises
            .iter()
            .map(|(sort, value)| {
                (key(sort), value.map(|value| Bytes::copy_from_slice(value.as_bytes())))
            })
            .collect();
        let found = compare(&dumps, &promises, 3);
        match expected {
            Ok(count) => assert_eq!(found, Ok(count)),
            Err(text) => {
                assert!(found.as_ref().is_err_and(|found| found.contains(text)), "{found:?}")
            }
        }
    }

    #[test]
    fn equal_replicas_that_hold_what_was_promised_agree() {
        let same = dump(&[("1", &[("a:1", Some("x"))]), ("2", &[("a:1", None)])]);
        let dumps = [same.clone(), same.clone(), same];
        check(dumps, &[("1", Some("x")), ("2", None)], Ok(2));
    }

    #[test]
    fn whatever_is_not_so_is_found() {
        let one = dump(&[("1", &[("a:1", Some("x"))])]);
        let other = dump(&[("1", &[("a:2", Some("x"))])]);
        let gone = dump(&[("1", &[("a:1", None)])]);
        let both = dump(&[("1", &[("a:1", Some("x")), ("b:1", Some("y"))])]);
        let all = |dump: &Dump| [dump.clone(), dump.clone(), dump.clone()];
        check([one.clone(), one.clone(), Dump::new()], &[], Err("only on [n1, n2]"));
        check([one.clone(), one.clone(), other], &[], Err("differs between n1 and n3"));
        check(all(&one), &[("1", Some("y"))], Err("not the one"));
        check(all(&gone), &[("1", Some("x"))], Err("not the one"));
        check(all(&both), &[("1", Some("x"))], Err("holds 2 values"));
        check(all(&one), &[("1", None)], Err("deleted and is back"));
        check(all(&one), &[("1", Some("x")), ("2", Some("z"))], Err("1 of 2 items"));
    }

    #[test]
    fn pages_are_read_to_their_end() {
        let mut dump = Dump::new();
        let page = json!({"items": [{"bucket": "logs", "key": "Zg==", "sort": "MQ==", "vector": {"a": 1},
            "siblings": [{"value": "eA==", "dot": "a:1", "expires_at": null}]}], "next": "AAE="});
        assert_eq!(add_page(&mut dump, &page), Ok(()));
        let page = json!({"items": [{"bucket": "logs", "key": "Zg==", "sort": "Mg==", "vector": {"a": 1},
            "siblings": [{"tombstone": true, "dot": "a:1"}]}], "next": null});
        assert_eq!(add_page(&mut dump, &page), Ok(()));
        assert_eq!(dump, self::dump(&[("1", &[("a:1", Some("x"))]), ("2", &[("a:1", None)])]));
        for odd in [json!({}), json!({"items": [{"bucket": "b"}]})] {
            assert!(add_page(&mut dump, &odd).is_err());
        }
    }
}
