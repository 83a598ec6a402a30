//! `quorate dump --local`: one node's own records, page by page, one JSON object per line; or those of a restored
//! backup, without any node.

use super::args::DumpArgs;
use super::connect::{connect, inspect};
use super::failure::{Failure, Result};
use super::output::json;
use crate::client::{Bytes, Client, Inspect};
use crate::node::dump_archive;
use crate::store::{Archive, ArchiveError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::path::Path;

/// How many records a page holds at most; a page must fit into one frame.
const PAGE: u32 = 500;

/// `quorate dump --local`.
pub(super) async fn dump(args: DumpArgs) -> Result<()> {
    if let Some(dir) = &args.data_dir {
        return dump_dir(dir, args.bucket.as_deref());
    }
    if let [_, _, ..] = args.target.nodes[..] {
        let next = "name one with --node";
        return Err(Failure::new("invalid", "a dump is of one node, several were given", next));
    }
    let client = connect(&args.target).await?;
    let mut after = Some(Bytes::new());
    while let Some(start) = after {
        let page = page(&client, args.bucket.clone(), start).await?;
        for item in page["items"].as_array().into_iter().flatten() {
            json(item)?;
        }
        after = next(&page)?;
    }
    Ok(())
}

fn dump_dir(dir: &Path, bucket: Option<&str>) -> Result<()> {
    let archive = Archive::open(dir, &mut |_| ()).map_err(|error| match error {
        ArchiveError::Open(error) => Failure::new("io", error, "is it in use?"),
        index @ ArchiveError::Index { .. } => Failure::new("io", index, "is the disk full?"),
        damaged @ ArchiveError::Damaged { .. } => {
            let next = "restore this or another backup into an empty directory, and try there";
            Failure::new("invalid", damaged, next)
        }
    })?;
    match dump_archive(&archive, bucket, &mut |item| json(&item))? {
        0 => Ok(()),
        unreadable => Err(Failure::new(
            "damaged",
            format!("{unreadable} items of {} cannot be read", dir.display()),
            "restore the backup to another folder, and try there",
        )),
    }
}

/// One page of what the node of this client holds.
pub(super) async fn page(client: &Client, bucket: Option<String>, after: Bytes) -> Result<Value> {
    inspect(client, Inspect::Dump { bucket, after, limit: PAGE }).await
}

/// Where the page after this one begins.
pub(super) fn next(page: &Value) -> Result<Option<Bytes>> {
    let Some(next) = page["next"].as_str() else { return Ok(None) };
    let place = STANDARD.decode(next).map_err(|_| {
        Failure::new("internal", "the node's page has no end", "is it of another version?")
    })?;
    Ok(Some(place.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_says_where_the_next_begins() {
        assert_eq!(next(&json!({"items": [], "next": null})).unwrap(), None);
        assert_eq!(next(&json!({"next": "AAE="})).unwrap(), Some(Bytes::from_static(&[0, 1])));
        assert_eq!(next(&json!({"next": "*"})).unwrap_err().code(), "internal");
    }
}
