//! What lies in an archive, as `dump` shows it: nobody serves it, nobody is asked.

use super::shard::{after, record_json};
use super::topology::own_record;
use crate::ring::Agreement;
use crate::store::{Source, StoreError, key};
use crate::version::Record;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;

/// How many keys are read at a time.
const PAGE: usize = 500;

/// Shows each item of an archive in the order of the store; of one bucket only, if it is named. Returns how many could
/// not be read.
///
/// # Errors
/// What `show` says, or the index of the archive.
pub fn dump_archive<E: From<StoreError>>(
    source: &dyn Source,
    bucket: Option<&str>,
    show: &mut dyn FnMut(Value) -> Result<(), E>,
) -> Result<u64, E> {
    let names = bucket_names(source);
    let (mut from, to) = key::data_range();
    let mut unreadable = 0;
    loop {
        let heads = source.scan(&from, &to, PAGE)?;
        for (key, _) in &heads {
            let id = key::bucket_of_item(key).map_or(0, |id| id.0);
            let name = names.get(&id).map(String::as_str);
            if bucket.is_some() && bucket != name {
                continue;
            }
            let entry = source.get(key).ok().flatten();
            let record = entry.and_then(|entry| Record::decode(&entry.head, entry.body).ok());
            match record {
                Some(record) => show(record_json(name, key, &record))?,
                None => unreadable += 1,
            }
        }
        let Some((last, _)) = heads.last().filter(|_| heads.len() == PAGE) else {
            return Ok(unreadable);
        };
        from = after(last);
    }
}

/// The buckets that the node knew, by their ids; none, where it does not say.
fn bucket_names(source: &dyn Source) -> BTreeMap<u64, String> {
    let entry = source.get(&key::meta("agreement")).ok().flatten();
    let agreed: Option<Bytes> = entry.and_then(|entry| own_record("agreement", &entry.body).ok());
    let agreement = agreed.and_then(|bytes| Agreement::decode(&bytes).ok());
    let buckets = agreement.map(|agreement| agreement.buckets.buckets).unwrap_or_default();
    buckets.into_iter().map(|(name, bucket)| (bucket.id.0, name)).collect()
}
