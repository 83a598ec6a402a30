//! What a typed write carries, and how it is told from bytes that somebody puts by hand.
//!
//! ```text
//!   D7 'q' | version 1 | type | counter, register, hll: the state   set: nothing   map: a field
//! ```
//!
//! A coordinator checks the whole of it ([`check`]) before a value goes into a typed bucket: what stands there can be
//! read. Merges are not checked, as nowhere.

use super::bytes::{Malformed, byte};
use super::counter::Counter;
use super::field::Field;
use super::hll::Hll;
use super::register::Register;
use crate::Error;
use crate::error::Result;
use crate::id::DataType;
use bytes::Bytes;

/// With what a typed value begins. No UTF-8 text does.
const MAGIC: [u8; 2] = [0xd7, b'q'];
/// How the rest is written.
const VERSION: u8 = 1;

fn tag(kind: DataType) -> u8 {
    match kind {
        DataType::Counter => 1,
        DataType::Set => 2,
        DataType::Map => 3,
        DataType::Register => 4,
        DataType::Hll => 5,
    }
}

fn begin(kind: DataType) -> Vec<u8> {
    vec![MAGIC[0], MAGIC[1], VERSION, tag(kind)]
}

fn open(kind: DataType, from: &mut Bytes) -> Result<(), Malformed> {
    for expected in begin(kind) {
        if byte(from)? != expected {
            return Err(Malformed);
        }
    }
    Ok(())
}

/// That a member is in a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present;

impl Present {
    fn encode(self, _: &mut Vec<u8>) {}

    fn decode(_: &mut Bytes) -> Result<Present, Malformed> {
        Ok(Present)
    }
}

/// A value that joins, as it lies in an item of a typed bucket.
pub trait Joined: Sized + Default + Send {
    /// Of which type of bucket.
    const TYPE: DataType;

    /// Takes in what was written at the same time.
    fn join(&mut self, other: Self);

    /// As it is stored.
    fn to_bytes(&self) -> Bytes;

    /// Reads what [`to_bytes`](Joined::to_bytes) wrote, and nothing else.
    ///
    /// # Errors
    /// [`Error::Invalid`]: it is no such value.
    fn of_bytes(bytes: Bytes) -> Result<Self>;

    /// The join of all siblings; one that cannot be read is an error, not nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`]: one of them is no such value.
    fn of_siblings(siblings: Vec<Bytes>) -> Result<Option<Self>> {
        let mut all: Option<Self> = None;
        for sibling in siblings {
            let one = Self::of_bytes(sibling)?;
            match &mut all {
                Some(all) => all.join(one),
                None => all = Some(one),
            }
        }
        Ok(all)
    }
}

macro_rules! joined {
    ($($value:ident is $kind:ident, |$ours:ident, $other:ident| $join:expr;)*) => {$(
        impl Joined for $value {
            const TYPE: DataType = DataType::$kind;

            fn join(&mut self, $other: Self) {
                let $ours = self;
                $join
            }

            fn to_bytes(&self) -> Bytes {
                let mut out = begin(Self::TYPE);
                self.encode(&mut out);
                out.into()
            }

            fn of_bytes(mut bytes: Bytes) -> Result<Self> {
                let value = open(Self::TYPE, &mut bytes).and_then(|()| $value::decode(&mut bytes));
                match value {
                    Ok(value) if bytes.is_empty() => Ok(value),
                    _ => Err(unreadable(Self::TYPE)),
                }
            }
        }
    )*};
}

joined! {
    Counter is Counter, |ours, other| Counter::join(ours, other);
    Present is Set, |_ours, _other| ();
    Field is Map, |ours, other| Field::join(ours, other);
    Register is Register, |ours, other| Register::join(ours, other);
    Hll is Hll, |ours, other| Hll::join(ours, &other);
}

fn unreadable(kind: DataType) -> Error {
    Error::Invalid(format!("what lies here is no {kind} that this version can read"))
}

/// Whether a put of `value` under this sort key is one that an operation of the type makes.
///
/// # Errors
/// [`Error::Invalid`]: it is not; which operations there are.
pub fn check(kind: DataType, bucket: &str, sort: &[u8], value: &Bytes) -> Result<()> {
    let is_one_item = matches!(kind, DataType::Counter | DataType::Register | DataType::Hll);
    let value = value.clone();
    let checked = match kind {
        _ if is_one_item && !sort.is_empty() => Err(unreadable(kind)),
        DataType::Counter => Counter::of_bytes(value).map(drop),
        DataType::Set => Present::of_bytes(value).map(drop),
        DataType::Map => Field::of_bytes(value).map(drop),
        DataType::Register => Register::of_bytes(value).map(drop),
        DataType::Hll => Hll::of_bytes(value).map(drop),
    };
    checked.map_err(|_| {
        let (command, operation) = match kind {
            DataType::Counter => ("counter add", r#"{"increment": 1}"#),
            DataType::Set => ("set add", r#"{"add": ["…"]}"#),
            DataType::Map => ("map update", r#"{"fields": {…}}"#),
            DataType::Register => ("register assign", r#"{"assign": "…"}"#),
            DataType::Hll => ("hll add", r#"{"add": ["…"]}"#),
        };
        Error::Invalid(format!(
            "bucket `{bucket}` is of type {kind} and takes no plain put: use `quorate {command}`, or POST {operation} to \
             /v1/types/{bucket}/KEY"
        ))
    })
}
