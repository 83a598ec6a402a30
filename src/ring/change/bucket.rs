//! New buckets, other settings of old ones, and their end. While owners change, a bucket lives by both tables from the start.

use super::{Refusal, Successor, proposed, step};
use crate::id::BucketId;
use crate::ring::bucket::shown;
use crate::ring::{Agreement, Bucket, BucketSettings, Invalid, is_bucket_name};
use crate::time::Duration;

pub(super) fn create_bucket(
    old: &Agreement,
    id: BucketId,
    name: &str,
    settings: &BucketSettings,
) -> Result<Successor, Refusal> {
    if !is_bucket_name(name) {
        return Err(Invalid::BucketName(shown(name)).into());
    }
    settings.validate(old.layout.replicas)?;
    if let Some(bucket) = old.buckets.get(name) {
        // What it once was is no setting.
        let is = BucketSettings { least_w: None, ..bucket.settings.clone() };
        return if is == *settings {
            Ok(Successor::AlreadySo)
        } else {
            Err(Refusal::BucketExists(name.to_owned()))
        };
    }
    if settings.n > old.largest_n() {
        return Err(Refusal::TooFewMembers { n: settings.n, have: old.largest_n() });
    }
    if old.buckets.by_id(id).is_some() || old.buckets.was_dropped(id) {
        return Err(Refusal::BucketIdTaken);
    }
    let bucket = Bucket { id, name: name.to_owned(), settings: settings.clone() };
    let mut next = step(old);
    next.buckets.version += 1;
    next.buckets.buckets.insert(bucket.name.clone(), bucket);
    next.buckets.validate(old.largest_n())?;
    proposed(next)
}

pub(super) fn set_bucket(
    old: &Agreement,
    name: &str,
    (r, w, ttl): (Option<u8>, Option<u8>, Option<Duration>),
) -> Result<Successor, Refusal> {
    let Some(bucket) = old.buckets.get(name) else {
        return Err(Refusal::NoSuchBucket(shown(name)));
    };
    let settings = bucket.settings.with(r, w, ttl);
    if settings == bucket.settings {
        return Ok(Successor::AlreadySo);
    }
    let mut next = step(old);
    next.buckets.version += 1;
    next.buckets.buckets.insert(name.to_owned(), Bucket { settings, ..bucket.clone() });
    next.buckets.validate(old.largest_n())?;
    proposed(next)
}

/// Only the bucket of this id: another one may have its name by now.
pub(super) fn drop_bucket(old: &Agreement, name: &str, id: BucketId) -> Result<Successor, Refusal> {
    if old.buckets.was_dropped(id) {
        // Whoever asks for what is gone may not know that another one has its name.
        return match old.buckets.get(name) {
            None => Ok(Successor::AlreadySo),
            Some(_) => Err(Refusal::AnotherBucket(shown(name))),
        };
    }
    if old.buckets.get(name).is_none_or(|bucket| bucket.id != id) {
        return Err(Refusal::NoSuchBucket(shown(name)));
    }
    let mut next = step(old);
    next.buckets = next.buckets.without(name);
    proposed(next)
}
