//! Keys and values as they are typed: UTF-8, hexadecimal or base64, or standard input.

use super::args::Spelling;
use super::failure::{Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use std::io::Read;

impl Spelling {
    /// The bytes that `typed` stands for. `what` names it for the error.
    pub fn bytes(self, what: &str, typed: &str) -> Result<Bytes> {
        let decoded = if self.hex {
            from_hex(typed).ok_or("is not hexadecimal")
        } else if self.base64 {
            STANDARD
                .decode(typed)
                .or_else(|_| URL_SAFE_NO_PAD.decode(typed))
                .map_err(|_| "is not base64")
        } else {
            Ok(typed.as_bytes().to_vec())
        };
        decoded.map(Bytes::from).map_err(|why| {
            Failure::new(
                "invalid",
                format!("the {what} `{typed}` {why}"),
                "spell it as the flag says",
            )
        })
    }

    /// The same for something that may be left out: then it is empty.
    pub fn optional(self, what: &str, typed: Option<&str>) -> Result<Bytes> {
        typed.map_or(Ok(Bytes::new()), |typed| self.bytes(what, typed))
    }

    /// A value: `-` stands for standard input, byte for byte.
    pub fn value(self, typed: &str) -> Result<Bytes> {
        if typed != "-" {
            return self.bytes("value", typed);
        }
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    /// How a value is printed: encoded if so asked, else `None`: as it is.
    pub fn encode(self, bytes: &[u8]) -> Option<String> {
        if self.hex {
            Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        } else if self.base64 {
            Some(super::output::base64(bytes))
        } else {
            None
        }
    }

    /// How a key or value stands in a table.
    pub fn cell(self, bytes: &[u8]) -> String {
        self.encode(bytes).unwrap_or_else(|| super::output::text(bytes))
    }
}

fn from_hex(typed: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        typed.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: Spelling = Spelling { hex: true, base64: false };
    const BASE64: Spelling = Spelling { hex: false, base64: true };

    #[test]
    fn what_is_typed_becomes_bytes_and_back() {
        let plain = Spelling::default();
        assert_eq!(plain.bytes("key", "grün").unwrap(), "grün".as_bytes());
        assert_eq!(HEX.bytes("key", "00fF").unwrap(), &[0, 255][..]);
        assert_eq!(BASE64.bytes("key", "AP8=").unwrap(), &[0, 255][..]);
        assert_eq!(BASE64.bytes("key", "AP8").unwrap(), &[0, 255][..]);
        assert_eq!(HEX.encode(&[0, 255]).as_deref(), Some("00ff"));
        assert_eq!(BASE64.encode(&[0, 255]).as_deref(), Some("AP8="));
        assert_eq!(plain.encode(&[0, 255]), None);
        assert_eq!(plain.optional("sort key", None).unwrap(), "");
    }

    #[test]
    fn misspelled_bytes_are_invalid() {
        for (spelling, typed) in [(HEX, "0"), (HEX, "0g"), (HEX, "ü0"), (BASE64, "*")] {
            assert_eq!(spelling.bytes("key", typed).unwrap_err().code(), "invalid", "{typed}");
        }
    }
}
