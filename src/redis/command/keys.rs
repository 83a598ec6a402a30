//! What holds for keys of any type.

use super::super::value::Kind;
use super::super::view::{Shape, Stop, View};
use super::super::{Reply, number};
use super::is;
use bytes::Bytes;

pub(super) fn run(view: &mut View, name: &str, args: &[Bytes]) -> Result<Reply, Stop> {
    match name {
        "del" | "unlink" => view.remove().map(Reply::flag),
        "exists" | "touch" => Ok(Reply::flag(view.shape()?.is_some())),
        "type" => Ok(Reply::Simple(type_name(view.shape()?).into())),
        _ => object(view, args),
    }
}

/// As `TYPE` names it.
pub(in crate::redis) fn type_name(shape: Option<Shape>) -> &'static str {
    match shape {
        None => "none",
        Some(Shape::Text) => "string",
        Some(Shape::Group(Kind::Set)) => "set",
        Some(Shape::Group(Kind::Hash)) => "hash",
    }
}

fn object(view: &View, args: &[Bytes]) -> Result<Reply, Stop> {
    let Some(shape) = view.shape()? else { return Ok(Reply::Nil) };
    if is(&args[0], "refcount") {
        return Ok(Reply::Integer(1));
    }
    Ok(Reply::bulk(match shape {
        Shape::Text => {
            let text = view.string()?.unwrap_or_default();
            match number::integer(&text) {
                Some(_) => "int",
                None if text.len() <= 44 => "embstr",
                None => "raw",
            }
        }
        Shape::Group(_) => "hashtable",
    }))
}
