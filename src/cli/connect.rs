//! From addresses on the command line to a client, and questions that are answered in JSON.

use super::args::Target;
use super::failure::{Failure, Result};
use crate::client::{Client, Inspect};
use serde_json::Value;

/// A client of the nodes that were named.
pub(super) async fn connect(target: &Target) -> Result<Client> {
    Ok(Client::builder().nodes(&target.nodes).name("quorate cli").build().await?)
}

/// Asks one question of whichever node answers first.
pub(super) async fn inspect(client: &Client, question: Inspect) -> Result<Value> {
    let answer = client.inspect(question).await?;
    serde_json::from_str(&answer).map_err(|error| {
        Failure::new("internal", format!("the node's answer: {error}"), "is it of another version?")
    })
}
