//! Bodies: rmp-serde, with its two traps closed. Nesting is bounded, and trailing bytes are refused.

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
    #[error("{0} bytes follow the body")]
    Trailing(usize),
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
    let mut decoder = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
    decoder.set_max_depth(MAX_DEPTH);
    let message =
        T::deserialize(&mut decoder).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    let read = usize::try_from(decoder.position()).unwrap_or(usize::MAX);
    match bytes.len().saturating_sub(read) {
        0 => Ok(message),
        more => Err(DecodeError::Trailing(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_what_follows_it_is_noticed() {
        let mut bytes = Vec::new();
        encode_into(&mut bytes, &(7u64, "seven"));
        assert_eq!(decode(&bytes), Ok((7u64, "seven".to_owned())));
        bytes.extend_from_slice(b"xy");
        assert_eq!(decode::<(u64, String)>(&bytes), Err(DecodeError::Trailing(2)));
        assert!(matches!(decode::<(u64, String)>(b"\xc1"), Err(DecodeError::Malformed(_))));
    }
}
