//! What a client has seen, as a token: opaque, bound to one key, and of no use to a forger.
//!
//! ```text
//!   base64url( version u8 │ cluster u64 │ key hash 8 │ MessagePack of Seen │ MAC 16 )
//!                                           │                                │
//!              blake3 of bucket id, partition key, sort key      blake3, keyed, over all before it
//!              (told apart: "of another key" is a mistake,       and the whole key hash
//!               "forged" is not)
//! ```
//!
//! A token may claim writes that this replica has not heard of: replicas lag. But a claim removes
//! siblings, so only the cluster itself can make one, and only for the key that it is about.

use super::seen::Seen;
use super::wire;
use crate::id::{BucketId, ClusterId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest token that is looked at, in characters.
pub const MAX_CONTEXT_LENGTH: usize = 64 * 1024;

const VERSION: u8 = 1;
const KEY_HASH: usize = 8;
const MAC: usize = 16;
const HEADER: usize = 1 + size_of::<u64>() + KEY_HASH;

/// A context as clients hold it: text to be handed back with the next write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(String);

impl Context {
    /// Takes whatever a client sent; [`ContextScope::open`] judges it.
    pub fn new(token: impl Into<String>) -> Context {
        Context(token.into())
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a context is refused. Nothing changed; read the key again and use that context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Longer than [`MAX_CONTEXT_LENGTH`].
    #[error("the context is longer than {MAX_CONTEXT_LENGTH} characters")]
    TooLong,
    /// No token at all, or cut off.
    #[error("the context is malformed")]
    Malformed,
    /// Of a version that this build does not know.
    #[error("the context has version {0}, which this node does not know")]
    UnknownVersion(u8),
    /// Made by another cluster.
    #[error("the context is of another cluster ({0})")]
    OtherCluster(ClusterId),
    /// Made for another key.
    #[error("the context is of another key")]
    OtherKey,
    /// Not made by this cluster, or changed since.
    #[error("the context was not made by this cluster")]
    Forged,
}

/// What a token says of itself, unchecked: for who holds it and wants to compare it with another one. Only
/// [`ContextScope::open`] can believe it, and only that removes siblings. An empty token has seen nothing; `None`: it
/// is none that this build can read.
pub fn peek(token: &str) -> Option<Seen> {
    if token.is_empty() {
        return Some(Seen::default());
    }
    if token.len() > MAX_CONTEXT_LENGTH {
        return None;
    }
    let token = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (sealed, _) = token.split_last_chunk::<MAC>()?;
    let (header, seen) = sealed.split_first_chunk::<HEADER>()?;
    if header[0] == VERSION { wire::decode(seen) } else { None }
}

/// Seals and opens the contexts of one key.
pub struct ContextScope {
    cluster: ClusterId,
    key_hash: [u8; 32],
    mac_key: [u8; 32],
}

impl ContextScope {
    /// The scope of one key. `secret` is the cluster's, from its founding.
    pub fn new(
        cluster: ClusterId,
        bucket: BucketId,
        partition_key: &[u8],
        sort_key: &[u8],
        secret: &[u8; 32],
    ) -> ContextScope {
        let mut hash = blake3::Hasher::new_derive_key("quorate 2026 context key hash");
        hash.update(&bucket.0.to_le_bytes());
        for part in [partition_key, sort_key] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        ContextScope {
            cluster,
            key_hash: *hash.finalize().as_bytes(),
            mac_key: blake3::derive_key("quorate 2026 context mac", secret),
        }
    }

    /// Makes the token for what a client was shown.
    pub fn seal(&self, seen: &Seen) -> Context {
        let mut token = vec![VERSION];
        token.extend_from_slice(&self.cluster.0.to_le_bytes());
        token.extend_from_slice(&self.key_hash[..KEY_HASH]);
        wire::encode_into(&mut token, seen);
        let mac = self.mac(&token);
        token.extend_from_slice(&mac.as_bytes()[..MAC]);
        Context(URL_SAFE_NO_PAD.encode(token))
    }

    /// Reads a token that a client sent. `also` are former ids of this cluster, whose tokens still count.
    pub fn open(&self, context: &Context, also: &[ClusterId]) -> Result<Seen, ContextError> {
        if context.0.len() > MAX_CONTEXT_LENGTH {
            return Err(ContextError::TooLong);
        }
        let token = URL_SAFE_NO_PAD.decode(&context.0).map_err(|_| ContextError::Malformed)?;
        let version = *token.first().ok_or(ContextError::Malformed)?;
        if version != VERSION {
            return Err(ContextError::UnknownVersion(version));
        }
        let (sealed, mac) = token.split_last_chunk::<MAC>().ok_or(ContextError::Malformed)?;
        let (header, seen) = sealed.split_first_chunk::<HEADER>().ok_or(ContextError::Malformed)?;
        let (cluster, key_hash) = header[1..].split_at(size_of::<u64>());
        let cluster = ClusterId(cluster.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)));
        if cluster != self.cluster && !also.contains(&cluster) {
            return Err(ContextError::OtherCluster(cluster));
        }
        if key_hash != &self.key_hash[..KEY_HASH] {
            return Err(ContextError::OtherKey);
        }
        // In constant time: the comparison of a MAC must not tell how far it agreed.
        let mut expected = [0; 32];
        expected[..MAC].copy_from_slice(&self.mac(sealed).as_bytes()[..MAC]);
        let mut stated = [0; 32];
        stated[..MAC].copy_from_slice(mac);
        if blake3::Hash::from_bytes(expected) != blake3::Hash::from_bytes(stated) {
            return Err(ContextError::Forged);
        }
        wire::decode(seen).ok_or(ContextError::Malformed)
    }

    fn mac(&self, sealed: &[u8]) -> blake3::Hash {
        let mut hash = blake3::Hasher::new_keyed(&self.mac_key);
        hash.update(&self.key_hash);
        hash.update(sealed);
        hash.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::HybridTime;
    use crate::version::{Actor, Dot, OperationId};

    const CLUSTER: ClusterId = ClusterId(7);

    fn scope(bucket: u64, key: &str, sort: &str) -> ContextScope {
        scope_of(CLUSTER, bucket, key, sort, 1)
    }

    fn scope_of(
        cluster: ClusterId,
        bucket: u64,
        key: &str,
        sort: &str,
        secret: u8,
    ) -> ContextScope {
        let secret = [secret; 32];
        ContextScope::new(cluster, BucketId(bucket), key.as_bytes(), sort.as_bytes(), &secret)
    }

    fn seen() -> Seen {
        let dot = |mint, counter| Dot::new(Actor { incarnation: u64::MAX, mint }, counter);
        Seen {
            vector: [dot(0, 3), dot(1, 900)].into_iter().collect(),
            beyond: vec![(OperationId { session: 4, sequence: 5 }, dot(0, 7))],
            shown: vec![(OperationId { session: 4, sequence: 6 }, dot(1, 900))],
            time: HybridTime(123_456),
        }
    }

    #[test]
    fn what_was_sealed_is_opened() {
        for seen in [seen(), Seen::default()] {
            let scope = scope(1, "cart", "");
            assert_eq!(scope.open(&scope.seal(&seen), &[]), Ok(seen));
        }
    }

    #[test]
    fn who_has_no_secret_may_compare_a_token_but_not_make_one() {
        let sealed = scope(1, "cart", "").seal(&seen());
        assert_eq!(peek(sealed.as_str()), Some(seen()));
        assert_eq!(peek(""), Some(Seen::default()));
        assert_eq!(peek(&sealed.as_str()[..40]), None);
        assert_eq!(peek("seen"), None);
        assert_eq!(peek(&"A".repeat(MAX_CONTEXT_LENGTH + 1)), None);
    }

    #[test]
    fn a_context_of_one_write_is_short() {
        let dot = Dot::new(Actor { incarnation: u64::MAX, mint: 9 }, 900);
        let seen = Seen {
            vector: [dot].into_iter().collect(),
            beyond: Vec::new(),
            shown: vec![(OperationId { session: u64::MAX, sequence: 70_000 }, dot)],
            time: HybridTime(1_700_000_000_000 << 16),
        };
        let length = scope(1, "cart", "").seal(&seen).as_str().len();
        assert!(length <= 140, "{length}");
    }

    #[test]
    fn a_borrowed_token_is_refused() {
        let token = scope(1, "ab", "c").seal(&seen());
        // Length prefixes keep ("ab","c") apart from ("a","bc").
        for other in [scope(2, "ab", "c"), scope(1, "a", "bc"), scope(1, "abc", "")] {
            assert_eq!(other.open(&token, &[]), Err(ContextError::OtherKey));
        }
    }

    #[test]
    fn a_token_of_another_cluster_is_refused_unless_it_is_a_former_self() {
        let token = scope(1, "k", "").seal(&seen());
        let successor = scope_of(ClusterId(8), 1, "k", "", 1);
        assert_eq!(successor.open(&token, &[]), Err(ContextError::OtherCluster(CLUSTER)));
        assert_eq!(successor.open(&token, &[CLUSTER]), Ok(seen()));
    }

    #[test]
    fn without_the_secret_no_token_can_be_made() {
        let forger = scope_of(CLUSTER, 1, "k", "", 2);
        assert_eq!(scope(1, "k", "").open(&forger.seal(&seen()), &[]), Err(ContextError::Forged));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let scope = scope(1, "k", "");
        let token = scope.seal(&seen());
        let bytes = URL_SAFE_NO_PAD.decode(token.as_str()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let bad = Context(URL_SAFE_NO_PAD.encode(bad));
            assert!(scope.open(&bad, &[]).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            let cut = Context(URL_SAFE_NO_PAD.encode(&bytes[..length]));
            assert!(scope.open(&cut, &[]).is_err(), "length {length}");
        }
        let mut long = bytes;
        long.push(0);
        assert!(scope.open(&Context(URL_SAFE_NO_PAD.encode(long)), &[]).is_err());
    }

    #[test]
    fn trailing_bytes_under_a_good_mac_are_refused() {
        let scope = scope(1, "k", "");
        let mut token = URL_SAFE_NO_PAD.decode(scope.seal(&seen()).as_str()).unwrap();
        token.truncate(token.len() - MAC);
        token.push(0);
        let mac = scope.mac(&token);
        token.extend_from_slice(&mac.as_bytes()[..MAC]);
        let token = Context(URL_SAFE_NO_PAD.encode(token));
        assert_eq!(scope.open(&token, &[]), Err(ContextError::Malformed));
    }

    #[test]
    fn other_versions_and_endless_text_are_refused() {
        let scope = scope(1, "k", "");
        let future = Context(URL_SAFE_NO_PAD.encode([2; 80]));
        assert_eq!(scope.open(&future, &[]), Err(ContextError::UnknownVersion(2)));
        let endless = Context("A".repeat(MAX_CONTEXT_LENGTH + 1));
        assert_eq!(scope.open(&endless, &[]), Err(ContextError::TooLong));
        assert_eq!(scope.open(&Context::new("not base64!"), &[]), Err(ContextError::Malformed));
        assert_eq!(scope.open(&Context::default(), &[]), Err(ContextError::Malformed));
    }
}
