//! Values of your own types: encoded as JSON or MessagePack, through serde.
//!
//! ```text
//!   client.put_as(Json, "carts", "alice", &cart)? ─▶ Put        got.values_as(Json) ─▶ [Ok(cart), Err(undecodable)]
//! ```
//!
//! Siblings are decoded one by one: what one of them holds is no reason to lose the others, and bytes
//! that are none of the type's are handed back as they came.

use super::{Client, Got, Put, ScanItem};
use crate::error::{Error, Result};
use crate::message::client::Version;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Values to bytes and back.
pub trait Codec {
    /// Encodes a value.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the value cannot be told in this format, a map with keys that are no text in JSON, say.
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Bytes>;

    /// Decodes a value that fills `bytes`.
    ///
    /// # Errors
    /// [`Undecodable`], with the bytes.
    fn decode<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T, Undecodable>;
}

/// Text that every language reads. (RFC 8259.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

/// Shorter, and fit for bytes. Structs go with the names of their fields, so that one may be added later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePack;

impl Codec for Json {
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Bytes> {
        serde_json::to_vec(value).map(Bytes::from).map_err(untellable)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T, Undecodable> {
        serde_json::from_slice(bytes).map_err(|why| Undecodable::new(bytes, why))
    }
}

impl Codec for MessagePack {
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Bytes> {
        rmp_serde::to_vec_named(value).map(Bytes::from).map_err(untellable)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T, Undecodable> {
        // Bounded in depth, and refused if something follows.
        crate::message::decode(bytes).map_err(|why| Undecodable::new(bytes, why))
    }
}

fn untellable(why: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("the value cannot be encoded: {why}"))
}

/// Bytes that are no value of the type. Nothing changed; the bytes are there, for another type or for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("undecodable: {} bytes are no such value: {why}; read them as bytes", bytes.len())]
pub struct Undecodable {
    /// The value as it is stored.
    pub bytes: Bytes,
    /// What the format says of it.
    pub why: String,
}

impl Undecodable {
    fn new(bytes: &Bytes, why: impl std::fmt::Display) -> Undecodable {
        Undecodable { bytes: bytes.clone(), why: why.to_string() }
    }
}

/// Why there is no one typed value. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// There are several: merge them, with [`Client::update`] for example.
    #[error("siblings: {count} concurrent values; read them with their context and write one back")]
    Siblings {
        /// How many there are.
        count: usize,
    },
    /// It is of another type.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Error {
        match error {
            ValueError::Siblings { count } => Error::Siblings { count },
            ValueError::Undecodable(undecodable) => Error::Invalid(undecodable.to_string()),
        }
    }
}

impl Client {
    /// As [`Client::put`], with a value of any type that serde knows.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the value cannot be encoded. Nothing was sent. What is returned is sent when it is awaited.
    pub fn put_as<T: Serialize + ?Sized>(
        &self,
        codec: impl Codec,
        bucket: impl Into<String>,
        key: impl AsRef<[u8]>,
        value: &T,
    ) -> Result<Put> {
        Ok(self.put(bucket, key, codec.encode(value)?))
    }
}

/// What reads and scans return alike.
macro_rules! typed {
    ($name:ident) => {
        impl $name {
            /// All concurrent values, each for itself.
            pub fn values_as<T: DeserializeOwned>(
                &self,
                codec: impl Codec,
            ) -> Vec<Result<T, Undecodable>> {
                self.siblings.iter().map(|version| codec.decode(&version.value)).collect()
            }

            /// The value, or `None` if there is nothing.
            ///
            /// # Errors
            /// [`ValueError::Siblings`]: there are several. [`ValueError::Undecodable`]: it is of another type, and
            /// here are its bytes.
            pub fn value_as<T: DeserializeOwned>(
                &self,
                codec: impl Codec,
            ) -> Result<Option<T>, ValueError> {
                match &self.siblings[..] {
                    [] => Ok(None),
                    [Version { value, .. }] => Ok(Some(codec.decode(value)?)),
                    several => Err(ValueError::Siblings { count: several.len() }),
                }
            }
        }
    };
}

typed!(Got);
typed!(ScanItem);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Context;
    use crate::message::client::Info;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Cart {
        items: BTreeMap<String, u32>,
    }

    fn cart(tea: u32) -> Cart {
        Cart { items: [("tea".to_owned(), tea)].into() }
    }

    fn got(values: &[Bytes]) -> Got {
        let version = |value: &Bytes| Version { value: value.clone(), dot: "1.0:1".into() };
        let siblings = values.iter().map(version).collect();
        Got { siblings, context: Context::default(), info: Info::default() }
    }

    fn check(codec: impl Codec + Copy) {
        let bytes = |tea| codec.encode(&cart(tea)).expect("a map of text");
        assert_eq!(got(&[]).value_as::<Cart>(codec), Ok(None));
        assert_eq!(got(&[bytes(1)]).value_as(codec), Ok(Some(cart(1))));
        // One of another type does not hide the others, and is handed back.
        let odd = Bytes::from_static(b"\xc1{");
        let mixed = got(&[bytes(1), odd.clone(), bytes(2)]);
        assert_eq!(mixed.value_as::<Cart>(codec), Err(ValueError::Siblings { count: 3 }));
        let values = mixed.values_as::<Cart>(codec);
        assert_eq!((&values[0], &values[2]), (&Ok(cart(1)), &Ok(cart(2))));
        assert_eq!(values[1].as_ref().map_err(|e| &e.bytes), Err(&odd));
        // What follows a value belongs to no value.
        let long = Bytes::from([&bytes(1)[..], b"x"].concat());
        assert!(codec.decode::<Cart>(&long).is_err());
    }

    #[test]
    fn siblings_are_decoded_one_by_one_and_what_is_of_another_type_keeps_its_bytes() {
        check(Json);
        check(MessagePack);
    }

    #[test]
    fn what_json_cannot_tell_is_refused_before_anything_is_sent() {
        let odd: BTreeMap<Vec<u8>, u8> = [(vec![1], 1)].into();
        assert!(matches!(Json.encode(&odd), Err(Error::Invalid(_))));
        let decoded = MessagePack.decode(&MessagePack.encode(&odd).expect("bytes are fine"));
        assert_eq!(decoded, Ok(odd));
    }
}
