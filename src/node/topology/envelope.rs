//! What a gossip datagram is wrapped in, so that strangers are told apart before anything is parsed.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | magic `QG` |
//! | 2 | 1 | version |
//! | 3 | 1 | reserved, zero |
//! | 4 | 8 | cluster id, little-endian |
//! | 12 | 8 | xxh3-64 of everything before it and of what follows |
//!
//! What does not fit is counted and dropped without an answer: an answer would tell a stranger who
//! listens here, and two clusters on one network would talk for ever.

use crate::id::ClusterId;
use xxhash_rust::xxh3::Xxh3;

/// The longest datagram that leaves or is looked at: it fits an Ethernet frame through most tunnels.
pub(super) const DATAGRAM_BYTES: usize = 1_200;
/// How much of it the envelope takes.
pub(super) const ENVELOPE_BYTES: usize = 20;

const MAGIC: [u8; 2] = *b"QG";
const VERSION: u8 = 1;

/// Wraps what the membership machine has to say.
pub(super) fn seal(cluster: ClusterId, packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES + packet.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, 0]);
    out.extend_from_slice(&cluster.0.to_le_bytes());
    let sum = checksum(&out, packet);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(packet);
    out
}

/// What is inside, or the word under which the datagram is counted as rejected.
pub(super) fn unseal(cluster: ClusterId, bytes: &[u8]) -> Result<&[u8], &'static str> {
    if bytes.len() > DATAGRAM_BYTES {
        return Err("too_long");
    }
    let Some((head, packet)) = bytes.split_first_chunk::<ENVELOPE_BYTES>() else {
        return Err("junk");
    };
    if head[..2] != MAGIC {
        return Err("junk");
    }
    if head[2] != VERSION {
        return Err("version");
    }
    let (covered, sum) = head.split_at(12);
    if checksum(covered, packet).to_le_bytes() != sum {
        return Err("checksum");
    }
    if covered[4..] != cluster.0.to_le_bytes() {
        return Err("cluster");
    }
    Ok(packet)
}

fn checksum(head: &[u8], packet: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(head);
    hasher.update(packet);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: ClusterId = ClusterId(7);

    proptest! {
        #[test]
        fn what_is_sealed_comes_out(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
            let sealed = seal(OURS, &packet);
            prop_assert_eq!(unseal(OURS, &sealed), Ok(&packet[..]));
        }

        #[test]
        fn junk_and_flipped_bits_stay_outside(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), at in 0usize..240
        ) {
            prop_assert!(unseal(OURS, &bytes).is_err());
            let mut sealed = seal(OURS, b"0123456789");
            sealed[at / 8] ^= 1 << (at % 8);
            prop_assert!(unseal(OURS, &sealed).is_err());
        }
    }

    #[test]
    fn strangers_are_told_apart() {
        let mut sealed = seal(OURS, b"ping");
        assert_eq!(unseal(ClusterId(8), &sealed), Err("cluster"));
        sealed[2] = 2;
        assert_eq!(unseal(OURS, &sealed), Err("version"));
        assert_eq!(unseal(OURS, b"GET / HTTP/1.1\r\nHost: gossip"), Err("junk"));
        assert_eq!(unseal(OURS, &seal(OURS, &[0; DATAGRAM_BYTES])), Err("too_long"));
    }
}
