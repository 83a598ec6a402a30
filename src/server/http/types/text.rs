//! Bytes in JSON: a string is its UTF-8, and what is none is `{"base64": "…"}`; both ways.

use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// See the module.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Plain(String),
    Encoded(Encoded),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Encoded {
    base64: String,
}

impl Text {
    /// # Errors
    /// [`Error::Invalid`]: what should be base64 is not.
    pub(super) fn bytes(self) -> Result<Bytes> {
        match self {
            Text::Plain(text) => Ok(text.into()),
            Text::Encoded(Encoded { base64 }) => match STANDARD.decode(&base64) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(Error::Invalid(format!("base64 `{base64}`: {error}"))),
            },
        }
    }

    /// # Errors
    /// As [`bytes`](Text::bytes).
    pub(super) fn all(texts: Vec<Text>) -> Result<Vec<Bytes>> {
        texts.into_iter().map(Text::bytes).collect()
    }
}

/// Bytes as JSON.
pub(super) fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_whether_they_are_text_or_not() {
        for bytes in [&b""[..], b"a\"b", b"\xff\0"] {
            let text: Text = serde_json::from_value(shown(bytes)).expect("as it is shown");
            assert_eq!(text.bytes().as_deref(), Ok(bytes));
        }
        let wrong: Text = serde_json::from_str(r#"{"base64": "?"}"#).expect("an object");
        assert!(wrong.bytes().is_err());
        assert!(serde_json::from_str::<Text>("5").is_err());
    }
}
