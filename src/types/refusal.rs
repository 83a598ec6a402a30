//! Why an operation is not done. Nothing changed.

use super::counter::{ACTORS_LIMIT, NAMED_LIMIT};
use super::small_set::SMALL_SET_LIMIT;
use crate::Error;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The result is no number between −2^63 and 2^63 − 1.
    #[error("the result is out of range: a counter holds -2^63 to 2^63-1")]
    OutOfRange,
    /// The operation's name is another's already.
    #[error("this operation id was used for another amount: give each operation a name of its own")]
    OtherAmount,
    /// Too many named operations are within the window.
    #[error(
        "{NAMED_LIMIT} named operations of the last 10 minutes are remembered here: wait, or count without operation ids"
    )]
    Named,
    /// Too many have counted.
    #[error(
        "{ACTORS_LIMIT} actors have counted here: count through programs that stay, over HTTP or RESP, and begin a new key"
    )]
    Actors,
    /// The small set has as many members as one may have.
    #[error(
        "a set in a map's field holds at most {SMALL_SET_LIMIT} members: use a bucket of type set"
    )]
    Members,
    /// The field is of another type.
    #[error("the field is a {0}: remove it first")]
    Field(&'static str),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::Named => Error::Overloaded(refused.to_string()),
            refused => Error::Invalid(refused.to_string()),
        }
    }
}
