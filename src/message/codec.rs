//! Bodies: rmp-serde, with its two traps closed. Nesting is bounded, and trailing bytes are refused.

use crate::version;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How deeply a body may nest. Messages on the wire are not recursive, so honest ones stay far below.
const MAX_DEPTH: usize = 32;

/// A body that is not what its kind says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not this message.
    #[error("malformed body: {0}")]
    Malformed(String),
    /// A whole message and then more.
    #[error("more follows the body")]
    Trailing,
}

/// Appends a message to `out`.
pub fn encode_into<T: Serialize>(out: &mut Vec<u8>, message: &T) {
    // A Vec never refuses bytes, and our messages hold no type that MessagePack lacks.
    message
        .serialize(&mut rmp_serde::Serializer::new(out))
        .expect("a message of plain data always encodes");
}

/// Reads one message that fills `bytes`.
///
/// # Errors
/// [`DecodeError`]; the caller counts it and drops the frame.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut rest = rmp_serde::decode::Deserializer::from_read_ref(bytes);
    rest.set_max_depth(MAX_DEPTH);
    let message = T::deserialize(&mut rest).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    if version::at_end(&mut rest) { Ok(message) } else { Err(DecodeError::Trailing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_what_follows_it_is_refused() {
        let mut bytes = Vec::new();
        encode_into(&mut bytes, &(7u8, "name"));
        assert_eq!(decode(&bytes), Ok((7u8, "name".to_string())));
        bytes.push(0);
        assert_eq!(decode::<(u8, String)>(&bytes), Err(DecodeError::Trailing));
        assert!(matches!(decode::<(u8, String)>(&bytes[..3]), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn what_is_only_announced_is_not_allocated() {
        // A byte string of four gigabytes, of which one byte is there.
        let bytes = [0xc6, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(matches!(decode::<bytes::Bytes>(&bytes), Err(DecodeError::Malformed(_))));
    }
}
