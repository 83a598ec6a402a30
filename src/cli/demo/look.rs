//! What the demo asks each node by itself.

use super::dumps::{Dump, add_page};
use super::load::BUCKET;
use crate::cli::connect::inspect;
use crate::cli::dump::{next, page};
use crate::cli::local::LocalNode;
use crate::client::{Bytes, Client, Inspect, Item};
use serde_json::Value;

/// A client that knows this node alone.
pub(super) async fn only(node: &LocalNode) -> Result<Client, String> {
    let builder = Client::builder().nodes([node.native.to_string()]).name("quorate demo");
    builder.build().await.map_err(|error| error.to_string())
}

async fn ask(node: &LocalNode, question: Inspect) -> Result<Value, String> {
    inspect(&only(node).await?, question).await.map_err(|failure| failure.to_string())
}

/// The states that this node sees, by name.
pub(super) async fn states(node: &LocalNode) -> Result<Vec<(String, String)>, String> {
    let answer = ask(node, Inspect::Members).await?;
    let text = |member: &Value, field: &str| member[field].as_str().unwrap_or_default().to_string();
    let members = answer["members"].as_array().into_iter().flatten();
    Ok(members.map(|member| (text(member, "name"), text(member, "state"))).collect())
}

/// Who this node is, and which life of its data this is.
pub(super) async fn identity(node: &LocalNode) -> Result<(String, String), String> {
    let answer = ask(node, Inspect::Info).await?;
    let text = |field: &str| answer[field].as_str().map(String::from);
    text("id").zip(text("lineage")).ok_or_else(|| format!("{} does not say who it is", node.name))
}

/// How many hints this node keeps.
pub(super) async fn hints(node: &LocalNode) -> Result<u64, String> {
    let answer = ask(node, Inspect::Hints).await?;
    answer["pending"].as_u64().ok_or_else(|| format!("{} does not count its hints", node.name))
}

/// How many names are tried to find one in the right place.
const NAMES: u32 = 200;

/// A key of our bucket that begins so and of which `owner` holds a replica: with more nodes than
/// replicas, not every key is its business.
pub(super) async fn key_owned_by(
    asked: &LocalNode,
    owner: &str,
    stem: &str,
) -> Result<String, String> {
    let client = only(asked).await?;
    for number in 1..=NAMES {
        let key = format!("{stem}-{number}");
        let item = Item { bucket: BUCKET.into(), key: key.clone().into(), sort: Bytes::new() };
        let answer =
            inspect(&client, Inspect::Locate(item)).await.map_err(|error| error.to_string())?;
        if answer["owners"].as_array().into_iter().flatten().any(|name| name == owner) {
            return Ok(key);
        }
    }
    Err(format!("{owner} owns none of {NAMES} keys"))
}

/// Everything that this node itself holds of our bucket.
pub(super) async fn dump(node: &LocalNode) -> Result<Dump, String> {
    let client = only(node).await?;
    let mut dump = Dump::new();
    let mut after = Some(Bytes::new());
    while let Some(start) = after {
        let page =
            page(&client, Some(BUCKET.into()), start).await.map_err(|error| error.to_string())?;
        add_page(&mut dump, &page)?;
        after = next(&page).map_err(|error| error.to_string())?;
    }
    Ok(dump)
}
